"""Numbers on the command line: `inspect`, `calc` and Python read the same text, and round each number once."""

import csv
import json
import math
import random
import re
from fractions import Fraction

import numpy as np
import pytest

import fpemu as fe
from fpemu.formats.facts.literals import read
from fpemu.inspection.accuracy import operation_table
from tests.oracle.spec import Number
from tests.oracle.spec_arithmetic import rounded, sticky

pytest.importorskip("typer")

MODES = ("nearest_even", "nearest_away", "toward_zero", "toward_positive", "toward_negative", "to_odd")


def by_ratio(text):
    """A fraction from JSON, which has long integers in hexadecimal."""
    top, _, bottom = text.partition("/")
    return Fraction(int(top, 0), int(bottom or "1", 0))


def by_calc(run, text, *options):
    (facts,) = run("calc", text, *options, "--json").json
    return facts["result"]["code"], facts["flags"]


# -- the answers that were asked for ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "options", "code", "flags"),
    [
        ("1.00048828125000000001", ("-f", "float16"), 0x3C01, ["inexact"]),
        ("0.1", ("-f", "float64", "--rounding", "toward_negative"), 0x3FB9999999999999, ["inexact"]),
        ("0.1", ("-f", "float64"), 0x3FB999999999999A, ["inexact"]),
        ("1e-400", ("-f", "bf16", "--rounding", "toward_positive"), 0x0001, ["inexact", "underflow"]),
        ("1e-349", ("-f", "bf16", "--rounding", "toward_positive"), 0x0001, ["inexact", "underflow"]),
        ("0x1.01000000000000001p0", ("-f", "bf16"), 0x3F81, ["inexact"]),
        ("1e400", ("-f", "float64"), 0x7FF0000000000000, ["inexact", "overflow"]),
        ("-1e400", ("-f", "float64", "--rounding", "toward_positive"), 0xFFEFFFFFFFFFFFFF, ["inexact", "overflow"]),
        ("1e9999999999", ("-f", "e5m2"), 0x7C, ["inexact", "overflow"]),
        ("1e-9999999999", ("-f", "e5m2", "--rounding", "toward_positive"), 0x01, ["inexact", "underflow"]),
        ("-0x1p-99999999999", ("-f", "e5m2"), 0x80, ["inexact", "underflow"]),
        *(
            (text, ("-f", fmt, "--overflow", "wrap", "--rounding", mode), code, ["invalid"])
            for text, fmt, mode, code in (
                ("1e400", "int8", "nearest_even", 0x00),
                ("1000.5000000000000000000000000001", "int8", "nearest_even", 0xE9),
                (f"{2**200 + 77}.5", "uint8", "nearest_even", 0x4E),
                (f"-{2**200 + 77}.25", "int8", "toward_negative", 0xB2),
                (f"-{2**200 + 77}.25", "int8", "toward_positive", 0xB3),
                (f"{2**200}.0000000001", "int8", "toward_positive", 0x01),
                (f"{2**200}.0000000001", "int8", "to_odd", 0x01),
            )
        ),
    ],
)
def test_numbers_are_read_exactly(run, text, options, code, flags):
    assert by_calc(run, text, *options) == (code, flags)
    (facts,) = run("inspect", text, *options, "--json").json
    assert facts["code"] == code
    assert run("inspect", text, *options).code == 0


def test_calc_does_not_die_or_hang(run):
    """Texts of numbers beyond float64's range, and of exact values that are too long to write."""
    out = run("calc", "0x1p-1074*0x1p-1074", "-f", "float64", "--rounding", "toward_positive").out
    assert "error  4.94066e-324 (1 ulp, 2.02e+325 %)" in out
    out = run("calc", "1e400", "-f", "e15m40").out
    assert "error  -1.33122e+387 (0.249814 ulp, 1.33e-11 %)" in out
    out = run("calc", "2**1000000000", "-f", "float64").out
    for line in ("exact  ~2**1000000000", "result inf", "flags  inexact, overflow"):
        assert line in out
    assert "exact  ~-2**1000000000" in run("calc", "-(2**1000000000)", "-f", "bf16").out
    assert "exact  >2**1073741824" in run("calc", "9**9**9**9", "-f", "float32").out
    assert "exact  <2**-1073741824" in run("calc", "exp(-1e15)", "-f", "float64").out


def test_no_ulp_of_an_exact_zero(run):
    """An error has no unit if the exact value is 0, which has no binade."""
    (facts,) = run("calc", "(0.1 + 0.2) - 0.3", "-f", "float64", "--json").json
    assert facts["exact"]["text"] == "0"
    assert facts["error"] == 0.1 + 0.2 - 0.3
    assert facts["ulps"] is None
    assert f"error  {0.1 + 0.2 - 0.3:.6g} (-)" in run("calc", "(0.1 + 0.2) - 0.3", "-f", "float64").out


HOSTILE = [
    *("2**1000000000", "0.5**1000000000", "9**9**9**9", "9**-9**9**9", "1.0000001**1e15", "(1+2**-50)**1e18"),
    *("1e9999999999", "1e-9999999999", "1e9999999999*1e-9999999999", "0x1p99999999999+1", "1e400**1e400"),
    *("exp(1e9)", "exp(exp(exp(10)))", "log(1e-9999999999)", "sqrt(1e9999999999)", "scaleb(1, 9000000000000000000)"),
    *("scaleb(1e-5000, 1000000000)", "fmod(1e300, 1e-300)", "ieee_remainder(1e9999, 1e-9999)", "fmod(1e99999, 3)"),
    *("*".join(["9e9999"] * 120), "/".join(["7e-9999"] * 120), "+".join([f"1e{9000 - 300 * i}" for i in range(60)])),
    *("*".join([f"(1/{p})" for p in range(7, 150)]), "sqrt(" * 100 + "2" + ")" * 100, "exp(" * 100 + "2" + ")" * 100),
    *("tanh(1e-400)", "erf(1e30)", "sin(1e300)", "cos(0x1p65535)", "pow(1e-400, 1e-400)", "rsqrt(1e9999)"),
    *("**".join(["2"] * 100), "-" * 100 + "1e9999999999", "1" * 990, "0." + "1" * 990, "fma(1e9999,1e9999,-1e9999)"),
]


@pytest.mark.parametrize("fmt", ["float64", "bf16", "float8_e4m3fn", "int32", "e24m20"])
@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_expressions_are_answered(run, text, fmt):
    """Each has an answer or a clear error; if one took long, this test would not finish."""
    done = run("calc", text, "-f", fmt, "--json")
    assert done.code in (0, 2), done.err
    assert "please report" not in done.err
    if done.code == 0:
        json.loads(done.out)
        assert run("calc", text, "-f", fmt).code == 0


# -- one reading for all ----------------------------------------------------------------------------------------------


def literal(draw, fmt):
    """The text of a number: a long decimal near a midpoint, many hexadecimal digits, or an extreme exponent."""
    sign = draw.choice(["", "-", "+"])
    kind = draw.randrange(5)
    if kind == 0:
        return f"{sign}{draw.randint(1, 9)}e{draw.choice([400, -400, 310, -330, 38, -46, 5000, -5000])}"
    if kind == 1:
        return f"{sign}0x{draw.randrange(1, 16)}.{draw.randrange(16**20):020x}p{draw.randint(-160, 140)}"
    if kind == 2:
        return f"{sign}{draw.random() * 10.0 ** draw.randint(-45, 40)!r}"
    code = draw.randrange(fmt.code_count // 2 - 1)
    try:
        middle = (fmt.exact(code) + fmt.exact(code + 1)) / 2
    except ValueError:
        middle = Fraction(1, 3)
    # in decimal, to so many places that it is the midpoint, or just beside it
    places = 400
    scaled = math.floor(abs(middle) * 10**places) + draw.choice([-1, 0, 0, 1])
    return (
        f"{sign}{scaled}e-{places}"
        if draw.random() < 0.5
        else f"{sign}{scaled:0402d}"[:-400] + f".{scaled % 10**400:0400d}"
    )


@pytest.mark.parametrize(
    "name", ["float16", "bfloat16", "float8_e4m3fn", "float32", "float64", "int8", "uint4", "q3.4"]
)
def test_commands_python_and_fractions_agree(run, name):
    """`calc`, `inspect`, `fe.encode` and `fe.convert` round random literals as the specification does."""
    draw, fmt = random.Random(name), fe.dtype(name)
    for _ in range(40):
        text, mode = literal(draw, fmt), draw.choice(MODES)
        exact, rules = Fraction(read(text).fraction()), fmt.profile.replace(rounding=mode)
        digits, rest = divmod(abs(exact.numerator) << 20000, exact.denominator)
        number = Number("finite", exact < 0, *sticky(digits, -20000, rest != 0)) if exact else None
        code, flags = by_calc(run, text.lstrip("+"), "-f", name, "--rounding", mode)
        if number is not None:
            codes, bits = rounded([number], [0], fmt, rules)
            assert code == int(codes[0]), (text, mode)
            if not isinstance(fmt, fe.IntFormat):
                assert sum(1 << fe.Flags.NAMES.index(flag) for flag in flags) == int(bits[0]), (text, mode)
        (facts,) = run("inspect", text.lstrip("+"), "-f", name, "--rounding", mode, "--json").json
        assert facts["code"] == code, (text, mode)
        assert by_ratio(facts["source"]) == exact
        assert int(fe.encode(text, fmt, rounding=mode)) == code, (text, mode)
        out = np.empty((), fmt.code_dtype)
        _, raised = fe.convert(text, fmt, rounding=mode, out=out, return_flags=True)
        assert (int(out), [flag for flag in fe.Flags.NAMES if getattr(raised, flag)]) == (code, flags), (text, mode)


@pytest.mark.parametrize("text", ["300", "300.0", "3e2", "-129", "10000000000", "1e10", "1e400", "inf", "nan"])
@pytest.mark.parametrize("profile", ["ieee", "numpy", "torch"])
@pytest.mark.parametrize(
    ("fmt", "least", "largest"),
    [("int8", -128, 127), ("uint16", 0, 65535), ("int32", -(2**31), 2**31 - 1), ("q3.4", -8, 7.9375)],
)
def test_numbers_out_of_an_integer_formats_range_are_invalid(run, text, profile, fmt, least, largest):
    """In commands and in Python, text is a real number: its conversion raises invalid (IEEE 754-2019 clause 5.8)."""
    out = np.empty((), fe.dtype(fmt).code_dtype)
    fe.convert(text, fmt, profile=profile, out=out)
    code, flags = by_calc(run, text, "-f", fmt, "--profile", profile)
    beyond = not least <= float(text) <= largest
    assert code == int(out)
    assert flags == (["invalid"] if beyond else [])
    (facts,) = run("inspect", text, "-f", fmt, "--profile", profile, "--json").json
    assert facts["code"] == code


KINDS = ["0.1", "-inf", "inf", "-0", "1", "464", "-300", "1e39", "1e400", "-1e400", "1e-400", "0x1p-1074", "-1e-46"]
KINDS += ["18446744073709551615", "65519.99999999999999999999", "1.00390625000000000000000001", "1e300", "-3e38"]
TARGETS = [
    "bf16",
    "float16",
    "e4m3fn",
    "e5m2",
    "fp4",
    "float32",
    "float64",
    "int8",
    "uint16",
    "e8m0",
    "e1m2",
    "e4m3fnuz",
]
OPTIONS = [
    (),
    ("--rounding", "toward_positive"),
    ("--overflow", "saturate"),
    ("--overflow", "nan"),
    ("--rounding", "RTZ"),
]


@pytest.mark.parametrize("profile", fe.profile_names())
def test_every_profile_is_read_alike(run, profile):
    """`calc`, `inspect` and Python convert a text to the same code, by the rules for casts of float64."""
    draw = random.Random(profile)
    cases = [(draw.choice(KINDS), draw.choice(TARGETS), draw.choice(OPTIONS)) for _ in range(15)]
    for text, fmt, options in [*cases, *((nan, draw.choice(TARGETS), ()) for nan in ("nan", "-nan"))]:
        how = {"profile": profile} | ({options[0][2:]: options[1]} if options else {})
        line = (text, "-f", fmt, "--profile", profile, *options)
        try:
            want = int(fe.encode(text, fmt, **how))
        except ValueError:
            assert {run(command, *line).code for command in ("calc", "inspect")} == {2}
            continue
        assert by_calc(run, *line)[0] == want, line
        (facts,) = run("inspect", *line, "--json").json
        assert facts["code"] == want, line


@pytest.mark.parametrize("text", ["1e1000000", "1e100000", "-1e-100000", "1e-70000"])
@pytest.mark.parametrize("fmt", ["e24m39", "int64", "bf16", "nf4"])
def test_digits_that_are_not_the_numbers_are_marked(run, text, fmt):
    """A number that is too extreme to write is represented by 128 digits; none of these is printed as its own."""
    (facts,) = run("inspect", text, "-f", fmt, "--json").json
    for step in facts["steps"]:
        if step["title"] in ("scaled", "fraction", "distance"):
            assert "= ~" in step["text"] or step["title"] == "distance"
            assert not re.search(r"\d{30}", step["text"]), step


# -- data ------------------------------------------------------------------------------------------------------------


def same_value(cell, fmt, code):
    """Whether a cell of a file is exactly a code's value, including its sign."""
    found = read(cell)
    try:
        exact = fmt.exact(code)
    except ValueError:
        value = fmt.value(code)
        return repr(found.special()) == repr(value) and found.negative == (value < 0)
    try:
        value = fmt.value(code)
    except OverflowError:
        return found.fraction() == exact
    assert float(cell) == value if "x" not in cell else float.fromhex(cell) == value
    return Fraction(float(cell)) == exact and found.negative == (math.copysign(1, value) < 0)


FILED = [
    *(
        ("sqrt", "bf16"),
        ("reciprocal", "float16"),
        ("multiply", "e4m3fn"),
        ("add", "e8m0"),
        ("sqrt", "e8m7"),
        ("exp", "q3.4"),
    ),
    *(("exp", "binary8p1ue"), ("negative", "e10m3")),
]


@pytest.mark.parametrize(("name", "fmt"), FILED)
@pytest.mark.parametrize("ending", ["csv", "json"])
def test_tables_in_files_are_numbers(run, tmp_path, name, fmt, ending):
    """Every cell of every file is the exact value: no ellipsis, no missing digits."""
    path, fmt = tmp_path / f"t.{ending}", fe.dtype(fmt)
    assert run("table", name, "-f", fmt.name, "-o", path).code == 0
    if ending == "csv":
        with path.open(newline="") as stream:
            _, *rows = list(csv.reader(stream))
        cells = np.array(rows, object)
        operands, results = cells[:, :-1], cells[:, -1]
        codes = np.array(list(np.ndindex(*[fmt.code_count] * operands.shape[1])))
        assert all(same_value(cell, fmt, code) for cell, code in zip(operands[:, 0], codes[:, 0].tolist(), strict=True))
        made = operation_table(name, fmt).codes.reshape(-1)
    else:
        facts = json.loads(path.read_text())
        results, made = np.array(facts["values"], object).reshape(-1), np.array(facts["codes"]).reshape(-1)
        assert all(same_value(cell, fmt, code) for code, cell in enumerate(facts["operands"]))
    known = {}  # each different one once: there are 65,536 of some
    for cell, code in zip(results.tolist(), made.tolist(), strict=True):
        known.setdefault(code, set()).add(cell)
    for code, cells in known.items():
        assert all(same_value(cell, fmt, code) for cell in cells)
        assert len(cells) == 1


@pytest.mark.parametrize(
    "name", ["bf16", "e4m3fn", "int8", "q3.4", "nf4", "e8m0", "binary10p1se", "uq1005.-1000", "e14m1"]
)
def test_values_in_json_are_numbers(run, name):
    fmt = fe.dtype(name)
    (facts,) = run("info", name, "--values", "--json").json
    assert all(same_value(cell, fmt, code) for code, cell in enumerate(facts["values"]))
    for code in range(0, fmt.code_count, max(fmt.code_count // 40, 1)):
        (facts,) = run("inspect", f"{code:#x}", "-f", name, "--json").json
        assert same_value(facts["value"], fmt, code)
        for beside in (facts["below"], facts["above"]):
            assert beside is None or same_value(beside["value"], fmt, beside["code"])


@pytest.mark.parametrize("fmt", ["bf16", "e4m3fn", "int8", "q3.4", "e11m4"])
def test_no_file_is_formatted_for_a_screen(run, tmp_path, fmt):
    """Everything that a command writes to files: no ellipsis anywhere."""
    commands = [
        ("calc", "1 / 3 + 1e-30", "-f", fmt, "--json"),
        ("inspect", "1e-39", "-f", fmt, "--json"),
        ("info", fmt, "--values", "--json"),
        ("compare", fmt, "float16", "--json"),
        ("error", "sqrt", "-f", fmt if fmt != "e11m4" else "float16", "--json", "--binades"),
        *(
            ("vectors", "sqrt", "-f", fmt, "--random", "50", "-o", tmp_path / f"v.{ending}")
            for ending in ("csv", "jsonl")
        ),
        *(("table", "sqrt", "-f", fmt, "-o", tmp_path / f"t.{ending}", "--flags") for ending in ("csv", "json")),
    ]
    for line in commands:
        done = run(*line)
        assert done.code == 0, (line, done.err)
        if "--json" in line:
            facts = json.loads(done.out)
            assert "…" not in json.dumps(without_words(facts), ensure_ascii=False), line
    for path in tmp_path.iterdir():
        assert "…" not in path.read_text(), path


def without_words(facts):
    """JSON without its texts for people: titles and explanations of the numbers."""
    if isinstance(facts, dict):
        return {key: without_words(value) for key, value in facts.items() if key not in ("text", "expression")}
    return [without_words(value) for value in facts] if isinstance(facts, list) else facts
