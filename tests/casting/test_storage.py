"""Memory wider than its numbers: every public function, on every dtype that has spare bits, with all 256 bytes."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

import fpemu as fe
from fpemu import _public as public
from fpemu.arrays import functions as array_functions

BYTES = np.arange(256, dtype=np.uint8)
ML = ["int1", "uint1", "int2", "uint2", "int4", "uint4", "float4_e2m1fn", "float6_e2m3fn", "float6_e3m2fn"]
TORCH = ["bool", *(f"{sign}int{bits}" for sign in ("", "u") for bits in range(1, 8))]


def width(name):
    """The bits of a dtype's code; None for a bool, all of whose bytes but 0 are True."""
    return None if name == "bool" else fe.dtype(name).bits


def meant(name):
    """The bytes that hold what all bytes mean, and nothing more."""
    return (BYTES != 0).astype(np.uint8) if name == "bool" else BYTES & np.uint8((1 << width(name)) - 1)


def by_hand(name):
    """The numbers of all bytes as float64, without fpemu."""
    codes = meant(name).astype(np.int64)
    if name.startswith("float"):
        return codes.astype(np.uint8).view(getattr(ml_dtypes, name)).astype(np.float64)
    if name.startswith("int"):
        codes = np.where(codes >> (width(name) - 1) & 1, codes - (1 << width(name)), codes)
    return codes.astype(np.float64)


def in_numpy(name, data):
    """Bytes as an array of a dtype of numpy or ml_dtypes."""
    return data.view(np.bool_ if name == "bool" else getattr(ml_dtypes, name))


def in_torch(name, data):
    torch = pytest.importorskip("torch")
    return torch.from_numpy(data.copy()).view(getattr(torch, name))


def plain(found):
    """What a function gives, as nested tuples of numbers and texts."""
    if isinstance(found, tuple):
        return tuple(map(plain, found))
    if isinstance(found, fe.Array):
        return found.format.name, plain(found.codes)
    if isinstance(found, fe.Quantized):
        return plain((found.codes, found.scales, found.zero_points, found.second_scale))
    if isinstance(found, fe.Calibration):
        return plain((found.scales, found.count))
    if hasattr(found, "to_dict"):
        return str(found.to_dict())
    array = np.asarray(found)
    return array.dtype.name, array.shape, array.tobytes() if array.dtype != object else str(array.tolist())


def with_result(name):
    return lambda x: getattr(fe, name)(x, result="float32")


def with_both(name):
    """A function of two, the spare bits on either side."""
    function = getattr(fe, name)
    return lambda x: (function(x, 3, result="float32"), function(3, x, result="float32"), function(x, x, result="int8"))


def compared(name):
    function = getattr(fe, name)
    return lambda x: (function(x, 1), function(0.5, x))


RECIPES = {
    **dict.fromkeys(("array", "cast", "encode"), None),  # below
    "asarray": lambda x: (fe.asarray(x), fe.asarray(x, "float16")),
    "calibrate": lambda x: (fe.calibrate(x, "absmax_int8"), fe.calibrate(x, "zeropoint_uint8", "mse")),
    "convert": lambda x: fe.convert(x, "int8"),
    "cumsum": lambda x: fe.cumsum(x, result="float32"),
    "fake_quantize": lambda x: fe.fake_quantize(x, "mxfp4"),
    "fma": lambda x: (fe.fma(x, 2, 1, result="float32"), fe.fma(2, x, x, result="float32")),
    "left_shift": lambda x: fe.left_shift(fe.array(np.ones(256), "int32"), fe.cast(x, "float32").astype(int) & 7),
    "right_shift": lambda x: fe.right_shift(fe.array(np.ones(256), "int32"), fe.cast(x, "float32").astype(int) & 7),
    "logb": lambda x: fe.logb(x, result="float32"),
    "next_down": lambda x: fe.next_down(x, "float16"),
    "next_up": lambda x: fe.next_up(x, "float16"),
    "quantize": lambda x: (fe.quantize(x, "mxfp4"), fe.quantize(x, "uint4_asym_group32"), fe.quantize(x, "nf4_64")),
    "quantized_matmul": lambda x: fe.quantized_matmul(
        *(fe.quantize(fe.cast(x, "float32").reshape(1, 256), "absmax_int8"),),
        fe.quantize(np.ones((256, 1), np.float32), "absmax_int8"),
    ),
    "report": lambda x: fe.report(x, ["float8_e4m3fn", "int8", "mxfp4"]),
    "round_to_integral": lambda x: fe.round_to_integral(x, result="int8"),
    "save": lambda x: fe.cast(fe.asarray(x), "float32"),  # written and read in a test of its own
    "scaleb": lambda x: fe.scaleb(x, 1, result="float32"),
    "spacing": lambda x: fe.spacing(x, "float16"),
    **{
        name: lambda x, name=name: getattr(fe, name)(x, x, result="float32")
        for name in ("dot", "vecdot")
        if hasattr(fe, name)
    },
    **{name: lambda x, name=name: getattr(fe, name)(x, result="float32") for name in ("sum", "mean")},
    **{
        name: with_result(name)
        for name in (
            *("absolute", "cos", "erf", "exp", "exp2", "log", "log2", "negative", "reciprocal", "rsqrt", "sigmoid"),
            *("sin", "sqrt", "tanh"),
        )
    },
    **{
        name: with_both(name)
        for name in (
            *("add", "copysign", "divide", "fmod", "ieee_remainder", "maximum", "maximum_number", "minimum"),
            *("minimum_number", "multiply", "pow", "subtract"),
        )
    },
    **{
        name: compared(name)
        for name in (
            *("equal", "greater", "greater_equal", "less", "less_equal", "not_equal", "unordered"),
            *("total_order", "total_order_magnitude"),
        )
    },
    **{name: getattr(fe, name) for name in public.__all__ if name.startswith("is_")},
}
TARGETS = ("bfloat16", "float8_e4m3fn", "float64", "int8", "int4", "nf4", "uint1", "float8_e8m0fnu")


def cast_to_all(name):
    function = getattr(fe, name)
    return lambda x: tuple(function(x, target) for target in TARGETS)


RECIPES |= {name: cast_to_all(name) for name in ("array", "cast", "encode")}
# Take codes, which are unsigned integers, and nothing else
OF_CODES = {
    "classify": lambda x: fe.classify(x, "int4"),
    "decode": lambda x: fe.decode(x, "int4"),
    "pack": lambda x: fe.pack(x, "int4"),
    "unpack": lambda x: fe.unpack(x, "int4", 512),
}
# Take no array of numbers; a Quantized is made of parts, which tests/quantization/test_parts.py looks at
OTHERS = {
    *("Array", "Calibration", "FlagError", "FlagWarning", "Flags", "FloatFormat", "Format", "IntFormat", "NumberClass"),
    *("Profile", "Quantized", "Rounding", "ScaleProfile", "ScaleRule", "ScaledFormat", "Stochastic", "TableFormat"),
    *("compare", "describe", "dtype", "dtypes", "errstate", "finfo", "get_num_threads", "iinfo", "load", "profile"),
    *("profile_names", "register", "rounding_mode", "same_codes", "scheme", "schemes", "set_num_threads"),
}


def test_every_public_function_is_here():
    assert set(public.__all__) - set(RECIPES) - set(OF_CODES) - OTHERS == set()
    assert not OTHERS - set(public.__all__)


def outcome(function, x):
    """What a function gives, or the words of its refusal."""
    try:
        return plain(function(x))
    except (TypeError, ValueError) as error:
        return f"{type(error).__name__}: {error}"


def check(make, name):
    dirty, clean = make(name, BYTES.copy()), make(name, meant(name))
    exact = fe.cast(dirty, "float64")
    np.testing.assert_array_equal(exact, by_hand(name))
    assert np.array_equal(np.signbit(exact), np.signbit(by_hand(name)))
    worked = 0
    for recipe, function in RECIPES.items():
        found = outcome(function, dirty)
        assert found == outcome(function, clean), recipe
        worked += not isinstance(found, str)
    assert worked > len(RECIPES) // 2  # some refuse some formats, in the same words
    for recipe, function in OF_CODES.items():
        assert outcome(function, dirty).startswith(("TypeError", "ValueError")), recipe


@pytest.mark.parametrize("name", ["bool", *ML])
def test_spare_bits_in_numpy(name):
    check(in_numpy, name)


@pytest.mark.parametrize("name", TORCH)
def test_spare_bits_in_torch(name):
    check(in_torch, name)


@pytest.mark.parametrize("name", ["bool", *ML])
def test_spare_bits_in_any_layout(name, tmp_path):
    whole = by_hand(name)
    for shape in ((256,), (16, 16), (2, 128), (256, 1)):
        x = in_numpy(name, BYTES.copy()).reshape(shape)
        np.testing.assert_array_equal(fe.cast(x.T, "float64"), whole.reshape(shape).T)
        np.testing.assert_array_equal(fe.cast(x[::2], "float64"), whole.reshape(shape)[::2])
    large = in_numpy(name, np.tile(BYTES, 1 << 10))  # several pieces
    np.testing.assert_array_equal(fe.cast(large, "float64"), np.tile(whole, 1 << 10))
    for place in (0, 2, 128, 255):  # no dimension, and one number
        assert fe.cast(in_numpy(name, BYTES.copy())[place : place + 1].reshape(()), "float64") == whole[place]
        assert fe.cast(in_numpy(name, BYTES.copy())[place], "float64") == whole[place]
    for kind in (".npz", ".safetensors"):
        fe.save(tmp_path / f"x{kind}", x=in_numpy(name, BYTES.copy()))
        found = fe.load(tmp_path / f"x{kind}")["x"]
        np.testing.assert_array_equal(fe.cast(found, "float64"), whole)
        assert fe.asarray(found).codes.max() <= meant(name).max()


def test_the_mask_of_0_and_255():
    mask = (np.arange(6) % 2 * 255).astype(np.uint8).view(bool)
    assert fe.cast(mask, "bfloat16").tolist() == [0, 1, 0, 1, 0, 1]
    assert fe.asarray(mask).codes.tolist() == [0, 1, 0, 1, 0, 1]
    assert (fe.array([1.0] * 6, "bfloat16") + mask).values.tolist() == [1, 2, 1, 2, 1, 2]
    assert fe.quantize(mask, "absmax_int8").elements.tolist() == [0, 127, 0, 127, 0, 127]
    a = fe.array(np.arange(6.0), "bfloat16")
    assert np.where(mask, a, 0).values.tolist() == [0, 1, 0, 3, 0, 5]
    assert a[mask].values.tolist() == [1, 3, 5]
    assert fe.sum(mask, result="float32") == 3
    out = np.empty(6, np.uint16)
    assert fe.encode(mask, "bfloat16", out=out) is out
    assert out.tolist() == [0, 0x3F80] * 3


def test_clean_bools_keep_their_memory():
    x = np.array([True, False] * 50)
    for few in (x, x[:4], x[::2]):
        a = fe.asarray(few)
        assert np.shares_memory(a.codes, few)
        a.codes[0] = 0
        assert not few[0]
        a.codes[0] = 1


# -- memory that changes later ----------------------------------------------------------------------------------------

BOOK = fe.TableFormat("a book", [-1.0, -0.25, 0.0, 0.125, 1.0])
NARROW = ["int4", "uint1", "float6_e2m3fn", "int12", "float4_e2m1fn", BOOK]


def changed(fmt):
    """An Array, and one whose memory was written to after it was made."""
    fmt = fe.dtype(fmt)
    memory = np.zeros(16, fmt.code_dtype)
    a, clean = fe.Array(memory, fmt), fe.Array(memory.copy(), fmt)
    memory[:] = np.iinfo(memory.dtype).max
    return a, clean


@pytest.mark.parametrize("fmt", NARROW, ids=str)
def test_no_function_takes_codes_beyond_the_format(fmt):
    dirty, clean = changed(fmt)
    arrays = {
        **{name: recipe for name, recipe in RECIPES.items() if name not in ("left_shift", "right_shift")},
        **{name: lambda x, name=name: getattr(fe, name)(x, x.format) for name in ("classify", "decode", "pack")},
    }
    worked = 0
    for function in arrays.values():
        if isinstance(outcome(function, clean), str):
            continue
        worked += 1
        with pytest.raises(ValueError, match="is out of range: the codes of"):
            function(dirty)
    assert worked > 10


def is_empty(found):
    return isinstance(found, fe.Array) and not found.size


# Answers that need no codes, or show them as they are
BLIND = {
    *(np.shape, np.ndim, np.size, np.shares_memory, np.may_share_memory, np.array_repr, np.array_str),
    *(np.empty_like, np.zeros_like, np.ones_like, np.full_like),
}


@pytest.mark.parametrize("fmt", NARROW, ids=str)
def test_no_function_of_numpy_takes_codes_beyond_the_format(fmt):
    worked = set()
    for function in array_functions.NUMPY_FUNCTIONS:
        for rest in ((), (0,), (2,), ("x",), (0, 1), ((16,),), (0, 0), (np.zeros(16, int), 0)):
            for many in (False, True):
                dirty, clean = changed(fmt)
                given = [
                    ([x, x] if many else x, *(x if isinstance(word, str) else word for word in rest))
                    for x in (clean, dirty)
                ]
                try:
                    right = function(*given[0])
                except Exception:  # no call of this function
                    continue
                worked.add(function)
                other_shape = function is np.array_equal and not right
                if function not in BLIND and not other_shape and not is_empty(right):
                    with pytest.raises(ValueError, match="is out of range: the codes of"):
                        function(*given[1])
    assert len(worked) > 50


@pytest.mark.parametrize("fmt", NARROW, ids=str)
def test_no_method_takes_codes_beyond_the_format(fmt):
    blind = {"codes", "dtype", "format", "nbytes", "ndim", "profile", "rng", "shape", "size", "view", "from_codes"}
    worked = 0
    for name in (name for name in dir(fe.Array) if not name.startswith("_") and name not in blind):
        dirty, clean = changed(fmt)
        for arguments in ((), (0,), ("float32",), (0, 0), ((16,),), (1.0, 2.0), ("ieee",)):

            def call(x, name=name, arguments=arguments):
                attribute = getattr(x, name)
                return attribute(*arguments) if callable(attribute) else attribute

            try:
                right = call(clean)
            except Exception:  # no call of this method
                continue
            worked += 1
            if is_empty(right):
                continue
            with pytest.raises(ValueError, match=r"is out of range|codes? of .* (is|are)"):
                call(dirty)
    assert worked > 20
    dirty, clean = changed(fmt)
    for call in (lambda x: x[0], list, lambda x: x[:2] == 0, np.asarray, lambda x: 0.0 in x):
        call(clean)
        with pytest.raises(ValueError, match="is out of range"):
            call(dirty)
    assert "codes=" in repr(dirty)


def test_what_carries_codes_is_looked_at():
    class Carrier:
        format, profile = fe.dtype("int4"), fe.profile("ieee")

        def __init__(self, codes):
            self.codes = codes

    assert fe.cast(Carrier(np.array([15], np.uint8)), "float32").tolist() == [-1]
    with pytest.raises(ValueError, match="code 0x10 is out of range"):
        fe.cast(Carrier(np.array([16], np.uint8)), "float32")
    for codes in ([1, 2], np.array([1.5]), np.array([-1], np.int8), None):
        with pytest.raises(TypeError, match="the codes of a Carrier are an array of unsigned integers"):
            fe.cast(Carrier(codes), "float32")
