"""The `fpemu` command: its output and its errors."""

import importlib
import os
import re
import shlex
import subprocess
import sys

import numpy as np
import pytest

import fpemu as fe

pytest.importorskip("typer")

import typer
from typer.core import TyperOption

from fpemu.cli.app import COMMANDS
from tests.cli.conftest import Result

MINE = [name for name in COMMANDS if name != "demo"]  # tests/reports/test_demo.py has the other


@pytest.mark.parametrize("columns", [40, 60, 80, 100])
@pytest.mark.parametrize("line", ["formats fp8 e8m0", "compare fp16 e4m3fn", "report weights.npy --scale absmax"])
def test_narrow_terminals_show_every_number(run, weights, monkeypatch, line, columns):
    wide = run(*line.split()).out.split()
    monkeypatch.setenv("COLUMNS", str(columns))
    narrow = run(*line.split()).out
    assert max(map(len, narrow.splitlines())) <= columns
    numbers = [word for word in wide if re.fullmatch(r"-?[\d.]+(e[+-]\d+)?", word)]
    assert len(numbers) > 9
    assert set(numbers) <= set(narrow.split())


# -- the command as such ----------------------------------------------------------------------------------------------


def test_version_and_module():
    for command in ([sys.executable, "-m", "fpemu"], [os.path.join(os.path.dirname(sys.executable), "fpemu")]):
        done = subprocess.run([*command, "--version"], capture_output=True, text=True, check=True)
        assert done.stdout == f"fpemu {fe.__version__}\n"


def test_help_lists_every_command(run):
    done = run("--help")
    assert done.code == 0
    assert all(re.search(rf"\b{name}\b", done.out) for name in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("option", ["--help", "-h"])
def test_every_command_has_help_with_examples(run, command, option):
    done = run(command, option)
    assert done.code == 0
    assert f"fpemu {command}" in done.out.split("For example:")[1]
    assert "--json" in done.out


def examples():
    for name in MINE:
        module = __import__(f"fpemu.cli.{name}", fromlist=[name])
        for line in getattr(module, name).__doc__.splitlines():
            if line.strip().startswith("fpemu "):
                yield line.strip()


@pytest.mark.parametrize("line", list(examples()))
def test_the_examples_of_the_help_work(run, weights, line):
    done = run(*shlex.split(line)[1:])
    assert done.code == 0
    assert done.out


@pytest.mark.parametrize(
    "line",
    [
        "formats",
        "formats -f e4m3fn -f int4 fp4",
        "info bfloat16 int8 nf4",
        "info fp4 -f binary16p1se",
        "info int4 --values",
        "info mxfp4 zeropoint_int8 e4m3",
        "report weights.npz -f mxfp4 -f absmax_int8 -f int8 --scale absmax --pad",
        "compare fp16 bf16 e4m3fn nf4 binary16p1se",
        "inspect nan -f e5m2 -f int4",
        "inspect 0x7C e5m2",
        "inspect 0 -f e8m0",
        "cast weights.npz -f e5m2 -o out.npz",
        "report weights.npz -f e4m3fn -f int8",
        "report codes.npy --dtype e4m3fn --scale absmax",
    ],
)
def test_json_is_strict_json(run, weights, line):
    done = run(*shlex.split(line), "--json")
    assert done.code == 0
    assert done.json
    assert done.err == ""


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("formast", "no command 'formast': there are demo, formats, info"),
        ("formats --jsno", "No such option"),
        ("formats -f e4m3fm", "unknown format 'e4m3fm'; did you mean"),
        ("info", "name one format or more"),
        ("info float32 --values", "float32 has 2^32 codes: too many to list"),
        ("info mxfp4 --values", "mxfp4 has no codes of its own, but float4_e2m1fn"),
        ("info mxfp5", "unknown format 'mxfp5'; did you mean 'mxfp4'"),
        ("compare mxfp4", "mxfp4 is a scaled format: `fpemu report` and `fpemu info` take them"),
        ("cast weights.npy -f nvfp4 -o y.npy", "nvfp4 is a scaled format: `fpemu report`"),
        ("report weights.npy -f mxfp4 --plot x.png", "a picture is of formats of single numbers, not of mxfp4"),
        ("report weights.npy -f mxfp4 --scale absmax", "mxfp4 has scales of its own"),
        ("report weights.npy -f mxfp4 --seed 1", "no rounding here is stochastic"),
        ("report weights.npy -f mxfp4 --profile torchoa", "did you mean 'torchao' or 'torch'"),
        ("report weights.npy -f e5m2 --profile torchao", "a profile of scaled formats, but there are none"),
        ("report weights.npy -f e5m2 nf4_64 --profile torchao", "torchao-0.18 does not apply to nf4_64"),
        ("report weights.npy -f e5m2 --scale-rule ceil", "the scale rule ceil is for scaled formats"),
        ("report weights.npy -f mxfp4 --scale-rule ciel", "unknown scale rule 'ciel'"),
        ("report weights.npy -f mxfp4 --scale-rule minmax", "mxfp4: the scale rule minmax needs zero points"),
        ("compare", "name one format or more"),
        ("compare fp16 --plot x.doc", "a picture's name ends in .png, .svg, .pdf"),
        ("inspect", "Missing argument"),
        ("inspect 0.1", "name a format"),
        ("inspect 0.1x -f e5m2", "'0.1x' is not a number"),
        ("inspect 1__0 -f e5m2", "'1__0' is not a number"),
        ("inspect 12q --code -f e5m2", "'12q' is not a code"),
        ("inspect 0x100 -f e5m2", "code 0x100 is out of range: the codes of float8_e5m2 are 0 to 0xff"),
        ("inspect -1 --code -f e5m2", "code -1 is out of range"),
        ("inspect 1 --code --value -f e5m2", "a code or a number, not both"),
        ("inspect 1 -f e5m2 --rounding up", "unknown rounding 'up'"),
        ("inspect 1 -f e5m2 --overflow wrap", "only integers"),
        ("inspect 1 -f e5m2 --profile toch", "did you mean 'torch'"),
        ("inspect 1 -f nf4 --rounding stochastic", "a codebook has no quantum"),
        ("inspect 1 -f e5m2 --seed 1", "no rounding here is stochastic"),
        ("cast weights.npy -o y.npy", "Missing option"),
        ("cast weights.npy -f bf16", "Missing option"),
        ("cast weights.npy -f bf17 -o y.npy", "unknown format 'bf17'"),
        ("cast weights.npz -f bf16 -o y.npy", "weights.npz has 2 arrays: write an .npz or .safetensors file, or"),
        ("cast x.f32 --raw -f bf16 -o y.npy", "x.f32 is raw: specify its elements"),
        ("cast x.f32 --dtype float32 -f bf16 -o y.npy", "x.f32: its ending .f32 is unknown"),
        ("report x.f32 --dtype float32", "use raw=True (--raw) if it holds raw numbers"),
        ("cast weights.npy -f bf16 -o y.f32", "y.f32: its ending .f32 is unknown"),
        ("cast weights.npy -f bf16 -o y.npy --raw", "weights.npy and y.npy are not raw files"),
        ("cast x.f32 --dtype float33 -f bf16 -o y.npy", "unknown format 'float33'"),
        ("cast x.f32 --dtype float32 --shape 12,a -f bf16 -o y.npy", "'12,a' is not a shape"),
        ("cast weights.npy -f bf16 -o y.npy --seed -1", "--seed"),
        ("report weights.npy -f e4m3fn --scale big", "'big' is not a number"),
        ("report weights.npy -f e4m3fn --scale -2", "is not a scale"),
        ("cast weights.npy -f int64 -o y.npy", "no float type can represent every value of int64: use --codes"),
        ("report weights.npy -f mxfp4 --axis 1.5", "'--axis'"),
        ("report weights.npz -f e4m3fn --plot x.png", "a picture shows one array, weights.npz has 2: add --member"),
    ],
)
def test_wrong_usage_exits_with_2(run, weights, line, words):
    before = sorted(os.listdir())
    done = run(*shlex.split(line))
    assert done.code == 2
    assert words in done.words
    assert done.out == ""
    assert sorted(os.listdir()) == before


@pytest.mark.parametrize("command", COMMANDS)
def test_options_that_take_one_value_take_no_other(run, weights, command):
    """Otherwise the last of several would silently win; a value may begin with a minus sign."""
    app = importlib.import_module("fpemu.cli.app").app
    group = typer.main.get_command(app)
    made = group.get_command(group.make_context("fpemu", [command], resilient_parsing=True), command)
    options = [option for option in made.params if isinstance(option, TyperOption) and option.name != "help"]
    assert options
    for option in options:
        first, second = option.opts[0], option.opts[-1]
        if option.is_flag:
            if option.secondary_opts:
                done = run(command, first, option.secondary_opts[0])
                assert f"{option.secondary_opts[0]} is used twice" in done.words
            continue
        lines = [
            [first, "-1", f"{second}=-2" if second.startswith("--") else f"{second}-2"],
            [first, "-1", second, "-2"],
        ]
        for line in lines:
            done = run(command, *line)
            assert done.code == 2, line
            assert (f"{second} is used twice, with different values" in done.words) is not option.multiple, line
            assert "No such option" not in done.words


def test_negative_values_of_options(run, weights):
    whole = run("report", "weights.npy", "mxfp8", "--json").json
    assert run("report", "weights.npy", "mxfp8", "--axis", "-1", "--json").json == whole
    assert run("report", "weights.npy", "mxfp8", "--axis=-1", "--json").json == whole
    other = run("report", "weights.npy", "mxfp8", "--axis", "-2", "--json").json
    assert other == run("report", "weights.npy", "mxfp8", "--axis", "0", "--json").json != whole
    done = run("error", "sqrt", "-f", "fp8", "--from", "-1", "--to", "-0x1p-3", "--json")
    assert done.code == 0


def test_a_summary_never_mixes_with_the_output(weights):
    """If standard output is the output file, it contains only the numbers."""
    for line, expected in (
        ("cast weights.npy -f bf16 -o /dev/stdout", fe.cast(weights, "bf16").tobytes()),
        ("cast weights.npy -f bf16 -o /dev/stdout --json", fe.cast(weights, "bf16").tobytes()),
    ):
        done = subprocess.run([sys.executable, "-m", "fpemu", *line.split()], capture_output=True, check=True)
        assert done.stdout == expected
        assert b"inexact" in done.stderr


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("cast absent.npy -f bf16 -o y.npy", "absent.npy: No such file or directory"),
        ("report absent.npz -f bf16", "absent.npz: No such file or directory"),
        ("report . --dtype float32 -f bf16", "Is a directory"),
        ("cast cut.npy -f bf16 -o y.npy", "cut.npy: not a readable .npy file"),
        ("report cut.npz -f bf16", "cut.npz: not a readable .npz file"),
        ("cast text.npy -f bf16 -o y.npy", "text.npy: not a readable .npy file"),
        ("cast complex.npy -f bf16 -o y.npy", "only real numbers"),
        (
            "cast x.f32 --raw --dtype float32 --shape 3,5 -f bf16 -o y.npy",
            "holds 32768 elements of float32; shape (3, 5)",
        ),
        ("cast weights.npy --dtype e5m2 -f bf16 -o y.npy", "the elements are float32; codes of float8_e5m2 are uint8"),
        ("cast weights.npz --member c -f bf16 -o y.npy", "no array 'c'; there are a, b"),
        ("cast weights.npy --member c -f bf16 -o y.npy", "only .npz and .safetensors files have members"),
        *(
            (f"{line} --dtype int4", "wrong.npy: code 0x10 is out of range: the codes of int4 are 0 to 0xf")
            for line in ("cast wrong.npy -f bf16 -o y.npy", "report wrong.npy bf16", "report wrong.npy int8_tensor")
        ),
        ("cast weights.npy -f bf16 -o absent/y.npy", "absent: no such folder"),
        ("cast weights.npy -f bf16 -o .", "Is a directory"),
        ("compare fp16 --plot absent/x.png", "absent: no such folder"),
    ],
)
def test_failures_exit_with_1(run, weights, line, words):
    for name in ("weights.npy", "weights.npz"):
        with open(name, "rb") as whole, open(name.replace("weights", "cut"), "wb") as cut:
            cut.write(whole.read()[:-1000])
    with open("text.npy", "w") as stream:
        stream.write("1 2 3\n")
    np.save("complex.npy", np.ones(3, complex))
    np.save("wrong.npy", np.array([1, 0x10], np.uint8))
    before = sorted(os.listdir())
    done = run(*shlex.split(line))
    assert done.code == 1
    assert done.words.startswith("fpemu: error: ")
    assert words in done.words
    assert len(done.err.splitlines()) == 1
    assert sorted(os.listdir()) == before


def without(*names, code):
    """Run Python code in a process that cannot import some packages."""
    block = (
        "import sys\n"
        "class Block:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name.partition('.')[0] in {names}:\n"
        "            raise ModuleNotFoundError(f'No module named {name!r}', name=name)\n"
        "sys.meta_path.insert(0, Block())\n"
    )
    return subprocess.run([sys.executable, "-c", block + code], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("names", [("typer",), ("rich",), ("typer", "rich", "click")])
def test_without_the_extra_it_says_what_to_install(names):
    done = without(*names, code="from fpemu.cli import main; main(['formats'])")
    assert (done.returncode, done.stdout) == (2, "")
    assert "python -m pip install 'fpemu[cli]'" in done.stderr
    assert "python -m pip install '.[all]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_without_matplotlib_there_are_no_pictures(tmp_path):
    code = f"from fpemu.cli import main; main(['compare', 'fp16', '--plot', {str(tmp_path / 'x.png')!r}])"
    done = without("matplotlib", code=code)
    assert done.returncode == 2
    assert "pip install 'fpemu[plot]'" in Result(2, "", done.stderr).words
    assert without("matplotlib", code="from fpemu.cli import main; main(['compare', 'fp16'])").returncode == 0


def test_a_command_loads_what_it_needs():
    code = (
        "import sys\nfrom fpemu.cli import main\nheavy = 'numba', 'matplotlib', 'fpemu.cli.demo'\n"
        "try:\n    main(['formats'])\n"
        "finally:\n    print(*[name for name in heavy if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "\n"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
def test_output_that_cannot_be_written():
    command = [sys.executable, "-m", "fpemu", "formats"]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "fpemu: error: No space left on device\n")
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as closed:
        done = subprocess.run(command, stdout=closed, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "")


def test_a_defect_is_no_traceback_either(run, monkeypatch):
    def broken():
        raise AttributeError("oops")

    monkeypatch.setattr("fpemu.cli.formats.dtypes", broken)
    done = run("formats")
    assert done.code == 1
    assert "AttributeError: oops (please report this" in done.words


# -- formats, info, compare -------------------------------------------------------------------------------------------


def test_formats_lists_all_that_are_registered(run):
    names = [fmt.name for fmt in (*fe.dtypes(), *fe.schemes())]
    listed = [line.split()[0] for line in run("formats").out.splitlines()[2:] if line[:1].strip()]
    assert [name for name in listed if name in names] == names
    assert [facts["name"] for facts in run("formats", "--json").json] == names
    assert [facts["name"] for facts in run("formats", "fp8", "-f", "e5m10", "--json").json] == [
        "float16",
        "float8_e4m3fn",
    ]


def test_formats_and_schemes_have_a_table_each(run):
    out = run("formats", "fp8", "mxfp4").out
    rows = [line.split() for line in out.splitlines()]
    assert ["mxfp4", "float4_e2m1fn", "32", "float8_e8m0fnu", "floor", "-", "-", "4.25"] in rows
    assert [row[:2] for row in rows if row[:1] == ["float8_e4m3fn"]] == [["float8_e4m3fn", "8"]]
    assert "largest" not in run("formats", "mxfp4").out
    assert run("formats", "nvfp4_tile", "int8_channel").out.count("axis 0") == 1


def test_info_of_scaled_formats(run):
    out = run("info", "nvfp4", "zeropoint_int8", "e4m3").out
    for words in (
        "elements      float4_e2m1fn: -6 to 6",
        "block         16",
        "scale         float8_e4m3fn: absmax / largest, rounded nearest_even",
        "second level  float32",
        "bits          4.5 to an element; 32 for the whole array",
        "largest       2688 times the second level's scale",
        "zero point    int8",
        "bits          8, and 40 for each block",
        "dynamic range",
    ):
        assert words in out
    (facts,) = run("info", "mxfp8", "--json").json
    assert (facts["name"], facts["block"], facts["bits_per_element"]) == ("mxfp8_e4m3", 32, 8.25)


def test_info_prints_what_describe_says(run):
    done = run("info", "bfloat16")
    assert str(fe.describe("bfloat16")) in done.out
    assert "seeeeeeeettttttt" in done.out.replace(" ", "")
    (facts,) = run("info", "e4m3", "--json").json
    assert (facts["name"], facts["max"], facts["nan_count"]) == ("float8_e4m3fn", 448.0, 2)
    assert "e4m3fn" in facts["aliases"]
    assert "torch-2.14" in facts["profiles"]


def test_info_lists_values(run):
    lines = run("info", "fp4", "--values").out.splitlines()[-16:]
    assert lines[3].split() == ["0x3", "0", "01", "1", "1.5", "positive", "normal"]
    assert lines[15].split()[:5] == ["0xF", "1", "11", "1", "-6"]
    (facts,) = run("info", "e5m2", "--values", "--json").json
    assert [float(text) for text in facts["values"][:0x7C]] == fe.dtype("e5m2").values()[:0x7C].tolist()


def test_compare(run, tmp_path):
    names = ["float16", "bfloat16", "float8_e4m3fn"]
    done = run("compare", *names, "--plot", tmp_path / "x.svg")
    for cells in fe.compare(*names).cells():
        assert cells in [re.split(r" {2,}", line.strip()) for line in done.out.splitlines()]
    assert [line for line in done.out.splitlines() if line.startswith("bfloat16")][1].count("█") > 40
    assert (tmp_path / "x.svg").read_bytes().startswith(b"<?xml")
    assert str(tmp_path / "x.svg") in done.err
    assert [row["max"] for row in run("compare", *names, "--json").json] == [65504.0, fe.finfo("bf16").max, 448.0]


# -- inspect ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "name", "code"),
    [
        ("0.1", "e5m2", 0x2E),
        ("-1.5", "e5m2", 0xBE),
        ("-.5", "e5m2", 0xB8),
        ("-0", "e5m2", 0x80),
        ("-0.0", "e5m2", 0x80),
        ("0", "e5m2", 0x00),
        ("-inf", "e5m2", 0xFC),
        ("-Infinity", "e5m2", 0xFC),
        ("inf", "e5m2", 0x7C),
        ("nan", "e5m2", 0x7E),
        ("-nan", "e5m2", 0xFE),
        ("0x1.8p3", "e5m2", 0x4A),
        ("-0x1p0", "e5m2", 0xBC),
        ("0x1.8", "e5m2", 0x3E),
        ("1e-3", "e5m2", 0x14),
        ("-3", "int4", 0xD),
        ("16973823", "bf16", 0x4B81),  # not through float32
        ("9223372036854775807", "int64", 0x7FFFFFFFFFFFFFFF),
        ("18446744073709551616", "uint64", 0xFFFFFFFFFFFFFFFF),
    ],
)
def test_inspect_reads_numbers(run, value, name, code):
    for args in ([value, "-f", name], ["-f", name, value], [value, name, "--value"]):
        (facts,) = run("inspect", *args, "--json").json
        assert facts["code"] == code
    assert f"0x{code:X}" in run("inspect", value, "-f", name).out


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (["0x7E"], 0x7E),
        (["0b1111110"], 0x7E),
        (["126", "--code"], 0x7E),
        (["0X7e"], 0x7E),
        (["0x7E", "--value"], 0x70),
        (["0b11", "--code"], 3),
    ],
)
def test_inspect_reads_codes(run, args, code):
    (facts,) = run("inspect", *args, "-f", "e4m3fn", "--json").json
    assert facts["code"] == code


def test_inspect_tells_all(run):
    out = run("inspect", "0.1", "-f", "e5m2").out
    for words in (
        "0.1 in float8_e5m2  profile ieee, nearest_even",
        "0 01011 10 0x2E sign exponent trailing",
        "value  0.09375  (positive normal)",
        "error  -0.00625  (6.25 % of the number)",
        "(6.25 % of the number)",
        "below  0.078125  (0x2D)",
        "above  0.109375  (0x2F)",
        "2**-4 <= |x| < 2**-3",
        "nearest_even: nu is less than 1/2, down: 6",
    ):
        assert words in out
    facts, other = run("inspect", "0.1", "-f", "e5m2", "int8", "--json").json
    assert (facts["format"], other["format"]) == ("float8_e5m2", "int8")
    assert facts["fields"] == {"sign": "0", "exponent": "01011", "trailing": "10"}
    assert (facts["exact"], facts["below"]["code"], facts["above"]["value"]) == ("3/32", 0x2D, "0.109375")
    assert facts["relative_error"] == pytest.approx(0.0625)
    assert "exact" in run("inspect", "0.5", "-f", "e5m2").out


def test_inspect_obeys_the_rules(run):
    def code(*args):
        (facts,) = run("inspect", *args, "--json").json
        return facts["code"]

    assert code("500", "-f", "e4m3fn") == 0x7F
    assert code("500", "-f", "e4m3fn", "--profile", "torch") == 0x7E
    assert code("500", "-f", "e4m3fn", "--overflow", "saturate") == 0x7E
    assert code("-1.5", "-f", "int4", "--rounding", "RTZ") == 0xF
    drawn = run("inspect", "1.3", "-f", "bf16", "--rounding", "stochastic", "--json").json[0]
    args = ("1.3", "-f", "bf16", "--rounding", "stochastic", "--seed", drawn["seed"])
    assert code(*args) == drawn["code"] == fe.encode(1.3, "bf16", rounding="stochastic", rng=drawn["seed"])
    assert f"seed {drawn['seed']}" in run("inspect", *args).out


def test_colours_only_where_they_can_be_seen(run, monkeypatch):
    assert "\x1b[" not in run("inspect", "0.1", "-f", "e5m2").out
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[1;31m0\x1b[0m" in run("inspect", "0.1", "-f", "e5m2").out
