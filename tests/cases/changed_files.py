"""Valid files of every kind that fpemu reads, and endless seeded changes of them for the readers' tests."""

from __future__ import annotations

import json
import shutil
import struct
import zipfile
from pathlib import Path

import numpy as np

import fpemu as fe
from fpemu.verification import vectors
from fpemu.verification.audits.findings import Findings
from fpemu.verification.audits.subjects import Answer
from fpemu.verification.claims import Claim

# Numbers that sizes, counts and offsets are replaced by
HOSTILE = (0, 1, 2, 7, 255, 256, 65535, 1 << 31, (1 << 31) - 1, 1 << 32, (1 << 40) + 1, 1 << 62, (1 << 63) - 1, 1 << 64)


def made(folder):
    """A valid file of each kind: a dict of names to paths."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((3, 5)).astype(np.float32)
    found = {}

    def path(kind, name):
        (folder / kind).mkdir()
        found[kind] = folder / kind / name
        return found[kind]

    np.save(path("npy", "x.npy"), x)
    np.savez(path("npz", "x.npz"), a=x, b=np.asfortranarray(x.astype(">i2")), c=np.array(True))
    np.savez_compressed(path("compressed", "x.npz"), a=np.zeros(1000), b=x)
    arrays = {
        "a": fe.array([1.0, -2.0, 0.5], "bfloat16"),
        "i": fe.array([1, -3], "int4", profile="torch"),
        "t": fe.Array([0, 1, 2], fe.TableFormat("t", [0.5, 1.5, 2.5])),
        "x": x,
    }
    fe.save(path("safetensors", "x.safetensors"), a=x, b=np.array([True]), c=fe.array([1.0] * 4, "float4_e2m1fn"))
    arrays |= {"q": fe.quantize(np.ones((2, 32), np.float32), "mxfp4"), "z": fe.quantize(x, "zeropoint_int8")}
    fe.save(path("saved.npz", "x.npz"), **arrays)
    fe.save(path("saved.safetensors", "x.safetensors"), **arrays)
    made_anew = vectors.generate(Claim.of("add", "float8_e5m2"), limit=0, per_cell=1, random=20, seed=3)
    for layout, ending in (("testfloat", "tv"), ("readmemh", "hex"), ("csv", "csv"), ("jsonl", "jsonl")):
        vectors.write(path(layout, f"x.{ending}"), made_anew)
    vectors.write(path("vectors.npz", "x.npz"), made_anew, "npz")
    claim = Claim.of("sqrt", "float8_e5m2")
    shutil.copy(vectors.write(folder / "x.tv", vectors.generate(claim)), path("foreign", "x.tv"))
    ledger = Findings(claim, "class", True, 256)
    (batch,) = vectors.generate(claim)
    wrong = batch.result ^ (np.arange(256) == 7).astype(np.uint8)
    answer = type("Answer", (), {"codes": wrong, "flags": batch.flags, "problem": None})
    ledger.add(ledger.compare(0, Answer(batch.result, batch.flags), answer, lambda rows: (batch.operands[0][rows],)))
    ledger.save(path("resume", "x.npz"), {"claim": claim.described()})
    shutil.copy(Path(__file__).parents[1] / "peers/torch_cpu.probe", path("recording", "x.probe"))
    return found


def changed(rng, valid, kind):
    """Endless changed files of a kind: dicts of names to bytes, for the file and, if it has one, its companion."""
    whole = {each.name: each.read_bytes() for each in valid[kind].parent.iterdir()}
    others = [path.read_bytes() for path in valid.values()]
    while True:
        files = dict(whole)
        name = rng.choice(sorted(files))
        for _ in range(rng.choice((1, 1, 1, 2, 4))):
            files[name] = _change(rng, files[name], others)
        if files[name][:2] == b"PK" and rng.random() < 0.8:
            files[name] = _repacked(rng, whole[name], others)
        yield files


def _change(rng, data, others):
    data = bytearray(data)
    size = len(data)
    # Headers are short: half of all changes are there.
    place = rng.randrange(min(size, 300) if rng.random() < 0.5 else size) if size else 0
    match rng.randrange(9):
        case 0 | 1 if size:
            data[place] ^= 1 << rng.randrange(8)
        case 2:
            del data[place:]
        case 3:
            del data[place : place + rng.choice((1, 2, 8, 100))]
        case 4:
            start = rng.randrange(size) if size else 0
            data[place:place] = data[start : start + rng.choice((1, 4, 30, 300))]
        case 5:
            other = rng.choice(others)
            start = rng.randrange(len(other))
            data[place:place] = other[start : start + rng.choice((4, 64, 1000))]
        case 6:
            number = rng.choice(HOSTILE)
            width = rng.choice((2, 4, 8))
            data[place : place + width] = struct.pack("<Q", number & (1 << 64) - 1)[:width]
        case 7:
            data = _number(rng, data)
        case _:
            data[place:place] = rng.choice(
                (
                    b"[" * 5000,
                    b"(" * 5000,
                    b"{",
                    b"\n",
                    b"\x00" * 200,
                    b'"',
                    b"-" * 500,
                    b"a" * 100_000,
                    b"\x1b[31m",
                    b"\xff",
                )
            )
    return bytes(data)


def _number(rng, data):
    """Replace a run of digits by a hostile number, or a word by another."""
    places = [place for place in range(len(data)) if chr(data[place]).isdigit()][:400]
    if not places:
        return data
    start = rng.choice(places)
    stop = start
    while stop < len(data) and chr(data[stop]).isdigit():
        stop += 1
    number = rng.choice((*(str(each).encode() for each in HOSTILE), b"1" + b"0" * 30, b"1" * 5000))
    return data[:start] + rng.choice((number, b"-" + number, number + b".5", b"1e999", b"None", b"nan")) + data[stop:]


def _repacked(rng, data, others):
    """A zip archive with changed members and correct checksums, which a reader therefore sees."""
    import io

    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as new:
        entries = old.infolist()
        chosen = rng.choice(entries)
        for entry in entries:
            raw = old.read(entry)
            if entry is chosen:
                match rng.randrange(5):
                    case 0:
                        continue
                    case 1:
                        raw = bytes(1 << 20) + raw
                    case 2 if json_in(raw):
                        raw = _number(rng, bytearray(raw))
                    case _:
                        raw = _change(rng, raw, others)
            new.writestr(entry.filename, bytes(raw))
    return stream.getvalue()


def json_in(raw):
    """Whether a member is JSON."""
    try:
        json.loads(raw)
    except ValueError:
        return False
    return True
