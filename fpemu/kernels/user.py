"""The scalar cores with few arguments, for loops that users compile; see `fpemu.cores`.

`spec` comes from a format, `rules` from `fpemu.cores.rules`.  Codes may be of any integer type, results are uint64.
The cores that do the work are compiled once and cached on disk; users call thin wrappers that convert all arguments to
one type, so that a new loop compiles in a moment.
"""

from numba import TypingError, types
from numba.extending import intrinsic
from numpy import float64, int64, uint64

from fpemu.kernels.jit import core, loop
from fpemu.kernels.scalar import arithmetic, comparison, convert
from fpemu.kernels.scalar.bits import U0, bits_of, float_of, leading_zeros
from fpemu.kernels.scalar.random_bits import random_integer
from fpemu.kernels.scalar.results import unpack_operand
from fpemu.kernels.spec import KIND, NO_OPERATION, NO_RULES, SIGNED, TWOS_COMPLEMENT
from fpemu.kernels.user_docs import fill_docstring

FLOAT64_SPEC = (0, 64, 53, -1074, 1, 1, 1, 0x7FEFFFFFFFFFFFFF, 0x7FEFFFFFFFFFFFFF, 1, 1)  # its spec
# Its rules: nearest even, overflow to infinity, one quiet NaN for each sign
_MINUS = -(1 << 63)
TO_FLOAT64 = (
    *(0, 0, 0x7FF0000000000000, 0x7FF0000000000000 + _MINUS, 0x7FF0000000000000, 0x7FF0000000000000 + _MINUS),
    *(0x7FF8000000000000, 0x7FF8000000000000 + _MINUS, 0, 0, _MINUS, 0, _MINUS),
    *(0, 0, 0, 0, *NO_OPERATION),
)

# Compiled separately, once for all users' loops: inlined as cores, they would be compiled again for each loop.
(_add, _multiply, _divide, _fma, _sqrt, _convert, _encode, _extremum, _change_sign) = (
    loop(core_.py_func)
    for core_ in (
        *(arithmetic.add, arithmetic.multiply, arithmetic.divide, arithmetic.fma, arithmetic.sqrt),
        *(convert.convert, convert.encode, comparison.extremum, arithmetic.change_sign),
    )
)


@intrinsic
def code_of(typing, x):
    """A code as uint64; other types than integers do not compile.

    In numba the sum of int64 and uint64 is float64: a running sum that starts as 0 would lose bits.
    """
    if not isinstance(x, types.Integer | types.Boolean):
        raise TypingError(f"codes are integers, not {x}; one that begins as 0 is np.uint64(0)")

    def bits(context, builder, signature, arguments):
        [given] = arguments
        return context.cast(builder, given, x, types.uint64)

    return types.uint64(x), bits


def public(function):
    """Compile a core for users, and fill in its docstring."""
    return core(fill_docstring(function))


@public
def decode(code, spec):
    """Decode a code; a finite value is (-1)^negative significand 2^exponent.

    {parameters}

    Returns
    -------
    category : int
        FINITE, INFINITE or NOT_A_NUMBER.
    negative : bool
    significand : int
        A NaN's payload, if the code is a NaN.
    exponent : int

    Examples
    --------
    >>> import fpemu as fe
    >>> category, negative, significand, exponent = fe.cores.decode(0xC5, fe.dtype("float8_e4m3fn").spec)
    >>> category == fe.cores.FINITE, negative, significand * 2.0**exponent
    (True, True, 3.25)
    """
    return convert.decode(code_of(code), spec)


@public
def is_nan(x, spec):
    """Whether a code is a NaN.

    {parameters}

    Returns
    -------
    bool

    Examples
    --------
    >>> import fpemu as fe
    >>> fe.cores.is_nan(0x7F, fe.dtype("float8_e4m3fn").spec)
    True
    """
    return convert.decode(code_of(x), spec)[0] == convert.NOT_A_NUMBER


@public
def encode(negative, significand, exponent, spec, rules, random=0):
    """The code of (-1)^negative significand 2^exponent, rounded once.

    {parameters}

    {a code}

    Examples
    --------
    >>> import fpemu as fe
    >>> e4m3 = fe.dtype("float8_e4m3fn")
    >>> hex(fe.cores.encode(True, 13, -2, e4m3.spec, fe.cores.rules(e4m3)))  # -3.25
    '0xc5'
    """
    significand = code_of(significand)
    if significand == U0:
        return convert.encode_zero(negative, rules)
    zeros = leading_zeros(significand)
    top = int64(exponent) + 63 - int64(zeros)
    return _encode(
        negative != 0, top, significand << zeros, U0, False, spec, rules, code_of(random)
    )[0]  # fmt: skip


@public
def recode(code, source, target, rules, random=0):
    """A code of one format as a code of another, rounded once: a cast.

    {parameters}

    {a code}

    Examples
    --------
    >>> import fpemu as fe
    >>> e4m3, e5m2 = fe.dtype("float8_e4m3fn"), fe.dtype("float8_e5m2")
    >>> hex(fe.cores.recode(0x7E, e4m3.spec, e5m2.spec, fe.cores.rules(e5m2)))  # 448, a tie of 384 and 512
    '0x5f'
    """
    return _convert(code_of(code), source, target, rules, code_of(random))


@public
def from_float(number, spec, rules, random=0):
    """The code of a float, rounded once.

    {parameters}

    {a code}

    Examples
    --------
    >>> import fpemu as fe
    >>> e4m3 = fe.dtype("float8_e4m3fn")
    >>> hex(fe.cores.from_float(0.3, e4m3.spec, fe.cores.rules(e4m3)))
    '0x2a'
    """
    return _convert(bits_of(float64(number)), FLOAT64_SPEC, spec, rules, code_of(random))


@public
def to_float(code, spec):
    """A code's value as a float64, rounded to nearest even if it is not exactly a float64.

    {parameters}

    Returns
    -------
    float

    Examples
    --------
    >>> import fpemu as fe
    >>> fe.cores.to_float(0x2A, fe.dtype("float8_e4m3fn").spec)
    0.3125
    """
    return float_of(_convert(code_of(code), spec, FLOAT64_SPEC, TO_FLOAT64, U0))


@public
def round_float(number, spec, rules, random=0):
    """A float rounded to the format's values, as a float64.

    {parameters}

    Returns
    -------
    float

    Examples
    --------
    >>> import fpemu as fe
    >>> bf16 = fe.dtype("bfloat16")
    >>> fe.cores.round_float(0.1, bf16.spec, fe.cores.rules(bf16))
    0.10009765625
    """
    return to_float(from_float(number, spec, rules, random), spec)


@public
def add_mixed(x, y, x_spec, y_spec, target, rules, random=0):
    """The sum x + y of two formats in a third, rounded once, and the flags raised.

    {parameters}

    {a code and flags}

    Examples
    --------
    >>> import fpemu as fe
    >>> e4m3, fp16 = fe.dtype("float8_e4m3fn"), fe.dtype("float16")
    >>> code, flags = fe.cores.add_mixed(0x38, 0x6400, e4m3.spec, fp16.spec, fp16.spec, fe.cores.rules(fp16))
    >>> hex(code), flags  # 1 + 1024
    ('0x6401', 0)
    """
    return _add(
        code_of(x), code_of(y), False, x_spec, y_spec, target, rules, code_of(random)
    )  # fmt: skip


@public
def subtract_mixed(x, y, x_spec, y_spec, target, rules, random=0):
    """The difference x - y of two formats in a third, rounded once, and the flags raised.

    {parameters}

    {a code and flags}

    Examples
    --------
    >>> import fpemu as fe
    >>> int8, fp16 = fe.dtype("int8"), fe.dtype("float16")
    >>> code, flags = fe.cores.subtract_mixed(3, 0x3C00, int8.spec, fp16.spec, fp16.spec, fe.cores.rules(fp16))
    >>> hex(code), flags  # 3 - 1
    ('0x4000', 0)
    """
    return _add(
        code_of(x), code_of(y), True, x_spec, y_spec, target, rules, code_of(random)
    )  # fmt: skip


@public
def multiply_mixed(x, y, x_spec, y_spec, target, rules, random=0):
    """The product x y of two formats in a third, rounded once, and the flags raised.

    {parameters}

    {a code and flags}

    Examples
    --------
    >>> import fpemu as fe
    >>> e4m3, fp16 = fe.dtype("float8_e4m3fn"), fe.dtype("float16")
    >>> code, flags = fe.cores.multiply_mixed(0x7E, 0x7E, e4m3.spec, e4m3.spec, fp16.spec, fe.cores.rules(fp16))
    >>> hex(code), flags == fe.cores.OVERFLOW + fe.cores.INEXACT  # 448 squared
    ('0x7c00', True)
    """
    return _multiply(
        code_of(x), code_of(y), x_spec, y_spec, target, rules, code_of(random)
    )  # fmt: skip


@public
def divide_mixed(x, y, x_spec, y_spec, target, rules, random=0):
    """The quotient x / y of two formats in a third, rounded once, and the flags raised.

    {parameters}

    {a code and flags}

    Examples
    --------
    >>> import fpemu as fe
    >>> int8, fp16 = fe.dtype("int8"), fe.dtype("float16")
    >>> code, flags = fe.cores.divide_mixed(1, 0, int8.spec, int8.spec, fp16.spec, fe.cores.rules(fp16))
    >>> hex(code), flags == fe.cores.DIVIDE_BY_ZERO
    ('0x7c00', True)
    """
    return _divide(
        code_of(x), code_of(y), x_spec, y_spec, target, rules, code_of(random)
    )  # fmt: skip


@public
def fma_mixed(x, y, z, x_spec, y_spec, z_spec, target, rules, random=0):
    """The fused x y + z of three formats in a fourth, rounded once, and the flags raised.

    {parameters}

    {a code and flags}

    Examples
    --------
    >>> import fpemu as fe
    >>> e4m3, fp16 = fe.dtype("float8_e4m3fn").spec, fe.dtype("float16").spec
    >>> code, flags = fe.cores.fma_mixed(0x39, 0x39, 0xBC00, e4m3, e4m3, fp16, fp16, fe.cores.rules("float16"))
    >>> fe.cores.to_float(code, fp16), flags  # 1.125^2 - 1
    (0.265625, 0)
    """
    return _fma(
        code_of(x), code_of(y), code_of(z), x_spec, y_spec, z_spec, target, rules,
        code_of(random),
    )  # fmt: skip


@public
def sqrt_mixed(x, x_spec, target, rules, random=0):
    """The root of x in another format, rounded once, and the flags raised.

    {parameters}

    {a code and flags}

    Examples
    --------
    >>> import fpemu as fe
    >>> int8, fp16 = fe.dtype("int8"), fe.dtype("float16")
    >>> code, flags = fe.cores.sqrt_mixed(2, int8.spec, fp16.spec, fe.cores.rules(fp16))
    >>> fe.cores.to_float(code, fp16.spec), flags == fe.cores.INEXACT
    (1.4140625, True)
    """
    return _sqrt(code_of(x), x_spec, target, rules, code_of(random))


@public
def add(x, y, spec, rules, random=0):
    """The sum x + y in one format, rounded once.

    {parameters}

    {a code}

    Examples
    --------
    >>> import fpemu as fe
    >>> fp16 = fe.dtype("float16")
    >>> hex(fe.cores.add(0x3C00, 0x4000, fp16.spec, fe.cores.rules(fp16)))  # 1 + 2
    '0x4200'
    """
    return add_mixed(x, y, spec, spec, spec, rules, random)[0]


@public
def subtract(x, y, spec, rules, random=0):
    """The difference x - y in one format, rounded once.

    {parameters}

    {a code}

    Examples
    --------
    >>> import fpemu as fe
    >>> fp16 = fe.dtype("float16")
    >>> hex(fe.cores.subtract(0x3C00, 0x4000, fp16.spec, fe.cores.rules(fp16)))  # 1 - 2
    '0xbc00'
    """
    return subtract_mixed(x, y, spec, spec, spec, rules, random)[0]


@public
def multiply(x, y, spec, rules, random=0):
    """The product x y in one format, rounded once.

    {parameters}

    {a code}

    Examples
    --------
    >>> import fpemu as fe
    >>> q = fe.dtype("q3.12")
    >>> product = fe.cores.multiply(0x1800, 0xF000, q.spec, fe.cores.rules(q))  # 1.5 times -1
    >>> fe.cores.to_float(product, q.spec)
    -1.5
    """
    return multiply_mixed(x, y, spec, spec, spec, rules, random)[0]


@public
def divide(x, y, spec, rules, random=0):
    """The quotient x / y in one format, rounded once.

    {parameters}

    {a code}

    Examples
    --------
    >>> import fpemu as fe
    >>> fp16 = fe.dtype("float16")
    >>> fe.cores.to_float(fe.cores.divide(0x3C00, 0x4200, fp16.spec, fe.cores.rules(fp16)), fp16.spec)  # 1 / 3
    0.333251953125
    """
    return divide_mixed(x, y, spec, spec, spec, rules, random)[0]


@public
def fma(x, y, z, spec, rules, random=0):
    """The fused x y + z in one format, rounded once.

    {parameters}

    {a code}

    Examples
    --------
    >>> import fpemu as fe
    >>> bf16 = fe.dtype("bfloat16")
    >>> product = fe.cores.fma(0x3F81, 0x3F81, 0xBF82, bf16.spec, fe.cores.rules(bf16))  # (1 + u)^2 - (1 + 2 u)
    >>> fe.cores.to_float(product, bf16.spec) == 2.0**-14
    True
    """
    return fma_mixed(x, y, z, spec, spec, spec, spec, rules, random)[0]


@public
def sqrt(x, spec, rules, random=0):
    """The root of x in one format, rounded once.

    {parameters}

    {a code}

    Examples
    --------
    >>> import fpemu as fe
    >>> fp16 = fe.dtype("float16")
    >>> fe.cores.to_float(fe.cores.sqrt(0x4000, fp16.spec, fe.cores.rules(fp16)), fp16.spec)
    1.4140625
    """
    return sqrt_mixed(x, spec, spec, rules, random)[0]


@public
def minimum(x, y, spec, rules):
    """The smaller of x and y; NaN if either is, and -0 is below +0 (IEEE 754-2019 clause 9.6).

    {parameters}

    {a code}

    Examples
    --------
    >>> import fpemu as fe
    >>> e4m3 = fe.dtype("float8_e4m3fn")
    >>> hex(fe.cores.minimum(0x38, 0xB8, e4m3.spec, fe.cores.rules(e4m3)))
    '0xb8'
    """
    return _extremum(
        code_of(x), code_of(y), False, False, spec, spec, spec, rules, U0
    )[0]  # fmt: skip


@public
def maximum(x, y, spec, rules):
    """The larger of x and y; NaN if either is, and -0 is below +0 (IEEE 754-2019 clause 9.6).

    {parameters}

    {a code}

    Examples
    --------
    >>> import fpemu as fe
    >>> e4m3 = fe.dtype("float8_e4m3fn")
    >>> hex(fe.cores.maximum(0x00, 0xB8, e4m3.spec, fe.cores.rules(e4m3)))  # a rectifier
    '0x0'
    """
    return _extremum(
        code_of(x), code_of(y), True, False, spec, spec, spec, rules, U0
    )[0]  # fmt: skip


@core
def has_sign_bit(spec):
    """Whether the format has a sign bit, apart from two's complement."""
    return spec[KIND] != TWOS_COMPLEMENT and spec[SIGNED] != 0


@public
def negative(x, spec, rules):
    """The negation -x; in a format with a sign bit only that bit changes, also of NaN (IEEE 754-2019 clause 5.5.1).

    {parameters}

    {a code}

    Examples
    --------
    >>> import fpemu as fe
    >>> int8 = fe.dtype("int8")
    >>> fe.cores.negative(128, int8.spec, fe.cores.rules(int8))  # 128 is beyond int8
    127
    """
    minus = not arithmetic.is_negative(code_of(x), spec)
    return _change_sign(code_of(x), minus, spec, spec, has_sign_bit(spec), rules, U0)[0]


@public
def absolute(x, spec, rules):
    """The magnitude of x; in a format with a sign bit only that bit changes (IEEE 754-2019 clause 5.5.1).

    {parameters}

    {a code}

    Examples
    --------
    >>> import fpemu as fe
    >>> fp16 = fe.dtype("float16")
    >>> hex(fe.cores.absolute(0xFC00, fp16.spec, fe.cores.rules(fp16)))
    '0x7c00'
    """
    return _change_sign(code_of(x), False, spec, spec, has_sign_bit(spec), rules, U0)[0]


@public
def compare(x, y, x_spec, y_spec, rules=NO_RULES):
    """Compare numbers of any two formats: LESS, EQUAL, GREATER or UNORDERED (IEEE 754-2019 clause 5.11).

    Subnormals keep their values, unless `rules` make them zero.

    {parameters}

    Returns
    -------
    int

    Examples
    --------
    >>> import fpemu as fe
    >>> int8, fp16 = fe.dtype("int8").spec, fe.dtype("float16").spec
    >>> fe.cores.compare(2, 0x4001, int8, fp16) == fe.cores.LESS
    True
    """
    return comparison.compare(unpack_operand(code_of(x), x_spec, rules), unpack_operand(code_of(y), y_spec, rules))


@public
def random_bits(key, place, rules):
    """The random integer that `cast` uses for an element of the stream; 0 if the rounding is not stochastic.

    {parameters}

    Returns
    -------
    int
        Below 2^bits.

    Examples
    --------
    >>> import fpemu as fe
    >>> bf16 = fe.dtype("bfloat16")
    >>> rules = fe.cores.rules(bf16, rounding="stochastic")
    >>> random = fe.cores.random_bits(fe.cores.key(7), 0, rules)
    >>> fe.cores.round_float(0.1, bf16.spec, rules, random) == fe.cast(0.1, bf16, rounding="stochastic", rng=7)
    np.True_
    """
    return random_integer(uint64(key), uint64(place), rules)


def njit(function):
    """Compile a function that uses the cores, cached on disk under the digest of the kernels.

    numba's own `cache=True` checks only the function's file, and would return old bits after an upgrade.  A function
    without a file (from an interactive session) is compiled and not cached.

    Parameters
    ----------
    function : function
        Any function that `numba.njit` compiles; it runs without the GIL.

    Returns
    -------
    numba dispatcher

    Examples
    --------
    >>> import fpemu as fe
    >>> @fe.cores.njit
    ... def square(x, spec, rules):
    ...     return fe.cores.multiply(x, x, spec, rules)
    >>> fp16 = fe.dtype("float16")
    >>> hex(square(0x4200, fp16.spec, fe.cores.rules(fp16)))  # 3 squared
    '0x4880'
    """
    return loop(function)
