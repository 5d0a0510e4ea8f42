"""numpy's arguments on Arrays: obeyed as numpy obeys them on the values, or refused; none accepted and ignored."""

from __future__ import annotations

import inspect
import warnings

import numpy as np
import pytest

import fpemu as fe
from fpemu.arithmetic.options import DEFAULTS
from fpemu.arrays import functions as array_functions
from fpemu.arrays import ufuncs as array_ufuncs

VALUES = np.array([[3.0, -1.0, 1.0], [0.0, 6.0, -3.0]])
A = fe.array(VALUES, "float16")
MASK = VALUES > 0

# What callers hand in for numpy's parameters, by name; every kind of value that numpy takes, and some that it refuses
INDEXES = (0, 1, -1, np.int64(1), np.uint8(0), np.array(1), 5, -3)
FLAGS = (True, False, 1, 0, 2, -1, np.int64(1), np.True_, np.False_, None, "yes", 1.0, [])
ZOO = {
    "axis": (*INDEXES, None, True, np.True_, 1.0, "0", (0,), (0, 1), (1, 0), (-1, 0), (), [0], [0, 1], (0, 0), (True,)),
    "keepdims": FLAGS,
    "equal_nan": FLAGS,
    "dtype": (None, float, np.float32, "f8", "float16", int, "nonsense"),
    "where": (True, False, 1, MASK, None, MASK[0]),
    "initial": (None, 0, 100.0, -100),
    "kind": (None, "quicksort", "mergesort", "heapsort", "stable", "nonsense", 0),
    "order": (None, "C", "F", "A", "K", "nonsense", 0),
    "stable": (None, True, False, 1),
    "casting": ("same_kind", "no", "equiv", "safe", "unsafe", "nonsense", None),
    "subok": (True, False),
    "shape": (None, (2, 2), 3, (6,), -1, "x"),
    "device": (None, "cpu", "gpu"),
    "mode": ("raise", "wrap", "clip", "nonsense", None),
    "copy": (None, True, False),
    "rtol": (0, 1.0, None),
    "atol": (0, 5.0),
    "max_line_width": (None, 20),
    "precision": (None, 1),
    "suppress_small": (None, True),
    "fill_value": (0, 2.0, None, [1.0, 2.0, 3.0], np.float32),
    "min": (0, None, [0.0, 1.0, 2.0]),
    "max": (1, None, VALUES),
    "a_min": (0, None),
    "a_max": (1, None),
    "offset": (0, 1, -1, 1.0),
    "axis1": INDEXES,
    "axis2": INDEXES,
    "axes": (None, (1, 0), (0, 1), (0,), 0, [1, 0]),
    "source": (*INDEXES, (0, 1)),
    "destination": (*INDEXES, (1, 0)),
    "k": (0, 1, 2, -1, 1.0),
    "shift": (0, 1, -1, (1, 1), 1.5),
    "repeats": (0, 2, [1, 2], 1.5),
    "reps": (2, (2, 2), 1.5),
    "indices": (0, -1, [0, 1], 7, 1.5),
    "obj": (0, -1, [0, 1], 7, 1.5, slice(0, 1)),
    "indices_or_sections": (1, 2, 3, [1], 1.5),
    "max_work": (0, 1, -1, None),
    "separator": (" ", ","),
    "formatter": (None, {"float": lambda x: "x"}),
    **dict.fromkeys(("threshold", "edgeitems"), (None, 1)),
    "sign": (None, "+"),
    "floatmode": (None, "fixed"),
    "prefix": ("", "xx"),
    "suffix": ("", "xx"),
}

# What functions are called with: the Array, and what else has to be there.  None: the Array alone.
FIRST = {
    np.reshape: ((3, 2),),
    np.moveaxis: (0, 1),
    np.swapaxes: (0, 1),
    np.expand_dims: (0,),
    np.broadcast_to: ((2, 2, 3),),
    np.repeat: (2,),
    np.roll: (1,),
    np.take: ([1, 0],),
    np.take_along_axis: (np.array([[1, 0, 2], [0, 0, 0]]),),
    np.delete: (0,),
    np.split: (1,),
    np.array_split: (2,),
    np.vsplit: (2,),
    np.hsplit: (3,),
    np.full_like: (2.0,),
    np.where: (A, 1.0),
    np.clip: (0, 2),
    np.array_equal: (A,),
    np.isclose: (A,),
    np.allclose: (A,),
}
SEVERAL = (np.concatenate, np.stack, np.vstack, np.hstack, np.dstack, np.column_stack)
# What may be refused though numpy takes it: Arrays have no such thing
REFUSED = {"fill_value", "dtype", "where", "initial", "casting", "subok", "order", "device", "out", "signature"}


def base(function):
    """The arguments of a call that works."""
    if function in SEVERAL:
        return ([A, A],)
    if function is np.dsplit:
        return (A.reshape(1, 1, 6), 3)
    if function is np.dot:
        return (A[0], A[1])
    if function is np.tile:
        return (A, 2)
    return (A, *FIRST.get(function, ()))


def plain(x):
    """What Arrays stand for, in lists and tuples too."""
    if isinstance(x, list | tuple):
        return type(x)(map(plain, x))
    return x.values if isinstance(x, fe.Array) else x


def outcome(function, args, keywords):
    """A result, or the class of the error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            return function(*args, **keywords), None
        except (TypeError, ValueError, IndexError, OverflowError, AttributeError, RuntimeWarning) as error:
            return None, error


def same(found, expected, label):
    if isinstance(expected, list | tuple):
        assert type(found) is type(expected), label
        assert len(found) == len(expected), label
        for one, other in zip(found, expected, strict=True):
            same(one, other, label)
        return
    if isinstance(found, fe.Array):
        assert found.shape == np.shape(expected), label
        np.testing.assert_array_equal(found.values, expected, err_msg=str(label))
    else:
        assert np.shape(found) == np.shape(expected), label
        np.testing.assert_array_equal(found, expected, err_msg=str(label))


def hold(call, args, keywords, name, value, numpy_call=None):
    """One call beside numpy's own on the values."""
    label = (getattr(call, "__name__", call), keywords)
    found, refused = outcome(call, args, keywords)
    expected, wrong = outcome(numpy_call or call, plain(args), {key: plain(one) for key, one in keywords.items()})
    assert not isinstance(refused, Warning | AttributeError), label
    if refused is not None:
        assert len(str(refused)) <= 300, label
        # numpy asks some for their truth, and some of its functions take True for 1
        odd = name in ("keepdims", "equal_nan") and not isinstance(value, int | np.integer)
        odd |= isinstance(value, np.bool_) or (name == "axis" and value is True)
        assert wrong is not None or name in REFUSED or odd, (label, refused)
        return
    if wrong is not None:  # numpy takes no np.bool_ as keepdims, where it takes bool
        assert isinstance(value, np.bool_), (label, found, wrong)
        expected = (numpy_call or call)(*plain(args), **{**plain_keywords(keywords), name: bool(value)})
    same(found, expected, label)


def plain_keywords(keywords):
    return {key: plain(one) for key, one in keywords.items()}


def parameters(function):
    return [p.name for p in inspect.signature(function).parameters.values() if p.kind is not p.POSITIONAL_ONLY]


APART = {np.array_repr, np.array_str, np.array2string, np.shares_memory, np.may_share_memory}
FUNCTIONS = sorted(set(array_functions.NUMPY_FUNCTIONS) - APART, key=lambda function: function.__name__)


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.__name__)
def test_each_argument_of_functions(function):
    args = base(function)
    if function is not np.empty_like:
        same(function(*args), function(*plain(args)), function.__name__)
    taken = list(inspect.signature(function).parameters)[: len(args)]
    for name in parameters(function):
        if name in taken[:1] or name in ("args", "arys", "kwargs", "out", "a2", "b", "values", "arr", "choices"):
            continue
        for value in ZOO[name]:
            call = function
            if function is np.empty_like:  # values are code 0

                def call(*args, **keywords):
                    return np.shape(np.empty_like(*args, **keywords))

            if name in taken:
                place = taken.index(name)
                hold(call, (*args[:place], value, *args[place + 1 :]), {}, name, value)
                continue
            hold(call, args, {name: value}, name, value)
            if name == "keepdims":
                for axis in (0, -1, (0, 1)):
                    hold(call, args, {"axis": axis, name: value}, name, value)


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.__name__)
def test_the_first_argument_by_name(function):
    first = next(iter(inspect.signature(function).parameters.values()))
    if first.kind is first.POSITIONAL_OR_KEYWORD and function not in SEVERAL:
        args = base(function)
        rest = dict(zip(list(inspect.signature(function).parameters)[1:], args[1:], strict=False))
        same(function(**rest, **{first.name: args[0]}), function(*plain(args)), function.__name__)


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.__name__)
def test_out(function):
    """`out` holds the result and is the result, or it is refused and untouched."""
    if "out" not in parameters(function):
        return
    args = base(function)
    expected = function(*plain(args))
    shape = np.shape(expected)
    for out in (fe.array(np.full(shape, 5.0), "float16"), np.full(shape, 5.0), np.full(shape, 5), np.ones(shape, bool)):
        before = plain(out).copy()
        found, refused = outcome(function, args, {"out": out})
        if refused is None:
            assert found is out
            np.testing.assert_array_equal(plain(out), expected)
        else:
            np.testing.assert_array_equal(plain(out), before)
    # an Array that is nothing but the out of plain arrays
    _, refused = outcome(function, plain(args), {"out": fe.array(np.zeros(shape), "float16")})
    assert refused is not None or function in SEVERAL


def test_text():
    for function in (np.array_repr, np.array_str):
        assert function(A) == repr(A)
        for option, value in (("max_line_width", 20), ("precision", 1), ("suppress_small", True)):
            with pytest.raises(TypeError, match=option):
                function(A, **{option: value})
    for name in parameters(np.array2string):
        for value in ZOO.get(name, ()):
            hold(np.array2string, (A,), {name: value}, name, value)


UFUNC_KEYWORDS = {
    "where": ZOO["where"],
    "casting": ZOO["casting"],
    "order": ZOO["order"],
    "dtype": ZOO["dtype"],
    "subok": ZOO["subok"],
    "signature": (None, "dd->d"),
    "axis": ZOO["axis"],
    "keepdims": FLAGS,
}


@pytest.mark.parametrize(
    "ufunc", sorted(array_ufuncs.UFUNCS, key=lambda ufunc: ufunc.__name__), ids=lambda u: u.__name__
)
def test_each_argument_of_ufuncs(ufunc):
    narrow = fe.array([[1.0, 1.0, 0.0], [2.0, 0.0, 1.0]], "float8_e5m2")
    second = np.array([1, 2, 0]) if ufunc is np.ldexp else narrow
    args = (narrow, second)[: ufunc.nin]
    expected = plain(ufunc(*args))
    for name, values in UFUNC_KEYWORDS.items():
        if name == "where" and ufunc.signature:  # numpy itself has none here
            continue
        for value in values:
            found, refused = outcome(ufunc, args, {name: value})
            if refused is None:
                if ufunc is np.vecdot and name == "axis":
                    same(found, np.vecdot(*plain(args), axis=value), (ufunc, value))
                else:  # then it is what numpy does without it
                    assert (name, value) in NEUTRAL, (ufunc, name, value)
                    same(plain(found), expected, (ufunc, name, value))
            else:
                assert (name, value) not in NEUTRAL if not isinstance(value, np.ndarray | list) else True


NEUTRAL = [("where", True), ("casting", "same_kind"), ("order", "C"), ("order", "K"), ("dtype", None), ("subok", True)]
NEUTRAL += [("signature", None)]


class Once(list):
    """Membership by kind and value: 1 is not True."""

    def __contains__(self, item):
        name, value = item
        return any(name == n and type(value) is type(v) and value == v for n, v in self)


NEUTRAL = Once(NEUTRAL)
METHODS = [
    name
    for name, member in inspect.getmembers(fe.Array, inspect.isfunction)
    if not name.startswith("_")
    and hasattr(np.ndarray, name)
    and name not in ("astype", "view", "item", "tolist", "copy")
]


@pytest.mark.parametrize("name", METHODS)
def test_each_argument_of_methods(name):
    first = {"swapaxes": (0, 1), "take": ([1, 0],), "repeat": (2,), "reshape": (3, 2), "clip": (0, 2), "dot": (A[1],)}
    args, like = first.get(name, ()), A[0] if name == "dot" else A

    def call(*args, **keywords):
        a = like.copy()
        found = getattr(a, name)(*args, **keywords)
        return a if name == "sort" else found

    def numpy_call(*args, **keywords):
        x = like.values.astype(float)
        found = getattr(x, name)(*args, **keywords)
        return x if name == "sort" else found

    same(call(*args), numpy_call(*plain(args)), name)
    given = list(inspect.signature(getattr(fe.Array, name)).parameters.values())[1:]
    own = {"accumulate", "summation", "products", "y", "shape", "axes", *DEFAULTS}
    for p in given:
        if p.name in own:
            continue
        for value in ZOO[p.name]:
            place = [q.name for q in given].index(p.name)
            if p.kind is p.POSITIONAL_OR_KEYWORD and place < len(args):
                hold(call, (*args[:place], value, *args[place + 1 :]), {}, p.name, value, numpy_call)
            else:
                hold(call, args, {p.name: value}, p.name, value, numpy_call)
    theirs = set(ZOO) - {p.name for p in given}
    for option in theirs:  # no method takes an option that it does not have
        with pytest.raises(TypeError):
            call(*args, **{option: ZOO[option][1]})


def test_the_softmax_idiom():
    for truthy in (True, 1, np.True_, np.int64(1)):
        for function in (np.max, np.min, np.sum, np.mean, np.argmax, np.argmin, np.any, np.all):
            if not (isinstance(truthy, np.bool_) and function in (np.any, np.all)):  # as numpy itself has it
                assert function(A, axis=1, keepdims=truthy).shape == (2, 1)
        for name in ("max", "min", "sum", "mean", "argmax", "argmin"):
            assert getattr(A, name)(axis=1, keepdims=truthy).shape == (2, 1)
        for name in ("sum", "mean"):
            assert getattr(fe, name)(A, axis=1, keepdims=truthy).shape == (2, 1)
    for call in (
        lambda: np.max(A, axis=[0, 1]),
        lambda: A.max([0]),
        lambda: fe.sum(A, axis=[0]),
        lambda: A.argmin([0]),
    ):
        with pytest.raises(TypeError, match="axis"):
            call()


# -- random numbers that nothing uses ---------------------------------------------------------------------------------

RANDOM = ({"rng": 0}, {"rng": np.random.default_rng(0)}, {"random_bits": np.zeros(3, np.uint32)}, {"rng_offset": 1})
TAKE_RANDOM = [
    name
    for name in fe.__all__
    if inspect.isfunction(getattr(fe, name)) and "rng" in inspect.signature(getattr(fe, name)).parameters
]


def call_with_random(name, how):
    x = fe.array([1.0, 2.0, 4.0], "float8_e4m3fn")
    args = {
        **dict.fromkeys(("cast", "encode", "convert"), (x, "float16")),
        "quantize": ([1.0, 2.0, 4.0], "absmax_int8"),
        "report": ([1.0, 2.0, 4.0], ["int8", "float16"]),
        "quantized_matmul": (fe.quantize([[1.0, 2.0]], "absmax_int8"), fe.quantize([[1.0], [2.0]], "absmax_int8")),
        "array": (x, "float16"),
        "scaleb": (x, [1, 1, 1]),
        "left_shift": (fe.array([1, 2, 3], "int8"), [1, 1, 1]),
        "right_shift": (fe.array([1, 2, 3], "int8"), [1, 1, 1]),
    }.get(name)
    function = getattr(fe, name)
    if args is None:
        own = [p for p in inspect.signature(function).parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD]
        args = (x,) * sum(p.default is p.empty for p in own)
    return function(*args, **how)


def test_many_functions_take_random_numbers():
    assert {"cast", "encode", "add", "sum", "vecdot", "exp", "convert", "quantize", "report"} <= set(TAKE_RANDOM)


@pytest.mark.parametrize("name", TAKE_RANDOM)
def test_random_numbers_need_stochastic_rounding(name):
    call_with_random(name, {})
    options = inspect.signature(getattr(fe, name)).parameters
    for how in RANDOM:
        if not set(how) <= set(options):
            continue
        with pytest.raises(ValueError, match=rf"{next(iter(how))}= is for stochastic rounding.*rounding='stochastic'"):
            call_with_random(name, how)
    if "rounding" in options:
        call_with_random(name, {"rng": 0, "rounding": "stochastic"})
        if "random_bits" in options and name not in ("array",):
            with pytest.raises(ValueError, match="leave rng out"):
                call_with_random(name, {"rng": 0, "random_bits": np.zeros(3, np.uint32), "rounding": "stochastic"})


def test_steps_use_random_numbers():
    """`rng` is used where the steps alone are rounded stochastically, by the Arrays' own profile."""
    rules = fe.profile("ieee").replace(rounding="stochastic", name="random")
    a = fe.array(np.full(200, 1.0625), "float8_e4m3fn", profile=rules)
    sums = [fe.sum(a, accumulate="float8_e4m3fn", result="float32", rng=seed).item() for seed in (0, 0, 1, 2)]
    assert sums[0] == sums[1]
    assert len(set(sums)) > 1
