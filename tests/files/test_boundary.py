"""The boundary around readers: what hostile files did once, each with what it gets now; and pickles."""

import copy
import errno
import hashlib
import io
import json
import os
import pickle
import signal
import tracemalloc
import warnings
import zipfile

import numpy as np
import pytest

import fpemu as fe
from fpemu.files import boundary
from fpemu.files.boundary import Budget, line_blocks, reading
from fpemu.files.data_files import open_arrays
from fpemu.formats.strict_json import parsed
from fpemu.verification import vectors
from fpemu.verification.audits import library, recordings
from fpemu.verification.audits.findings import Findings
from fpemu.verification.audits.probe_template import HASH_MEMBER, HEAD_MEMBER, RECORDING_KIND
from fpemu.verification.audits.recordings import is_recording
from fpemu.verification.claims import Claim

CLAIM = Claim.of("sqrt", "float8_e5m2")
SMALL = 128 << 20  # bytes


def refused(call, path, message):
    """A ValueError that begins with the path, cheaply and without a warning."""
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=message) as error:  # warnings are errors of other kinds
            call(path)
        assert tracemalloc.get_traced_memory()[1] < SMALL
    finally:
        tracemalloc.stop()
    assert str(error.value).startswith(str(path))


def npy(header, data=b""):
    text = header.encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + data


def fields(descr="'<f4'", order="False", shape="(3,)"):
    return f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}"


HEADERS = {
    "a flipped bit": (fields(order="Fal\x13e"), "not a description of an array"),
    "an open bracket": (fields(shape="(3,"), "not a description of an array"),
    "an open text": (fields(descr="'<f4"), "not a description of an array"),
    "deep": ("(" * 5000 + ")" * 5000, "not a description of an array"),
    "many signs": (fields(shape=f"({'-' * 5000}3,)"), "not a description of an array"),
    "a huge shape": (fields(shape="(1000000000000, 1000000)"), "elements of float32 have|have .* bytes"),
    "an overflowing shape": (fields(shape="(18446744073709551616, 4)"), "impossible shape"),
    "shapes whose product wraps": (fields(shape="(4294967296, 4294967296, 4)"), "impossible shape"),
    "an empty overflowing shape": (fields(shape="(0, 4294967296, 4294967296, 4294967296)"), "impossible shape"),
    "a negative shape": (fields(shape="(-3,)"), "not a description of an array"),
    "a shape of floats": (fields(shape="(3.0,)"), "impossible shape"),
    "true in a shape": (fields(shape="(True,)"), "impossible shape"),
    "many dimensions": (fields(shape=f"({'1,' * 1000})"), "impossible shape"),
    "a list": ("[1, 2]", "not a description of an array"),
    "another key": ("{'descr': '<f4', 'fortran_order': False, 'shape': (3,), 'x': 1}", "and shape only"),
    "a number of digits": (fields(shape=f"({'9' * 5000},)"), "not a description of an array|impossible shape"),
    "no type": (fields(descr="'nonsense'"), "impossible descr"),
    "a deprecated type": (fields(descr="'a4'"), "impossible descr"),
    "an evil type": (fields(descr="'f4,(1000000000,1000000000)f4'"), "impossible descr"),
    "a huge type": (fields(descr="'<U999999999'"), "have .* bytes|only real numbers|impossible descr"),
    "complex": (fields(descr="'<c8'", shape="(0,)"), "only real numbers"),
    "objects": (fields(descr="'|O'"), "Python objects"),
}


@pytest.mark.parametrize("what", HEADERS)
def test_headers_of_npy(tmp_path, what):
    header, message = HEADERS[what]
    data = npy(header, bytes(12))
    (tmp_path / "x.npy").write_bytes(data)
    for call in (fe.load, open_arrays):
        refused(call, tmp_path / "x.npy", message)
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        with zipfile.ZipFile(tmp_path / "x.npz", "w", method) as archive:
            archive.writestr("x.npy", data)
        for call in (lambda path: fe.load(path, "x"), open_arrays):
            refused(call, tmp_path / "x.npz", f"{message}|ends early")


def test_headers_that_others_write(tmp_path):
    """Python 2's long integers, another order of keys, versions 2 and 3, names of types."""
    path, x = tmp_path / "x.npy", np.arange(3, dtype=np.float32)
    for text in (fields(shape="(3L,)"), "{'shape':(3,),'descr':'f4','fortran_order':False}", fields("'float32'")):
        path.write_bytes(npy(text, x.tobytes()))
        np.testing.assert_array_equal(fe.load(path), x)
    for version in (1, 2, 3):
        with path.open("wb") as stream, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            np.lib.format.write_array(stream, x, (version, 0))
        np.testing.assert_array_equal(fe.load(path), x)
    path.write_bytes(b"\x93NUMPY\x09\x00" + bytes(20))
    refused(fe.load, path, "version 9 of the .npy format is unknown")


def zeros_in(path, count, entries=1):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for place in range(entries):
            with archive.open(f"x{place}.npy", "w", force_zip64=True) as member:
                member.write(npy(fields("'|u1'", shape=f"({count},)")))
                for _ in range(count >> 24):
                    member.write(bytes(1 << 24))
    return path


def test_archives_that_grow(tmp_path, monkeypatch):
    path = zeros_in(tmp_path / "x.npz", 1 << 27)
    monkeypatch.setattr(boundary, "ROOM", 1 << 26)
    refused(fe.load, path, r"its arrays take 134,217,728 bytes of memory; a file of \d+,\d+ bytes may take")
    refused(lambda path: fe.load(path, max_bytes=1 << 20), path, "may take 1,048,576")
    assert fe.load(path, max_bytes=1 << 28)["x0"].size == 1 << 27
    (stored,) = open_arrays(path)
    assert sum(piece.size for piece in stored.chunks()) == 1 << 27  # in pieces there is no limit


def test_archives_that_are_no_archives_of_numpy(tmp_path):
    path = tmp_path / "x.npz"
    stored = npy(fields("'|u1'", shape="(3,)"), b"123")
    with zipfile.ZipFile(path, "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(2):
            archive.writestr("x.npy", stored)
    refused(fe.load, path, "it has two members 'x.npy'")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("x.npy", stored)
    refused(fe.load, path, "is compressed by a method")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", stored)
    whole = path.read_bytes()
    place = whole.rindex(b"PK\x01\x02")
    flags = bytearray(whole)
    flags[place + 8] |= 1
    path.write_bytes(flags)
    refused(fe.load, path, "is encrypted")
    size = bytearray(whole)
    size[place + 24 : place + 28] = (1 << 31).to_bytes(4, "little")
    path.write_bytes(size)
    refused(fe.load, path, "are said to have 2,147,483,648 bytes")


def test_texts_and_objects_in_an_archive_are_named_and_the_others_load(tmp_path):
    path = tmp_path / "x.npz"
    np.savez(path, a=np.arange(3), t=np.array(["a"]), o=np.array([None]), allow_pickle=True)
    with pytest.warns(UserWarning, match="left out: the elements are (Python objects|<U1)") as told:
        assert list(fe.load(path)) == ["a"]
    assert len(told) == 2
    refused(lambda path: fe.load(path, "o"), path, "o: the elements are Python objects")


# -- JSON -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("depth", [101, 1000, 100_000, 2_000_000])
@pytest.mark.parametrize("signs", [("[", "]"), ('{"a":', "}")])
def test_deep_json(tmp_path, depth, signs):
    text = signs[0] * depth + "1" + signs[1] * depth
    with pytest.raises(ValueError, match="deep"):
        parsed(text)
    if depth > 10_000:
        return
    np.savez(tmp_path / "x.npz", **{"a.codes": np.uint8([1]), "a.format": np.frombuffer(text.encode(), np.uint8)})
    refused(fe.load, tmp_path / "x.npz", "deep")
    header = json.dumps({"__metadata__": {"fpemu": text}}).encode()
    (tmp_path / "x.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    refused(fe.load, tmp_path / "x.safetensors", "deep")
    with pytest.raises(ValueError, match=r"deep|unknown format|no format"):
        Claim.from_description({"operation": "sqrt", "operand 1": text, "result": "float16"})


def test_depth_is_that_of_lists_not_of_texts():
    assert parsed('{"a": "' + "[" * 500 + '", "b\\"[[": ["}"]}') == {"a": "[" * 500, 'b"[[': ["}"]}
    nested = "[" * 100 + "]" * 100
    assert parsed(nested)
    with pytest.raises(ValueError, match="more than 100 deep"):
        parsed(f"[{nested}]")


@pytest.mark.parametrize(
    "text", ["", "NaN", "1e999", "-0", "[1,]", '"\\ud800"', '{"a":1,"a":1}', "18446744073709551616"]
)
def test_json_that_is_none(text):
    with pytest.raises(ValueError, match=r"."):
        parsed(text)
    with pytest.raises(ValueError, match=r"^x: head: damaged: "):
        Budget("x", 10).json(text.encode(), "head")


# -- vectors ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("word", ["per cell", "random", "limit", "vectors", "word bits"])
@pytest.mark.parametrize("number", [1_000_000, 10**18, 10**30])
def test_numbers_of_a_header_make_no_work(tmp_path, word, number):
    path = vectors.write(
        tmp_path / "x.hex", vectors.generate(Claim.of("add", "float16"), limit=0, per_cell=1, random=5)
    )
    lines = path.read_text().splitlines(keepends=True)
    for place, line in enumerate(lines):
        if line.startswith(f"// {word}: "):
            lines[place] = f"// {word}: {number}\n"
    path.write_text("".join(lines))
    refused(vectors.read, path, ".")


def test_a_line_without_end(tmp_path):
    path = tmp_path / "x.tv"
    path.write_bytes(b"3C 3C 00\n" + b"0" * (SMALL + 1000))
    refused(lambda path: vectors.read(path, claim=CLAIM), path, r"line 2 has more than 65,536 bytes|it is malformed")
    for ending in ("hex", "csv", "jsonl"):
        path = tmp_path / f"x.{ending}"
        path.write_bytes(b"// operation: " + b"0" * (SMALL + 1000))
        refused(vectors.read, path, ".")
    companion = vectors.write(tmp_path / "y.tv", vectors.generate(CLAIM)).with_name("y.tv.json")
    companion.write_bytes(b" " * (SMALL + 1000))
    refused(vectors.read, tmp_path / "y.tv", "has more than 1,048,576 bytes")


def test_blocks_of_lines():
    text = b"".join(b"%d\n" % number for number in range(1000)) + b"end"
    for size in (1, 7, 100, 10_000):
        blocks = list(line_blocks(io.BytesIO(text), size, 10))
        assert b"".join(blocks) == text
        assert all(block.endswith(b"\n") for block in blocks[:-1])
    with pytest.raises(ValueError, match="line 3 has more than 10 bytes"):
        list(line_blocks(io.BytesIO(b"a\nb\n" + b"c" * 100), 5, 10))


# -- recordings and audits --------------------------------------------------------------------------------------------


def recording(path, about, members):
    head = json.dumps(about).encode()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(HEAD_MEMBER, head)
        for name, raw in members.items():
            archive.writestr(name, raw)
        archive.writestr(HASH_MEMBER, hashlib.sha256(head).hexdigest())
    return path


def test_recordings_that_grow(tmp_path):
    machine = dict.fromkeys(("device name", "device", "torch", "date"), "")
    about = {"kind": RECORDING_KIND, "machine": machine, "fpemu": "", "items": [], "absent": []}
    bomb = recording(tmp_path / "a.probe", about, {str(k): bytes(1 << 27) for k in range(5)})
    assert bomb.stat().st_size < 1 << 20
    refused(recordings, bomb, "its members take .* bytes of memory; a file of .* bytes may take")
    rule = {"size": 8, "rule": {"shift": 0, "count": 1 << 16, "add": [0] * 64}}
    claim = Claim.of("cast", "float32", source="float64").described()
    result = bytes(4)
    name = hashlib.sha256(result).hexdigest()
    items = [{"name": str(k), "claim": claim, "call": "", "batches": [{**rule, "result": name}] * 50} for k in range(3)]
    grown = recording(tmp_path / "b.probe", {**about, "items": items}, {name: result})
    refused(recordings, grown, "numbers of operands and results differ|its operands take")


def test_an_audit_to_go_on_with(tmp_path):
    path = tmp_path / "x.npz"
    ledger = Findings(CLAIM, "class", False, 256)
    with pytest.raises(FileNotFoundError) as error:
        ledger.restore(path, {})
    assert (error.value.errno, error.value.filename) == (errno.ENOENT, str(path))
    np.savez(
        path, state=np.array(json.dumps({"about": {}, "checked": -1, "different": 0, "wrong": 0, "differences": []}))
    )
    refused(lambda path: ledger.restore(path, {}), path, "its counts are")
    np.savez(path, state=np.array(json.dumps({"about": 3})))
    refused(lambda path: ledger.restore(path, {"seed": 0}), path, "not an audit to resume")


# -- the boundary itself ----------------------------------------------------------------------------------------------


def test_errors_of_the_system_keep_what_they_are(tmp_path):
    for error in (PermissionError(errno.EACCES, "no"), OSError(errno.EIO, "no"), BlockingIOError(errno.EAGAIN, "no")):
        with pytest.raises(type(error)) as found, reading(tmp_path):
            raise error
        assert found.value is error
        assert (error.errno, error.filename) == (error.errno, str(tmp_path))
    named = FileNotFoundError(errno.ENOENT, "no", "another")
    with pytest.raises(FileNotFoundError) as found, reading(tmp_path):
        raise named
    assert found.value.filename == "another"
    with pytest.raises(OSError, match="Cannot allocate memory") as found, reading(tmp_path):
        raise MemoryError
    assert (found.value.errno, found.value.filename) == (errno.ENOMEM, str(tmp_path))


@pytest.mark.parametrize(
    "error",
    [
        ValueError("a\nb\x1b[2J"),
        KeyError("k"),
        RecursionError("deep"),
        OverflowError(),
        OSError("said by zlib"),
        EOFError(),
    ],
)
def test_all_other_errors_begin_with_the_path(error):
    with pytest.raises(ValueError, match=r"^x\.npz: not a file: .") as found, reading("x.npz", "not a file"):
        raise error
    assert str(found.value).isprintable()
    for stop in (KeyboardInterrupt, SystemExit, GeneratorExit):
        with pytest.raises(stop), reading("x.npz"):
            raise stop


def test_messages_are_short_and_plain():
    with pytest.raises(ValueError, match=r"^x: a\\x1b") as found, reading("x"):
        raise ValueError("x: a\x1b[31m" + "b" * 10_000)
    assert len(str(found.value)) < 600
    assert str(found.value).isprintable()


# -- pickles ----------------------------------------------------------------------------------------------------------

THINGS = {
    "Array": fe.array([1.0, 2.0], "int4"),
    "Quantized": fe.quantize(np.ones(32, np.float32), "mxfp4"),
    "float": fe.dtype("float8_e4m3fn"),
    "int": fe.dtype("q3.12"),
    "table": fe.TableFormat("t", [0.5, 1.5]),
    "Profile": fe.profile("torch"),
}
SPOILT = {
    "Array": [{"codes": np.uint8([200])}, {"codes": np.float32([1])}, {"format": 3}, {"profile": 3}, {"codes": None}],
    "Quantized": [{"codes": np.full(32, 99, np.uint8)}, {"scales": None}, {"layout": 3}, {"scheme": "none"}],
    "float": [{"bits": 10**9}, {"bits": "8"}, {"precision": 0}, {"profile": 3}],
    "int": [{"bits": 10**9}, {"bits": 0}, {"encoding": "none"}],
    "table": [{"entries": ()}, {"entries": (float("nan"), 1.0)}, {"name": 3}],
    "Profile": [{"overflow": "none"}, {"rounding": 3}, {"nan_code": "x"}],
}


@pytest.mark.parametrize("kind", THINGS)
def test_pickles_are_checked(kind):
    thing = THINGS[kind]
    state = thing.__reduce_ex__(4)[2]
    for again in (pickle.loads(pickle.dumps(thing)), copy.copy(thing), copy.deepcopy(thing)):
        assert type(again) is type(thing)
        same = again.format == thing.format if kind == "Array" else True
        assert same
        if kind not in ("Array", "Quantized"):
            assert again == thing
            assert hash(again) == hash(thing)
    for spoilt in (*({**state, **change} for change in SPOILT[kind]), None, 3, *([{}] if kind != "Profile" else [])):
        with pytest.raises((ValueError, TypeError)):
            object.__new__(type(thing)).__setstate__(spoilt)


READERS = {
    "fe.load": (fe.load, ".npy .npz .safetensors"),
    "open_arrays": (open_arrays, ".npy .npz .safetensors"),
    "raw": (lambda path: open_arrays(path, dtype="float32", raw=True), ".bin .odd"),
    "vectors": (lambda path: vectors.read(path, claim=CLAIM), ".tv .hex .csv .jsonl .npz"),
    "recordings": (recordings, ".probe .zip"),
    "is_recording": (is_recording, ".probe .tv"),
    "resume": (lambda path: fe.audit(CLAIM.answer, CLAIM, resume=path), ".npz"),
    "library": (lambda path: library(path, "f"), ".so"),
}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
@pytest.mark.parametrize("name", READERS)
def test_no_reader_waits_for_a_pipe_or_reads_a_device(name, tmp_path):
    """A pipe that nobody writes to and a device without an end are refused; of folders and circles the system tells."""
    call, endings = READERS[name]

    def late(number, frame):
        raise TimeoutError("it waits")

    before = signal.signal(signal.SIGALRM, late)
    try:
        for ending in endings.split():
            pipe, device, circle, folder = (tmp_path / f"{kind}{ending}" for kind in ("p", "d", "c", "f"))
            os.mkfifo(pipe)
            device.symlink_to("/dev/zero")
            circle.symlink_to(circle)
            folder.mkdir()
            for path in (pipe, device):
                signal.alarm(20)
                refused(call, path, "a pipe or a device")
                signal.alarm(0)
            for path in (circle, folder):
                with pytest.raises(OSError, match=f"{ending}'$") as error:
                    call(path)
                assert error.value.filename == str(path)
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("name", ["a\x1b[31m", "a\nb", "a\u202eb", "x" * 2000, "", " "])
def test_names_stand_on_a_line(name):
    """Names of formats, schemes and profiles are printed in every message: they hold nothing that a terminal obeys."""
    for make in (
        lambda: fe.FloatFormat(name, bits=8, precision=3),
        lambda: fe.IntFormat(name, 8),
        lambda: fe.TableFormat(name, [0, 1]),
        lambda: fe.ScaledFormat("float8_e4m3fn", 32, name=name),
        lambda: fe.Profile(name),
        lambda: fe.profile("ieee").replace(name=name),
    ):
        with pytest.raises(ValueError, match=r"name must (not be empty|be at most)"):
            make()


def test_an_audit_that_goes_on_goes_on_from_what_fits_together(tmp_path):
    """Counts, lists and columns of a kept audit are held to each other: no edit makes a failed audit pass."""
    path, wrong = tmp_path / "audit.npz", CLAIM.replaced(rounding="toward_zero")
    begun = fe.audit(wrong.answer, CLAIM, resume=path)
    assert 1 < begun.different < begun.checked == 256
    with np.load(path) as archive:
        kept = dict(archive)
    state = json.loads(str(kept.pop("state")))
    row = state["differences"][0]

    def states():
        for word in ("checked", "different", "wrong"):
            for number in (None, -1, 0, 1, 1.5, True, 1 << 40, 1 << 70, "5", [], state[word] + 1):
                yield {word: number}
        yield {"different": 0, "wrong": 0}
        yield {"different": 0, "wrong": 0, "differences": []}
        for other in (None, 5, [], [[1]], "abc", [["x"], *row[1:]], [[256], *row[1:]], [[1, 2], *row[1:]]):
            yield {"differences": [other, *state["differences"][1:]]}
        for place, number in ((1, -1), (2, 256), (2, 1.5), (3, 1), (4, "\x1b[31m")):
            yield {"differences": [[*row[:place], number, *row[place + 1 :]], *state["differences"][1:]]}
        yield {"differences": state["differences"][1:]}
        yield {"differences": state["differences"] * 2}

    def columns():
        for name, column in kept.items():
            yield {name: column[1:]}
            yield {name: column.astype(np.int16)}
            yield {name: column.astype(np.uint64) + np.uint64(256)}
            yield {name: column[:, None]}
        yield {name: column[1:] for name, column in kept.items()}
        yield {name: column[:0] for name, column in kept.items()}
        yield {"3": kept["0"]}

    for changes in states():
        np.savez(path, state=np.array(json.dumps(state | changes)), **kept)
        refused(lambda path: fe.audit(wrong.answer, CLAIM, resume=path), path, "not an audit to resume|its state")
    for changes in columns():
        np.savez(path, state=np.array(json.dumps(state)), **kept | changes)
        refused(lambda path: fe.audit(wrong.answer, CLAIM, resume=path), path, "not an audit to resume|its state")
    np.savez(path, state=np.array(json.dumps(state)), **kept)
    assert fe.audit(wrong.answer, CLAIM, resume=path).to_dict() == begun.to_dict()


def test_the_longest_name_changes_nothing():
    """Names that are made of a name find room too."""
    x = np.float32([1.0, 1e30, -0.3, 0.01] * 8)
    for make in (
        lambda name: fe.FloatFormat(name, bits=8, precision=3),
        lambda name: fe.ScaledFormat(fe.TableFormat(name, [-1, 0, 0.25, 1]), 32, name="books"),
    ):
        long, short = (fe.report(x, [make(name)], scale=None).to_dict()["rows"][0] for name in ("a" * 1000, "a"))
        assert long | {"format": ""} == short | {"format": ""}
