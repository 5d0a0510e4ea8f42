"""Vectors in files: read back unchanged, in every layout; truncated, edited or mixed-up files are refused."""

from __future__ import annotations

import csv
import io
import json
import shutil

import ml_dtypes
import numpy as np
import pytest

import fpemu as fe
from fpemu.verification import vectors
from fpemu.verification.audits import recorded
from fpemu.verification.claims import Batch, Claim
from fpemu.verification.vectors.headers import Hash
from fpemu.verification.vectors.layouts import Line, MemoryWords, fields_of
from fpemu.verification.vectors.writing import write_lines

ADD = Claim.of("add", "float16", rounding="toward_zero", profile="riscv")
NARROW = Claim.of("multiply", "float4_e2m1fn")
CLAIMS = [
    (ADD, {"limit": 0, "per_cell": 1, "random": 70_000}),
    (NARROW, {}),
    (Claim.of("fma", "float6_e2m3fn"), {"limit": 0, "per_cell": 1, "random": 500}),
    (Claim.of("less", "float8_e5m2"), {"limit": 0, "random": 500}),
    (Claim.of("is_nan", "bfloat16"), {"limit": 0, "random": 500}),
    (Claim.of("cast", "nf4", source="float16"), {"limit": 0, "random": 500}),
    (Claim.of("cast", "int5", source="float32"), {"random": 500}),
    (Claim.of("divide", "float64"), {"per_cell": 1, "random": 500}),
    (Claim.of("add", fe.FloatFormat("mine", 7, 3), result="float16", operands=[fe.FloatFormat("mine", 7, 3)] * 2), {}),
]
ENDINGS = {".tv": {}, ".hex": {}, ".mem": {"word_bits": 256}, ".csv": {}, ".jsonl": {}, ".npz": {}}


def columns(found):
    parts = ([*batch.operands, batch.result, *([] if batch.flags is None else [batch.flags])] for batch in found)
    return [np.concatenate(part) for part in zip(*parts, strict=True)]


def same(one, other):
    for a, b in zip(columns(one), columns(other), strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)


# -- there and back ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize(("claim", "words"), CLAIMS, ids=lambda part: getattr(part, "operation", ""))
def test_a_file_read_back_gives_the_same_vectors(claim, words, ending, tmp_path):
    made = vectors.generate(claim, seed=3, **words)
    path = vectors.write(tmp_path / f"vectors{ending}", made, **ENDINGS[ending])
    found = vectors.read(path)
    assert found.claim == claim
    assert (found.count, len(found), found.has_flags) == (made.count, made.count, claim.has_flags)
    same(found, made)
    same(found, made)  # again
    assert found.header["seed"] == "3"
    assert found.header["fpemu"] == fe.__version__
    assert found.header["tininess"] == claim.profile.tininess.value
    assert found.header["coverage"].startswith(f"{len(made.coverage)} cells: ")
    assert all(batch.result.size <= 1 << 16 for batch in found)
    leftovers = {each.name for each in tmp_path.iterdir()} - {path.name, f"{path.name}.json"}
    assert not leftovers


@pytest.mark.parametrize("ending", ENDINGS)
def test_no_vectors_come_back_as_none(ending, tmp_path):
    none = vectors.generate(NARROW, limit=0, per_cell=0, random=0)
    found = vectors.read(vectors.write(tmp_path / f"none{ending}", none))
    assert (found.count, list(found)) == (0, [])


def test_the_hash_is_of_the_vectors_not_of_the_layout(tmp_path):
    made = vectors.generate(NARROW)
    hashes = {
        vectors.read(vectors.write(tmp_path / f"a{end}", made, **how)).header["sha256"] for end, how in ENDINGS.items()
    }
    assert len(hashes) == 1
    one, many = Hash(), Hash()
    one.add([np.arange(10, dtype=np.uint16), np.arange(10, dtype=np.uint8)])
    for start in range(0, 10, 3):
        many.add([np.arange(10, dtype=kind)[start : start + 3] for kind in (">u2", np.uint8)])
    assert one.of({"a": "b", "layout": "csv"}) == many.of({"a": "b", "layout": "npz"})
    assert one.of({"a": "b"}) != one.of({"a": "c"})


def test_from_file_to_file_and_from_batches(tmp_path):
    made = vectors.generate(ADD, limit=0, per_cell=1, random=100)
    first = vectors.read(vectors.write(tmp_path / "a.tv", made))
    second = vectors.read(vectors.write(tmp_path / "b.hex", first))
    same(second, made)
    assert second.header["sha256"] == first.header["sha256"]
    batches = list(made)
    third = vectors.read(vectors.write(tmp_path / "c.csv", batches, claim=ADD))
    same(third, made)
    assert "seed" not in third.header
    assert fe.audit(recorded(third, third.claim)).passed
    with pytest.raises(TypeError, match="specify the claim"):
        vectors.write(tmp_path / "d.csv", batches)
    without = [Batch(batch.operands, batch.result, None) for batch in batches]
    assert not vectors.read(vectors.write(tmp_path / "e.jsonl", without, claim=ADD)).has_flags


# -- how they look ----------------------------------------------------------------------------------------------------


def test_testfloat_lines(tmp_path):
    """As testfloat_gen prints f16_add: operands, result, flags; hexadecimal, two digits of flags."""
    batch = Batch(
        (np.uint16([0x3C00, 0x7BFF]), np.uint16([0x0001, 0x7BFF])), np.uint16([0x3C00, 0x7C00]), np.uint8([1, 5])
    )
    path = vectors.write(tmp_path / "f16_add.tv", [batch], claim=Claim.of("add", "float16"))
    assert path.read_text() == "3C00 0001 3C00 01\n7BFF 7BFF 7C00 05\n"
    same(vectors.read(path), [batch])
    truth = Batch((np.uint8([1]), np.uint8([2])), np.uint8([1]), np.uint8([0]))
    path = vectors.write(tmp_path / "lt.txt", [truth], claim=Claim.of("less", "float8_e5m2"))
    assert path.read_text() == "01 02 1 00\n"


def test_readmemh_words(tmp_path):
    """{x, y, result, flags} with flags in the lowest bits; the first vector of a word lowest."""
    fields = fields_of(Claim.of("add", "float8_e5m2"), True)
    batch = [np.uint8([0x12, 0x9A]), np.uint8([0x34, 0xBC]), np.uint8([0x56, 0xDE]), np.uint8([0x01, 0x1F])]
    first, second = (0x123456 << 5 | 1, 0x9ABCDE << 5 | 0x1F)
    assert MemoryWords(fields).text(batch) == f"{first:08X}\n{second:08X}\n".encode()
    assert MemoryWords(fields, 64).text(batch) == f"{second << 29 | first:016X}\n".encode()
    assert MemoryWords(fields, 128).text([part[:1] for part in batch]) == f"{first:032X}\n".encode()
    with pytest.raises(ValueError, match="a multiple of 4, and 29 or more"):
        MemoryWords(fields, 28)
    with pytest.raises(ValueError, match="a multiple of 4"):
        MemoryWords(fields, 30)


def test_other_people_read_them(tmp_path):
    made = vectors.generate(NARROW)
    x, y, result, flags = columns(made)
    with np.load(vectors.write(tmp_path / "a.npz", made)) as file:
        np.testing.assert_array_equal(file["vectors"]["operand_2"], y)
        assert json.loads(str(file["header"]))["operation"] == "multiply"
    lines = [json.loads(line) for line in vectors.write(tmp_path / "a.jsonl", made).read_text().splitlines()]
    assert lines[0]["header"]["rounding"] == "nearest_even"
    assert [int(line["result"], 16) for line in lines[1:-1]] == result.tolist()
    assert [int(line["operands"][0], 16) for line in lines[1:-1]] == x.tolist()
    lines = vectors.write(tmp_path / "a.csv", made).read_text().splitlines()
    rows = list(csv.DictReader(line for line in lines if not line.startswith("#")))
    assert list(rows[0]) == ["operand_1", "operand_2", "result", "flags"]
    assert [int(row["flags"], 16) for row in rows] == flags.tolist()


def test_testfloats_own_lines(tmp_path):
    """Without a companion file, with small letters and other blanks; their claim must be specified."""
    path = tmp_path / "foreign.tv"
    path.write_text("3c00  0001 3c00 01\r\n7BFF\t7BFF 7C00 05")
    claim = Claim.of("add", "float16")
    found = vectors.read(path, claim=claim)
    assert found.count == 2
    assert fe.audit(recorded(found, claim), flags=True).passed
    with pytest.raises(FileNotFoundError, match="specify the claim"):
        vectors.read(path)
    path.write_text("3C00 0001 3C00\n")
    assert not vectors.read(path, claim=claim).has_flags
    for text, message in {
        "3C00 0001 3C00 01\n3C00 0001 3C00\n": "line 2: '3C00 0001 3C00': it is malformed",
        "3C00 0001 3C00 01\n\n": "line 2: '': it is malformed",
        "3C00 0001 3C00 01\n3C00 00g1 3C00 01\n": "line 2: '3C00 00g1 3C00 01': it is malformed",
        "3C00 0001 3C00 20\n": "line 1: '3C00 0001 3C00 20': flags is 0x20, but its codes are below 0x20",
    }.items():
        path.write_text(text)
        with pytest.raises(ValueError, match=message):
            vectors.read(path, claim=claim)


# -- witnesses --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["float16", "float32", "bfloat16"])
@pytest.mark.parametrize("operation", ["add", "subtract", "multiply", "divide"])
def test_the_cpu_and_ml_dtypes_agree(name, operation, tmp_path):
    """The contents of a file, compared with arithmetic of numpy's types (the FPU's) and ml_dtypes' types."""
    kind = ml_dtypes.bfloat16 if name == "bfloat16" else np.dtype(name)
    path = vectors.write(
        tmp_path / "a.tv", vectors.generate(Claim.of(operation, name), limit=0, per_cell=1, random=3000)
    )
    x, y, result, _ = (part.view(kind) if part.dtype.itemsize > 1 else part for part in columns(vectors.read(path)))
    with np.errstate(all="ignore"):
        want = getattr(np, operation)(x, y)
    np.testing.assert_array_equal(np.isnan(want), np.isnan(result))
    same_bits = result.view(f"u{result.itemsize}") == want.view(f"u{result.itemsize}")
    assert (same_bits | np.isnan(want)).all()


@pytest.mark.parametrize("name", ["float8_e5m2", "float16"])
@pytest.mark.parametrize("mode", ["TIES_EVEN", "TO_ZERO", "TO_POS"])
def test_apytypes_agrees(name, mode, tmp_path):
    apytypes = pytest.importorskip("apytypes")
    fmt = fe.dtype(name)
    rounding = {"TIES_EVEN": "nearest_even", "TO_ZERO": "toward_zero", "TO_POS": "toward_positive"}[mode]
    for operation, call in {"add": "__add__", "multiply": "__mul__", "divide": "__truediv__"}.items():
        claim = Claim.of(operation, name, rounding=rounding)
        path = vectors.write(tmp_path / "a.csv", vectors.generate(claim, limit=0, per_cell=1, random=500))
        x, y, result, _ = columns(vectors.read(path))
        a, b = (
            apytypes.APyFloatArray.from_bits(part.tolist(), fmt.exponent_bits, fmt.trailing_bits) for part in (x, y)
        )
        with apytypes.APyFloatQuantizationContext(getattr(apytypes.QuantizationMode, mode)):
            want = np.array(getattr(a, call)(b).to_bits(), fmt.code_dtype)
        nan = fe.is_nan(fe.Array(result, fmt)), fe.is_nan(fe.Array(want, fmt))
        np.testing.assert_array_equal(*nan)
        np.testing.assert_array_equal(result[~nan[0]], want[~nan[0]])


def test_mpfr_agrees():
    gmpy2 = pytest.importorskip("gmpy2")
    x, y, z, result, flags = columns(
        vectors.generate(Claim.of("fma", "float32"), limit=0, per_cell=1, random=2000, seed=2)
    )
    rows = np.random.default_rng(0).choice(x.size, 4000, replace=False)
    with gmpy2.context(gmpy2.ieee(32)) as about:
        for row in rows.tolist():
            a, b, c, right = (float(part.view(np.float32)[row]) for part in (x, y, z, result))
            about.clear_flags()
            found = float(gmpy2.fma(gmpy2.mpfr(a), gmpy2.mpfr(b), gmpy2.mpfr(c)))
            assert found == right or (found != found and right != right)
            if right == right and np.isfinite([a, b, c]).all():
                assert bool(flags[row] & 1) == about.inexact
                assert bool(flags[row] & 4) == about.overflow


# -- what is refused --------------------------------------------------------------------------------------------------


def written(folder, ending, claim=NARROW):
    return vectors.write(folder / f"a{ending}", vectors.generate(claim))


TEXTS = [".tv", ".hex", ".csv", ".jsonl"]


@pytest.mark.parametrize("ending", TEXTS)
def test_truncated_files_say_where(ending, tmp_path):
    path = written(tmp_path, ending)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:100]))
    where = 101 if ending == ".tv" else 100
    with pytest.raises(
        ValueError, match=rf"line {where}: .*(the file ends, after 100 of 256|not the line with the hash)"
    ):
        vectors.read(path)
    path.write_bytes(b"".join(lines)[:-3])
    with pytest.raises(ValueError, match=r"line \d+: .*(ends, after|not the line with the hash)"):
        vectors.read(path)
    path.write_bytes(b"")
    with pytest.raises(ValueError, match=r"line [01]: "):
        vectors.read(path)


@pytest.mark.parametrize("ending", TEXTS)
def test_edited_lines_are_found(ending, tmp_path):
    path = written(tmp_path, ending)
    lines = path.read_bytes().splitlines(keepends=True)
    number = len(lines) - 40
    digit = max(k for k, byte in enumerate(lines[number]) if chr(byte) in "0123456789ABCDEF")
    digit -= 0 if ending == ".hex" else 5 if ending == ".tv" else 0
    for place, byte in ((digit, b"G"), (0, b"#")):
        changed = bytearray(lines[number])
        changed[place : place + 1] = byte
        path.write_bytes(b"".join([*lines[:number], bytes(changed), *lines[number + 1 :]]))
        with pytest.raises(ValueError, match=rf"line {number + 1}: "):
            vectors.read(path)
    changed = bytearray(lines[number])
    changed[digit] = ord("1") if changed[digit] == ord("0") else ord("0")
    path.write_bytes(b"".join([*lines[:number], bytes(changed), *lines[number + 1 :]]))
    with pytest.raises(ValueError, match=rf"line {number + 1}: .*(was written as|codes are below)"):
        vectors.read(path)
    path.write_bytes(b"".join([*lines[:number], *lines[number + 1 :]]))  # a line is gone
    with pytest.raises(ValueError, match=r"line \d+"):
        vectors.read(path)
    path.write_bytes(b"".join([*lines[: number + 1], *lines[number:]]))  # a line comes twice
    with pytest.raises(ValueError, match=r"line \d+"):
        vectors.read(path)
    path.write_bytes(
        b"".join([*lines[:number], lines[number + 1], lines[number], *lines[number + 2 :]])
    )  # two are swapped
    with pytest.raises(ValueError, match=rf"line {number + 1}: .* was written as"):
        vectors.read(path)


@pytest.mark.parametrize("ending", [".hex", ".csv"])
def test_edited_headers_are_found(ending, tmp_path):
    path = written(tmp_path, ending)
    text = path.read_text()
    for old, new, message in [
        ("rounding: nearest_even", "rounding: toward_zero", "was written as|the header was edited"),
        ("seed: 0", "seed: 1", "the header was edited"),
        ("vectors: 256", "vectors: 250", r"line \d+: .*follows, after all 250"),
        ("vectors: 256", "vectors: 300", r"line \d+: "),
        ("vectors: 256", "vectors: many", "'vectors' is not a number"),
        ("operation: multiply", "operation: multipy", "does not describe a claim: no operation 'multipy'"),
        ("operation: multiply\n", "operation multiply\n", "line 2: .*it has no colon"),
        ("layout: ", "layout: x", "its header is of the layout"),
        ("overflow: ", "overflw: ", "unknown word 'overflw'"),
    ]:
        assert old in text
        path.write_text(text.replace(old, new, 1))
        with pytest.raises(ValueError, match=message):
            vectors.read(path)


def test_mixed_up_companions(tmp_path):
    one = vectors.write(tmp_path / "one.tv", vectors.generate(NARROW))
    other = vectors.write(tmp_path / "other.tv", vectors.generate(NARROW.replaced(rounding="toward_zero")))
    shutil.copy(f"{other}.json", f"{one}.json")
    with pytest.raises(ValueError, match=r"one\.tv, line \d+: result is .* was written as"):
        vectors.read(one)
    shutil.copy(
        vectors.write(tmp_path / "third.tv", vectors.generate(ADD, limit=0, random=5)).with_name("third.tv.json"),
        f"{one}.json",
    )
    with pytest.raises(ValueError, match=r"one\.tv, line 1: "):
        vectors.read(one)
    for text in ("", "[]", '{"header": []}', '{"header": {"operation": 3}}'):
        (tmp_path / "one.tv.json").write_text(text)
        with pytest.raises(ValueError, match=r"one\.tv\.json"):
            vectors.read(one)


def test_damaged_npz(tmp_path):
    path = written(tmp_path, ".npz")
    whole = path.read_bytes()
    for text in (b"", whole[:100], whole[:-30], b"x" * 500):
        path.write_bytes(text)
        with pytest.raises(ValueError, match="npz"):
            vectors.read(path)
    place = whole.index(b"vectors.npy") + 300
    path.write_bytes(whole[:place] + b"\x01\x01" + whole[place + 2 :])
    with pytest.raises(ValueError, match=r"damaged|vector"):
        vectors.read(path)
    np.savez(path, vectors=np.zeros(3), header=np.array(json.dumps({"layout": "npz"})))
    with pytest.raises(ValueError, match="npz"):
        vectors.read(path)


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda f: vectors.write(f / "a.bin", vectors.generate(NARROW)), ValueError, "no layout has the suffix '.bin'"),
        (lambda f: vectors.write(f / "a.tv", vectors.generate(NARROW), "xml"), ValueError, "unknown layout 'xml'"),
        (
            lambda f: vectors.write(f / "a.tv", vectors.generate(NARROW), word_bits=64),
            ValueError,
            "for the layout readmemh",
        ),
        (lambda f: vectors.write(f / "no" / "a.tv", vectors.generate(NARROW)), FileNotFoundError, "no such folder"),
        (lambda f: vectors.read(f / "a.tv"), FileNotFoundError, "No such file"),
        (lambda f: vectors.read(written(f, ".csv"), claim=ADD), ValueError, "its header describes multiply"),
    ],
)
def test_errors_at_the_door(call, kind, message, tmp_path):
    with pytest.raises(kind, match=message):
        call(tmp_path)
    assert not [path for path in tmp_path.iterdir() if path.name != "a.csv"]


def test_lines_to_a_stream():
    stream = io.BytesIO()
    header = write_lines(stream, vectors.generate(Claim.of("sqrt", "float8_e5m2")), "testfloat")
    assert stream.getvalue().count(b"\n") == 256
    assert header["layout"] == "testfloat"
    seen = []
    write_lines(io.BytesIO(), vectors.generate(ADD, limit=0, per_cell=0, random=70_000), "csv", progress=seen.append)
    assert sum(seen) == 70_000
    line = Line(fields_of(NARROW, False), ["", " ", " ", "\n"])
    assert line.text([np.uint8([1]), np.uint8([2]), np.uint8([3])]) == b"1 2 3\n"
