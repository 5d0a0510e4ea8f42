"""The test bench: all shapes of vectors, clocks, units that must not pass, arguments that are refused."""

from __future__ import annotations

import numpy as np
import pytest

import fpemu as fe
from fpemu.verification import vectors
from fpemu.verification.audits import recorded
from fpemu.verification.claims import Batch, Claim
from tests.rtl.units import compiled, simulated

NARROW = Claim.of("cast", "float8_e5m2", source="float16")


def unit(ports, text, name="unit"):
    return f"module {name} ({', '.join(ports)});\n{text}\nendmodule\n"


def built(folder, claim, text, *, made=None, word_bits=None, defines=(), **how):
    """A simulation of a unit and the bench for a claim's vectors."""
    if made is None:
        made = vectors.generate(claim, limit=1 << 8, per_cell=1, random=301)
    path = vectors.write(folder / "vectors.hex", made, word_bits=word_bits)
    vectors.write_bench(folder / "bench.v", path, **how)
    (folder / "unit.v").write_text(text)
    return compiled(folder, [folder / "bench.v", folder / "unit.v"], *defines)


# -- shapes -----------------------------------------------------------------------------------------------------------

# A claim that a line of Verilog answers, the unit's ports and that line
SHAPES = {
    "one bit of one operand": (Claim.of("is_sign_minus", "float16"), ("input [15:0] x", "output result"), "x[15]"),
    "a truth value with flags": (
        Claim.of("less", "int7"),
        ("input signed [6:0] x", "input signed [6:0] y", "output result", "output [4:0] flags"),
        "x < y",
    ),
    "64 bits": (
        Claim.of("negative", "float64"),
        ("input [63:0] x", "output [63:0] result"),
        "{~x[63], x[62:0]}",
    ),
    "three widths": (
        Claim.of("fma", operands=["int5", "int7", "int12"], result="int20"),
        (
            *("input signed [4:0] x", "input signed [6:0] y", "input signed [11:0] z"),
            *("output signed [19:0] result", "output [4:0] flags"),
        ),
        "x * y + z",
    ),
    "one bit each": (Claim.of("add", "uint1", result="uint2"), ("input x", "input y", "output [1:0] result"), "x + y"),
}


def columns(batches):
    """Operands and results of all batches."""
    parts = zip(*((*batch.operands, batch.result) for batch in batches), strict=True)
    return [np.concatenate(part) for part in parts]


@pytest.mark.parametrize("words", [1, 3])
@pytest.mark.parametrize("shape", SHAPES)
def test_shapes(icarus, tmp_path, shape, words):
    claim, ports, text = SHAPES[shape]
    flags = ports[-1].endswith("flags")
    made = vectors.generate(claim, limit=1 << 8, per_cell=1, random=301)
    bits = sum(fmt.bits for fmt in claim.operands) + (1 if claim.result is None else claim.result.bits)
    word_bits = None if words == 1 else -(-(bits + 5) // 4) * 4 * words
    lines = f"assign result = {text};" + "\nassign flags = 0;" * flags
    path = built(tmp_path, claim, unit(ports, lines), made=made, word_bits=word_bits, flags=flags)
    assert simulated(path, "+answers=a.tv", "+exact_nan") == (0, f"PASS: all {made.count} vectors\n")
    answered = vectors.read(tmp_path / "a.tv", claim=claim)
    assert answered.has_flags == flags
    for found, right in zip(columns(answered), columns(made), strict=True):
        np.testing.assert_array_equal(found, right)
    wrong = built(tmp_path, claim, unit(ports, lines.replace(text, f"~({text})")), made=made, flags=flags)
    done = simulated(wrong)
    assert done.status == 1
    assert done.out.endswith(f"FAIL: {made.count} of {made.count} vectors differ\n")


def test_what_a_difference_looks_like(icarus, tmp_path):
    claim = Claim.of("subtract", operands=["int5", "int9"], result="int12")
    made = [Batch((np.uint8([3, 31]), np.uint16([1, 0])), np.uint16([2, 4095]), np.uint8([0, 0]))]
    ports = ("input [4:0] a", "input signed [8:0] y", "output [11:0] difference", "output [4:0] flags")
    path = vectors.write(tmp_path / "vectors.hex", made, claim=claim)
    vectors.write_bench(
        tmp_path / "bench.v", path, module="minus", ports={"x": "a", "result": "difference"}, flags=True
    )
    text = "assign difference = $signed({1'b0, a}) - y;\nassign flags = a[4] ? 5'h10 : 0;"
    (tmp_path / "minus.v").write_text(unit(ports, text, "minus"))
    done = simulated(compiled(tmp_path, [tmp_path / "bench.v", tmp_path / "minus.v"]), "+answers=a.tv")
    shown = "vector 1: x 1f y 000: expected fff, got 01f; flags: expected 00, got 10\n"
    assert done == (1, f"{shown}FAIL: 1 of 2 vectors differ\n")
    assert (tmp_path / "a.tv").read_text() == "03 001 002 00\n1f 000 01f 10\n"
    found = fe.audit(recorded(vectors.read(tmp_path / "a.tv", claim=claim)), claim, flags=True)
    assert [each.actual for each in found.differences] == [0x1F]


def test_any_nan_is_as_good_as_another(icarus, tmp_path):
    ports = ("input [15:0] x", "output [7:0] result")
    text = (
        "wire [15:0] up = x + 16'h7F + x[8];\n"
        "assign result = x[14:0] > 15'h7C00 ? 8'h7D : x[14:0] == 15'h7C00 ? x[15:8] : up[15:8];"
    )
    path = built(tmp_path, NARROW, unit(ports, text), made=vectors.generate(NARROW))
    assert simulated(path).out == "PASS: all 65536 vectors\n"
    exact = simulated(path, "+exact_nan")
    assert exact.status == 1
    assert exact.out.endswith(f"FAIL: {2 * 1023} of 65536 vectors differ\n")
    infinity = built(tmp_path, NARROW, unit(ports, text.replace("7D", "7C")), made=vectors.generate(NARROW))
    assert simulated(infinity).status == 1


# -- clocks -----------------------------------------------------------------------------------------------------------

CLOCKED = ("input clk", "input [15:0] x", "output reg [15:0] result")
NEGATIVE = Claim.of("negative", "bfloat16")
PIPELINE = """
    reg [15:0] first;
    always @(posedge clk) begin
        first <= x;
        result <= {~first[15], first[14:0]};
    end
"""
# Looks at its operand every fourth clock, and answers two clocks later
IN_FOURS = """
    reg [1:0] count = 0;
    reg [15:0] seen;
    always @(posedge clk) begin
        count <= count + 1;
        if (count == 0) seen <= x;
        if (count == 2) result <= {~seen[15], seen[14:0]};
    end
"""


def test_latency(icarus, tmp_path):
    path = built(tmp_path, NEGATIVE, unit(CLOCKED, PIPELINE), latency=2)
    assert simulated(path).status == 0
    for latency in (0, 1, 3):
        done = simulated(path, f"+latency={latency}")
        assert done.status == 1
        assert "vectors differ" in done.out
    assert "got xxxx" in simulated(path, "+latency=1").out  # nothing has come out yet
    assert simulated(path, "+interval=2").status == 0


def test_interval(icarus, tmp_path):
    path = built(tmp_path, NEGATIVE, unit(CLOCKED, IN_FOURS), latency=3)
    assert simulated(path, "+interval=4").status == 0
    assert simulated(path, "+interval=4", "+latency=6").status == 0  # it holds
    assert simulated(path, "+interval=4", "+latency=7").status == 1
    assert simulated(path).status == 1
    assert simulated(path, "+interval=0") == (
        1,
        "latency must be 0 or more, interval 1 or more\nFAIL: no vectors were run\n",
    )


def test_timescale(icarus, tmp_path):
    text = unit(("input [15:0] x", "output [15:0] result"), "assign #1.5 result = {~x[15], x[14:0]};")
    path = built(tmp_path, NEGATIVE, "`timescale 1ns / 1ps\n" + text, defines=("-DTIMESCALE",))
    assert simulated(path).status == 1  # a nanosecond is not enough
    slow = compiled(tmp_path, [tmp_path / "bench.v", tmp_path / "unit.v"], "-DTIMESCALE", "-Pbench.HALF_PERIOD=2")
    assert simulated(slow).status == 0


# -- what must not pass -----------------------------------------------------------------------------------------------

LESS = Claim.of("less", "float8_e5m2")


@pytest.mark.parametrize("value", ["x", "z"])
@pytest.mark.parametrize("output", ["result", "flags"])
def test_unknown_outputs_are_differences(icarus, tmp_path, value, output):
    claim = Claim.of("add", "int4", result="int5")
    ports = ("input signed [3:0] x", "input signed [3:0] y", "output signed [4:0] result", "output [4:0] flags")
    given = {"result": "x + y", "flags": "5'd0"}
    given[output] = f"x[0] ? {given[output]} : 5'sb{value}"
    text = "".join(f"assign {port} = {value};\n" for port, value in given.items())
    path = built(tmp_path, claim, unit(ports, text), flags=True)
    done = simulated(path, "+answers=a.tv")
    assert done.status == 1
    assert done.out.endswith("FAIL: 128 of 256 vectors differ\n")
    with pytest.raises(ValueError, match=f"{value}.*: it is malformed"):
        vectors.read(tmp_path / "a.tv", claim=claim)


def test_no_vectors_are_no_pass(icarus, tmp_path):
    path = built(tmp_path, LESS, unit(("input [7:0] x", "input [7:0] y", "output result"), "assign result = 0;"))
    file = tmp_path / "vectors.hex"
    text = file.read_text()
    assert simulated(path, "+vectors=none.hex") == (
        1,
        "no vectors: cannot read none.hex\nFAIL: no vectors were run\n",
    )
    vectors.write(tmp_path / "others.hex", vectors.generate(LESS, limit=1 << 8, per_cell=1, random=301, seed=1))
    (tmp_path / "empty.hex").write_text("")
    for name in ("others.hex", "empty.hex"):
        refused = f"no vectors: {name} is not the file that this bench was written for\nFAIL: no vectors were run\n"
        assert simulated(path, f"+vectors={name}") == (1, refused)
    (tmp_path / "elsewhere").mkdir()
    file.rename(tmp_path / "elsewhere/again.hex")
    assert "vectors differ" in simulated(path, "+vectors=elsewhere/again.hex").out
    file.write_text("".join(line for line in text.splitlines(True) if len(line) > 8))  # no words at all, but the hash
    done = simulated(path)
    assert done.status == 1
    assert "x xx y xx: expected x" in done.out


def test_answers_must_be_written(icarus, tmp_path):
    path = built(tmp_path, NEGATIVE, unit(CLOCKED, PIPELINE), latency=2)
    done = simulated(path, "+answers=no/such/folder.tv")
    assert done.status == 1
    assert done.out.endswith("cannot write no/such/folder.tv\nFAIL: no vectors were run\n")


# -- the door ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "kind", "words"),
    [
        ({"module": "bench"}, ValueError, "'bench' is the bench's own name"),
        ({"module": "7up"}, ValueError, "'7up' is not a Verilog name"),
        ({"module": 7}, TypeError, "module must be a name, not int"),
        ({"ports": {"a": "x"}}, ValueError, "no port 'a': it has x, result"),
        ({"ports": {"flags": "f"}}, ValueError, "no port 'flags'"),
        ({"ports": {"x": "a b"}}, ValueError, "port x: 'a b' is not a Verilog name"),
        ({"ports": {"x": "result"}}, ValueError, "two ports have one name: result, result"),
        ({"latency": -1}, ValueError, "latency must be 0 or more, not -1"),
        ({"latency": 1.5}, TypeError, "latency must be an int, not float"),
        ({"flags": True}, ValueError, "no flags to compare"),
    ],
)
def test_refusals(tmp_path, how, kind, words):
    path = vectors.write(tmp_path / "a.hex", vectors.generate(Claim.of("is_nan", "float8_e5m2")))
    with pytest.raises(kind, match=words):
        vectors.write_bench(tmp_path / "bench.v", path, **how)
    assert not (tmp_path / "bench.v").exists()


def test_files_that_will_not_do(tmp_path):
    bench = tmp_path / "bench.v"
    with pytest.raises(ValueError, match=r"a\.csv: a bench reads the layout readmemh, not csv"):
        vectors.write_bench(bench, vectors.write(tmp_path / "a.csv", vectors.generate(LESS)))
    none = vectors.write(tmp_path / "none.hex", vectors.generate(LESS, limit=0, per_cell=0, random=0))
    with pytest.raises(ValueError, match="there are no vectors"):
        vectors.write_bench(bench, none)
    codes = np.uint8([1, 2])
    silent = vectors.write(tmp_path / "a.hex", [Batch((codes, codes), np.uint8([0, 0]), None)], claim=LESS)
    with pytest.raises(ValueError, match=r"a\.hex: there are no flags to compare"):
        vectors.write_bench(bench, silent, flags=True)
    with pytest.raises(FileNotFoundError):
        vectors.write_bench(bench, tmp_path / "not_there.hex")
