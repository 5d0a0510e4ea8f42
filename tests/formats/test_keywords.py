"""Names and keywords as other libraries have them: names are read, keywords refused with the right word and value."""

from __future__ import annotations

import inspect
import itertools
import pickle
import warnings

import numpy as np
import pytest

import fpemu as fe
from fpemu import _public as public
from fpemu.formats import keywords, registry

# -- names ------------------------------------------------------------------------------------------------------------

PASTED = {
    "float8_e4m3fn": "F8_E4M3 torch.float8_e4m3fn float8e4nv tl.float8e4nv FP8-E4M3 fp8-e4m3 ml_dtypes.float8_e4m3fn",
    "float8_e5m2": "F8_E5M2 torch.float8_e5m2 float8e5 tl.float8e5 FP8-E5M2 jnp.float8_e5m2 jax.numpy.float8_e5m2",
    "float8_e4m3fnuz": "F8_E4M3FNUZ torch.float8_e4m3fnuz float8e4b8",
    "float8_e5m2fnuz": "F8_E5M2FNUZ torch.float8_e5m2fnuz float8e5b16",
    "float8_e8m0fnu": "F8_E8M0 torch.float8_e8m0fnu FP8-E8M0",
    "float6_e3m2fn": "F6_E3M2 FP6-E3M2",
    "float6_e2m3fn": "F6_E2M3",
    "float4_e2m1fn": "F4 torch.float4_e2m1fn_x2 FP4-E2M1",
    "bfloat16": "BF16 torch.bfloat16 BFLOAT-16 b_float16",
    "float16": "F16 torch.float16 torch.half np.float16 FP-16",
    "float32": "F32 torch.float32 torch.float np.float32",
    "float64": "F64 torch.float64 torch.double numpy.float64 np.double",
    "int8": "I8 torch.int8 np.int8 INT-8 int_8",
    "int4": "torch.int4 INT-4 ml_dtypes.int4",
    "int3": "torch.int3",
    "uint1": "BOOL torch.bool torch.uint1",
    "uint7": "torch.uint7",
}
SCHEMES = {
    "gguf_q4_0": "q4_0 Q4_0 Q4-0",
    "gguf_q5_0": "q5_0",
    "gguf_q8_0": "q8_0 GGUF-Q8_0",
    "int4_group128": "int4_g128 INT4-G128 int4g128 int4_gs128 int4_group_size_128 int4-group-128",
    "uint4_asym_group64": "uint4_asym_g64",
    "int8_channel": "int8_per_channel INT8-per-channel",
    "fp8_e4m3_128x128": "fp8_block FP8_BLOCK fp8-block",
    "mxfp4": "MXFP4 MX-FP4 mx_fp4",
    "nvfp4": "NVFP4 nv-fp4",
}


@pytest.mark.parametrize("name", PASTED)
def test_pasted_formats(name):
    for pasted in PASTED[name].split():
        assert fe.dtype(pasted) == fe.dtype(name), pasted
        assert fe.dtype(pasted).name == name
    assert fe.encode(1.0, PASTED[name].split()[0]) == fe.encode(1.0, name)


@pytest.mark.parametrize("name", SCHEMES)
def test_pasted_schemes(name):
    for pasted in SCHEMES[name].split():
        assert fe.scheme(pasted) == fe.scheme(name), pasted
        assert fe.quantize(np.ones((128, 128)), pasted).scheme == fe.scheme(name)


def read(name):
    """A format and no error, or no format and the error's text."""
    try:
        return fe.dtype(name), ""
    except ValueError as error:
        return None, str(error)


def test_every_name_however_it_is_written():
    """Upper case, dashes, spaces and nothing between its words: the same format, or an error that says which."""
    several = 0
    for fmt in fe.dtypes():
        for alias in (fmt.name, *registry.aliases(fmt)):
            for written in (alias.upper(), alias.replace("_", "-"), alias.replace("_", " "), f" {alias} "):
                if written.strip() in ("f4", "f8", "F8"):
                    continue
                assert fe.dtype(written) is fmt, written
            run = alias.replace("_", "")
            found, text = read(run)
            if found is None:
                several += 1
                assert "may mean" in text, run
                assert fmt.name in text, run
            else:
                assert found is fmt or run.lower() in (a.lower() for a in registry.aliases(found)), run
    assert several < 5


def test_every_torch_dtype():
    for bits, kind in itertools.product(range(1, 9), ("int", "uint")):
        assert fe.dtype(f"torch.{kind}{bits}").name == f"{kind}{bits}"
    for name in ("complex64", "qint8", "quint4x2", "bits8"):
        with pytest.raises(ValueError, match=f"unknown format 'torch.{name}'"):
            fe.dtype(f"torch.{name}")


def test_ambiguous_names():
    for name, candidates in {
        "f4": ("float32", "float4_e2m1fn"),
        "f8": ("float64", "float8_e4m3fn", "float8_e5m2"),
        "F8": ("float8_e4m3fn", "float8_e5m2"),
        "float8": ("float8_e4m3fn", "float8_e5m2"),
        "float6": ("float6_e3m2fn", "float6_e2m3fn"),
        "f_8e4m3": ("float8_e4m3fn", "float8_e4m3"),
    }.items():
        with pytest.raises(ValueError, match=f"'{name}' may mean {' or '.join(candidates)}: specify which"):
            fe.dtype(name)
        assert all(fe.dtype(candidate).name == candidate for candidate in candidates)
    with pytest.raises(ValueError, match="'mxfp' may mean mxfp4 or mxfp6 or mxfp8"):
        fe.scheme("mxfp")
    with pytest.raises(ValueError, match=r"gguf_q4_0 is a scaled format|q4_0.* is a scaled format"):
        fe.dtype("Q4-0")


# -- keywords ---------------------------------------------------------------------------------------------------------

WORDS = [
    ("rng", "seed", 7, "rng=7"),
    ("rng", "generator", None, "rng=None"),
    ("overflow", "saturate", True, "overflow='saturate'"),
    ("overflow", "saturate", False, "overflow='standard'"),
    ("rounding", "rounding_mode", "toward_zero", "rounding='toward_zero'"),
    ("rounding", "stochastic", True, "rounding='stochastic'"),
    ("axis", "dim", 1, "axis=1"),
    ("keepdims", "keepdim", True, "keepdims=True"),
    ("block", "group_size", 128, "block=128, or a scheme whose name says it, as 'int4_group128'"),
    ("block", "block_size", 32, "block=32"),
    ("scheme", "bits", 4, "'int4_group128'"),
    ("scheme", "symmetric", True, "a scheme without zero points"),
    ("scheme", "symmetric", False, "a scheme with zero points, 'int8_asym_channel'"),
    ("fmt", "bits", 8, "fmt='int8'"),
    ("fmt", "dtype", "e4m3", "fmt='e4m3'"),
    ("fmt", "format", "e4m3", "fmt='e4m3'"),
    ("scheme", "dtype", "mxfp4", "scheme='mxfp4'"),
    ("result", "dtype", "float16", "result='float16'"),
    ("return_flags", "flags", True, "return_flags=True"),
]
X = fe.array([[1.0, 2.0]], "float16")
INSTANCES = (
    *(X, fe.quantize([[1.0, 2.0]], "absmax_int8"), fe.scheme("absmax_int8"), fe.calibrate([[1.0, 2.0]], "absmax_int8")),
    *(fe.dtype("float16"), fe.dtype("int8"), fe.dtype("nf4"), fe.profile("ieee"), fe.scheme("mxfp4").scale_rule),
)


def callables():
    """Every public function, and every public method of the public classes, bound."""
    for name in fe.__all__:
        member = getattr(fe, name)
        if inspect.isfunction(member):
            yield name, member
    for one in INSTANCES:
        for name, _ in inspect.getmembers(type(one), inspect.isfunction):
            if not name.startswith("_"):
                yield f"{type(one).__name__}.{name}", getattr(one, name)


CALLABLES = dict(callables())
ANY = {"save", "audit", "Profile.replace"}  # names of arrays, of knobs: values, with errors of their own
OPERANDS = {"fmt": "float16", "n": 1, "scheme": "absmax_int8", "formats": "int8", "path": "x.npz"}


def called_wrongly(name, word, value):
    function = CALLABLES[name]
    own = list(inspect.signature(function).parameters.values())
    required = [p for p in own if p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    x = fe.array([1, 2], "int8") if name.endswith("_shift") else X
    args = [OPERANDS.get(p.name, x) for p in required]
    with pytest.raises((TypeError, ValueError)) as caught:
        function(*args, **{word: value})
    return caught.value


@pytest.mark.parametrize("name", sorted(set(CALLABLES) - ANY))
def test_other_words_are_refused(name):
    """By a TypeError that names the right word and value, where the function has it."""
    parameters = list(inspect.signature(CALLABLES[name]).parameters)
    for parameter, word, value, text in WORDS:
        if parameter not in parameters or word in parameters:
            continue
        if (word in ("dtype", "bits")) and parameter != next(p for p in ("fmt", "scheme", "result") if p in parameters):
            continue
        error = called_wrongly(name, word, value)
        if (name, word) == ("fake_quantize", "dtype"):  # the scheme is given: it can only be the result's
            text = "use fpemu.quantize(x, scheme).dequantize(dtype=...)"
        assert isinstance(error, TypeError), (name, word, error)
        assert f"got an unexpected keyword argument '{word}'" in str(error), (name, word, error)
        assert text in str(error), (name, word, error)
    error = called_wrongly(name, "no_such_word", 1)
    assert isinstance(error, TypeError), (name, error)
    assert "no_such_word" in str(error)


@pytest.mark.parametrize("name", ["cast", "encode", "array", "quantize", "decode", "report", "is_nan", "equal"])
def test_functions_stay_what_they_are(name):
    """To inspect, pickle and the docs a hinted function is the function itself, and errors inside pass through."""
    function, own = getattr(fe, name), getattr(public, name)
    assert inspect.signature(function) == inspect.signature(own)
    assert (function.__name__, function.__doc__) == (own.__name__, own.__doc__)
    assert pickle.loads(pickle.dumps(function)) is function
    assert getattr(fe, name) is function


def test_errors_inside_pass_through():
    def inner(x):
        return x

    @keywords.hinted
    def outer(x):
        return inner(x, seed=1)

    with pytest.raises(TypeError, match=r"inner\(\) got an unexpected keyword argument 'seed'$"):
        outer(1)
    with pytest.raises(TypeError, match=r"missing 1 required positional argument: 'x'$"):
        outer()


def test_listed_cases():
    x = [1.0, 2.0]
    for call, match in (
        (lambda: fe.cast(x, "e4m3", seed=0), "use rng=0"),
        (lambda: fe.cast(x, dtype="e4m3"), r"use fmt='e4m3'; dtype is the result's own"),
        (lambda: fe.fake_quantize(x, "int8_channel", group_size=3), "use block=3"),
        (lambda: fe.calibrate(x, "absmax_int8").quantize(x, seed=1), "use rng=1"),
        (lambda: fe.ScaledFormat("int4", group_size=32), "use block=32"),
        (lambda: fe.convert(x, "e4m3", seed=1), "use rng=1"),
        (lambda: fe.array(x, "e4m3").astype("e5m2", seed=3), "use rng=3"),
        (lambda: fe.array(x, "e4m3").sum(dim=0), "use axis=0"),
        (lambda: fe.cast(x, "e4m3", roundin="to_odd"), "did you mean 'rounding'"),
    ):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with pytest.raises(TypeError, match=match):
                call()


def test_dtypes_of_numpy_as_text():
    for name in ("<f4", ">f4", "=f4", "<f8", ">i2", "|u1", "|b1", "<f2"):
        assert fe.dtype(name) == fe.dtype(np.dtype(name)), name
    for name in ("<f3", ">c8", "<U3", "<", "|V4"):
        with pytest.raises((ValueError, TypeError)):
            fe.dtype(name)


@pytest.mark.parametrize("length", [-1, -128])
def test_a_group_of_negative_length_is_no_group(length):
    """GPTQ's group_size=-1 is one scale for each row: in a name it must not become a group of one."""
    for name in (f"int4_g{length}", f"int4_group{length}", f"uint4_asym_g{length}", f"INT4_GROUP_SIZE{length}"):
        with pytest.raises(
            ValueError, match="a group has one number or more; 'int4_channel' has one scale for each row"
        ):
            fe.scheme(name)
    with pytest.raises(ValueError, match="unknown scheme"):
        fe.scheme("int4-g-1")
    x = np.random.default_rng(0).normal(size=(4, 32))
    assert fe.quantize(x, "int4_channel").scales.size == 4
