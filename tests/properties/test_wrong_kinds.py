"""Public functions and methods with arguments of the wrong kind: TypeError or ValueError, and no warning."""

from __future__ import annotations

import inspect
import random
import warnings
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

import fpemu as fe

X = fe.array([[1.0, 2.0]], "float16")
CODES = np.array([1, 2], np.uint8)


class Odd:
    def __repr__(self):
        return "Odd()"


WRONG = [
    *(
        None,
        True,
        3,
        -1,
        2**70,
        3.7,
        float("nan"),
        float("inf"),
        1j,
        "x",
        "",
        b"x",
        (),
        [],
        {},
        {1},
        object(),
        Odd(),
        Odd,
    ),
    *(len, Fraction(1, 3), Decimal("1.5"), Decimal("NaN"), range(3), slice(2), ..., NotImplemented, ValueError("x")),
    *(
        np.float16(2),
        np.complex64(1),
        np.int8(-1),
        np.bool_(True),
        np.datetime64("2020"),
        np.str_("a"),
        np.float32,
        int,
    ),
    *(np.array([1.5]), np.array([]), np.array(["a"]), np.array([None]), np.array([1 + 2j]), np.zeros(3, "V3")),
    *(np.ma.masked_array([1.0], [True]), [[1], [2, 3]], [1, "a"], [None], np.dtype("f4"), np.dtype("c8")),
    *(
        X,
        fe.dtype("int4"),
        fe.dtype("nf4"),
        fe.scheme("mxfp4"),
        fe.profile("torch"),
        fe.Rounding.TO_ODD,
        fe.Stochastic(),
    ),
    *(fe.quantize([[1.0, 2.0]], "absmax_int8"), np.random.default_rng(0)),
]
INSTANCES = (
    *(X, fe.quantize([[1.0, 2.0]], "absmax_int8"), fe.scheme("absmax_int8"), fe.scheme("mxfp4")),
    *(fe.calibrate([[1.0, 2.0]], "absmax_int8"), fe.dtype("float16"), fe.dtype("int8"), fe.dtype("nf4")),
    *(fe.profile("ieee"), fe.scheme("mxfp4").scale_rule, fe.Stochastic(), fe.add(X, X, return_flags=True)[1]),
    fe.scheme("mxfp4").profile,
)
ELSEWHERE = {"set_num_threads", "get_num_threads", "save", "load", "register", "audit"}  # state, files, other programs
RIGHT = {
    **{"fmt": "float16", "n": 1, "scheme": "absmax_int8", "formats": "int8", "axis": 0, "bits": 8, "precision": 4},
    **{"name": "name", "element": "int4", "block": 2, "shape": (1, 2), "dtype": "float32", "codes": CODES},
    **{"qa": INSTANCES[1], "qb": fe.quantize([[1.0], [2.0]], "absmax_int8", axis=0), "packed": CODES[:1]},
}
# What all operations have in common is tried with these alone
OPTIONS = {"result", "profile", "rounding", "overflow", "rng", "random_bits", "rng_offset", "return_flags", "out"}
THESE = {"add", "exp", "sum", "convert", "equal", "Array.sum", "cast", "quantize"}


def targets():
    for name in fe.__all__:
        member = getattr(fe, name)
        error = isinstance(member, type) and issubclass(member, BaseException)
        if name not in ELSEWHERE and not error and (inspect.isfunction(member) or inspect.isclass(member)):
            yield name, member
    for one in INSTANCES:
        for name, _ in inspect.getmembers(type(one), callable):
            if not name.startswith("_"):
                yield f"{type(one).__name__}.{name}", getattr(one, name)


def calls(name, function):
    """Every parameter with wrong values, one at a time; the others right."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except ValueError:
        return
    required = [
        p for p in parameters if p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
    ]
    right = [RIGHT.get(p.name, X) for p in required]
    chance = random.Random(name)
    for place in range(len(required)):
        for wrong in chance.sample(WRONG, 30):
            yield [*right[:place], wrong, *right[place + 1 :]], {}
    for p in parameters:
        if p in required or (p.name in OPTIONS and name not in THESE):
            continue
        for wrong in chance.sample(WRONG, 12):
            if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY):
                yield right, {p.name: wrong}
            elif p.kind is p.VAR_POSITIONAL:
                yield [*right, wrong], {}


TARGETS = dict(targets())


def told(function, args, keywords):
    """What is wrong with a call's end, if anything is."""
    with warnings.catch_warnings(record=True) as leaked:
        warnings.simplefilter("always")
        try:
            function(*args, **keywords)
        except (TypeError, ValueError, IndexError, OverflowError) as error:
            if not str(error):
                return f"an empty {type(error).__name__}"
        except Exception as error:
            return repr(error)
    return f"a warning: {leaked[0].message}" if leaked else None


@pytest.mark.parametrize("name", TARGETS)
def test_wrong_kinds(name):
    wrong = []
    for args, keywords in calls(name, TARGETS[name]):
        found = told(TARGETS[name], args, keywords)
        if found is not None:
            wrong.append((found, args, keywords))
    assert not wrong, (len(wrong), wrong[:5])


def test_many_are_tried():
    assert len(TARGETS) > 150
    assert {"cast", "Array.take", "FloatFormat.value", "FloatFormat.check_profile", "same_codes"} <= set(TARGETS)


def test_listed_cases():
    for call, match in (
        (lambda: fe.same_codes(3.7, fe.dtype("int4")), "same_codes takes two Formats"),
        (lambda: fe.same_codes(fe.dtype("int4"), "int4"), r"fpemu.dtype\(x\)"),
        (lambda: fe.dtype("float16").check_profile("float32"), r"rules must be a Profile, which fpemu.profile\(name\)"),
        (lambda: fe.dtype("float16").value(np.float16(2)), "a code must be an int"),
        (lambda: fe.dtype("float16").exact(1.0), "a code must be an int"),
        (lambda: X.take(np.complex64(1)), "not complex"),
        (lambda: X.repeat(np.complex64(1)), "not complex"),
        (lambda: fe.report([1.0], "int8", np.complex64(1)), "scale must be"),
        (lambda: fe.TableFormat("t", np.array([1, 2j])), "not complex"),
    ):
        with pytest.raises(TypeError, match=match):
            call()
    assert fe.dtype("float16").value(np.int64(0x3C00)) == 1


def test_codes_in_memory_that_is_narrower():
    """Codes of a wide format may come in few bytes: their numbers count."""
    for source in ("float32", "float64", "int32"):
        fmt = fe.dtype(source)
        for codes in (np.array([0, 1, 255], np.uint8), np.array([0, 1, 65535], np.uint16)):
            expected = fe.encode(codes.astype(fmt.code_dtype), "float64", source=source)
            assert np.array_equal(fe.encode(codes, "float64", source=source), expected)
            assert np.array_equal(fe.decode(codes, source), fe.decode(codes.astype(fmt.code_dtype), source))
            assert np.array_equal(fe.Array(codes, source).codes, codes)


class Index:
    """An integer of another library."""

    def __init__(self, number):
        self.number = number

    def __index__(self):
        return self.number


def test_integers_of_any_type(tmp_path):
    """Integers that only have `__index__` act as ints."""
    x = [0.1, 0.2, 0.3]
    how = {"rounding": "stochastic", "rng": 1}
    np.testing.assert_array_equal(
        fe.cast(x, "bfloat16", rng_offset=Index(3), **how), fe.cast(x, "bfloat16", rng_offset=3, **how)
    )
    np.testing.assert_array_equal(fe.pack([1, 2], "int4", word_bits=Index(16)), fe.pack([1, 2], "int4", word_bits=16))
    fe.save(tmp_path / "x.npz", x=x)
    np.testing.assert_array_equal(fe.load(tmp_path / "x.npz", "x", max_bytes=Index(1 << 20)), x)
