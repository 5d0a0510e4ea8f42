"""Operations by name, with their exact values for exact operands; for calculators and tables."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any, NamedTuple

from fpemu import arithmetic
from fpemu.arithmetic.elementary import functions, ziv
from fpemu.casting import significands
from fpemu.formats.facts.exactness import floor_log2, odd_bits, power_of_two
from fpemu.formats.facts.literals import DIGITS, FAR
from fpemu.formats.facts.text import FARTHEST_PRINTED, Exact, exact_digits
from fpemu.formats.lookup import near
from fpemu.formats.rules import Rounding, Stochastic
from fpemu.inspection.explanation import decision
from fpemu.kernels import columns

__all__ = [
    "ALIASES",
    "OPERATIONS",
    "SYMBOLS",
    "Operation",
    "exact_value",
    "find_operation",
]

MAX_ODD_BITS = 1 << 17  # binary digits of a value that is kept exactly, without trailing zeros...
MAX_BINARY_DIGITS = 1 << 24  # ...and with them
MAX_OPERAND_DIGITS = 1 << 13  # binary digits of an operand of an elementary function
MIN_KNOWN_DIGITS = 70  # binary digits of an exact value, of which 20 decimal ones are printed
MAX_EXACT_POWER = 64  # integer powers up to this are multiplied out


class Operation(NamedTuple):
    """An operation: its function in fpemu, its number of operands, and the function of its exact value.

    `exact` takes a rounding mode and fractions; it returns None or raises an ArithmeticError if there is no number.
    """

    name: str
    call: Callable[..., Any]
    operands: int
    exact: Callable[..., Exact | Fraction | None]


def _sqrt(_: Any, x: Fraction) -> Exact | None:
    if x < 0:
        return None
    root = Fraction(math.isqrt(x.numerator), math.isqrt(x.denominator))
    if root * root == x:
        return Exact(root)
    up = max(2 * DIGITS - 2 * (floor_log2(x) // 2), 0)
    return Exact(Fraction(math.isqrt(math.floor(x * 4**up)), 2**up), True)


def _integral(rounding: Rounding | Stochastic, x: Fraction) -> Fraction | None:
    low = math.floor(abs(x))
    up, _ = decision(rounding, abs(x) - low, x < 0, low % 2 == 1)
    return None if up is None else Fraction((low + up) * (-1 if x < 0 else 1))


def _scaleb(_: Any, x: Fraction, n: Fraction) -> Exact:
    if not x:
        return Exact(x)
    return _first_digits(x, False, int(n)) if abs(n) > FARTHEST_PRINTED else Exact(x * power_of_two(int(n)))


def _copysign(_: Any, x: Fraction, y: Fraction) -> Fraction | None:
    return abs(x) * (-1 if y < 0 else 1) if y else None  # a Fraction has no sign at 0


def _power(_: Any, x: Fraction, y: Fraction) -> Exact | None:
    whole = y.denominator == 1 and abs(y) <= MAX_EXACT_POWER
    if whole and max(x.numerator.bit_length(), x.denominator.bit_length()) * abs(y) < FARTHEST_PRINTED:
        return Exact(x ** int(y))
    return _by_ziv(ziv.dyadic_power, x, y)


def _by_ziv(value: Callable[..., significands.Digits128], *operands: Fraction) -> Exact | None:
    """The value by `fpemu.arithmetic.elementary.ziv`; numbers that are not dyadic are cut to their first digits."""
    cut = [_cut(x) for x in operands]
    result = value(*(number for number, _ in cut))
    more = result.more or any(more for _, more in cut)
    if result.kind == columns.ZERO:
        return Exact(Fraction(0), more)
    if result.kind != columns.NUMBER:
        return None
    return exact_digits(result.negative, result.top, result.digits, more)


def _cut(x: Fraction) -> tuple[significands.Dyadic, bool]:
    """The leading digits of a number, enough for elementary functions, and whether more follow."""
    if not x:
        return significands.Dyadic(columns.NUMBER, False), False
    binade = floor_log2(abs(x))
    up = min(
        max(x.denominator.bit_length() - 1, 2 * DIGITS - min(binade, 0)), max(MAX_OPERAND_DIGITS - binade, 4 * DIGITS)
    )
    m, rest = divmod(abs(x.numerator) << max(up, 0), x.denominator << max(-up, 0))
    zeros = (m & -m).bit_length() - 1
    return significands.Dyadic(columns.NUMBER, x < 0, m >> zeros, zeros - up), rest != 0


def _elementary(name: str) -> Operation:
    def exact(_: Any, x: Fraction) -> Exact | None:
        return _by_ziv(lambda number: ziv.value_at_dyadic(name, number), x)

    return Operation(name, getattr(functions, name), 1, exact)


_LISTED = [
    Operation("add", arithmetic.add, 2, lambda _, x, y: x + y),
    Operation("subtract", arithmetic.subtract, 2, lambda _, x, y: x - y),
    Operation("multiply", arithmetic.multiply, 2, lambda _, x, y: x * y),
    Operation("divide", arithmetic.divide, 2, lambda _, x, y: x / y),
    Operation("fma", arithmetic.fma, 3, lambda _, x, y, z: x * y + z),
    Operation("sqrt", arithmetic.sqrt, 1, _sqrt),
    Operation("fmod", arithmetic.fmod, 2, lambda _, x, y: x - y * math.trunc(x / y)),
    Operation("ieee_remainder", arithmetic.ieee_remainder, 2, lambda _, x, y: x - y * round(x / y)),
    Operation("pow", functions.pow, 2, _power),
    *map(_elementary, sorted(ziv.FUNCTIONS)),
    Operation("absolute", arithmetic.absolute, 1, lambda _, x: abs(x)),
    Operation("negative", arithmetic.negative, 1, lambda _, x: -x),
    Operation("copysign", arithmetic.copysign, 2, _copysign),
    Operation("round_to_integral", arithmetic.round_to_integral, 1, _integral),
    Operation("scaleb", arithmetic.scaleb, 2, _scaleb),
    Operation("logb", arithmetic.logb, 1, lambda _, x: Fraction(floor_log2(abs(x))) if x else None),
    Operation("minimum", arithmetic.minimum, 2, lambda _, x, y: min(x, y)),
    Operation("maximum", arithmetic.maximum, 2, lambda _, x, y: max(x, y)),
    Operation("minimum_number", arithmetic.minimum_number, 2, lambda _, x, y: min(x, y)),
    Operation("maximum_number", arithmetic.maximum_number, 2, lambda _, x, y: max(x, y)),
]
OPERATIONS = {operation.name: operation for operation in _LISTED}

# Other names of operations, from Python and C, and symbols
ALIASES = {
    **{"abs": "absolute", "neg": "negative", "sub": "subtract", "mul": "multiply", "div": "divide"},
    **{"min": "minimum", "max": "maximum", "fmin": "minimum_number", "fmax": "maximum_number"},
    **{"remainder": "ieee_remainder", "power": "pow", "rint": "round_to_integral", "ldexp": "scaleb"},
}
SYMBOLS = {"+": "add", "-": "subtract", "*": "multiply", "/": "divide", "**": "pow"}


def find_operation(name: str) -> Operation:
    """The operation of a name, an alias or a symbol.

    Parameters
    ----------
    name : str
        As fpemu names it, or "abs", "max", "remainder", "+", "**"...

    Returns
    -------
    Operation

    Raises
    ------
    ValueError
        If there is no such operation; the message lists all.

    Examples
    --------
    >>> from fpemu.inspection.operations import find_operation
    >>> find_operation("+").name, find_operation("remainder").operands
    ('add', 2)
    """
    known = SYMBOLS.get(name) or ALIASES.get(name, name)
    if known not in OPERATIONS:
        raise ValueError(
            f"no operation {name!r}: there are {', '.join(OPERATIONS)}{near(name, [*OPERATIONS, *ALIASES])}"
        )
    return OPERATIONS[known]


def exact_value(
    operation: Operation, operands: tuple[Exact | None, ...], rounding: Rounding | Stochastic = Rounding.NEAREST_EVEN
) -> Exact | None:
    """The exact value of an operation.

    Parameters
    ----------
    operation : Operation
    operands : tuple of Exact or None
        None: NaN or an infinity.
    rounding : Rounding or Stochastic
        For `round_to_integral`, whose exact value depends on it.

    Returns
    -------
    Exact or None
        None if there is no such number (1/0, the square root of -1), if its exponent is unknown, or if too few of its
        digits are known: the difference of two numbers that agree in most of their digits.

    Examples
    --------
    >>> from fractions import Fraction
    >>> from fpemu.inspection.operations import exact_value, find_operation
    >>> from fpemu.formats.facts.text import Exact
    >>> exact_value(find_operation("fma"), (Exact(Fraction(1, 2)), Exact(Fraction(3)), Exact(Fraction(1))))
    Exact(number=Fraction(5, 2), more=False, scale=0, known=128)
    """
    known = [x for x in operands if x is not None]
    if len(known) < len(operands):
        return None
    if any(x.scale for x in known):
        return _of_far(operation.name, known)
    value = _exact_of_numbers(operation, rounding, [x.number for x in known])
    if value is None or not any(x.more for x in known):
        return value
    digits_known = DIGITS
    ends = [{x.number - _uncertainty(x), x.number + _uncertainty(x)} for x in known]
    at_ends = [_exact_of_numbers(operation, rounding, list(numbers)) for numbers in itertools.product(*ends)]
    if all(each == value for each in at_ends) and not value.more:
        return value  # the unknown digits do not matter
    for each in at_ends:
        digits_known = min(digits_known, _common_digits(value, each))
    return value._replace(more=True, known=digits_known) if digits_known >= MIN_KNOWN_DIGITS else None


def _exact_of_numbers(operation: Operation, rounding: Rounding | Stochastic, numbers: list[Fraction]) -> Exact | None:
    try:
        value = operation.exact(rounding, *numbers)
    except (ArithmeticError, ValueError):  # a division by zero; the sine of a number that is too large
        return None
    return None if value is None else _cut_off(value if isinstance(value, Exact) else Exact(value))


def _uncertainty(x: Exact) -> Fraction:
    """The largest possible error of a number's known digits."""
    return abs(x.number) / (1 << (x.known - 1)) if x.more else Fraction(0)


def _common_digits(x: Exact, y: Exact | None) -> int:
    """The number of leading binary digits that two values have in common, 128 at most."""
    if y is None or abs(x.scale - y.scale) > 1 or (x.scale == 0) != (y.scale == 0):
        return 0
    difference = abs(x.number - y.number * power_of_two(y.scale - x.scale))
    if not difference:
        return DIGITS
    return max(0, min(DIGITS, floor_log2(abs(x.number)) - floor_log2(difference) - 1)) if x.number else 0


def _of_far(name: str, operands: list[Exact]) -> Exact | None:
    """The exact value where an operand has a large exponent; None if all its digits would be needed."""
    more, digits_known = any(x.more for x in operands), min(x.known for x in operands) - 1
    if digits_known < MIN_KNOWN_DIGITS:
        return None
    first, last = operands[0], operands[-1]
    if name in ("pow", "exp", "exp2") and last.scale > 0:  # the result is far from 1: no base is close enough to 1
        base = first.number if name == "pow" and not first.scale else Fraction(2)
        if base <= 0 or base == 1 or (name == "pow" and first.scale):
            return None
        return Exact(Fraction(1), True, FAR if (base > 1) == (last.number > 0) else -FAR)
    if any(x.beyond for x in operands) and len(operands) > 1:
        return None
    if name in ("negative", "absolute"):
        return first._replace(number=-first.number if name == "negative" else abs(first.number))
    if name not in ("multiply", "divide") or not last.number:
        return Exact(Fraction(0), more) if name == "multiply" else None
    if not first.number:
        return first
    product = first.number * last.number if name == "multiply" else first.number / last.number
    scale = first.scale + (last.scale if name == "multiply" else -last.scale)
    return _first_digits(product, more, scale)._replace(known=digits_known)


def _first_digits(x: Fraction, more: bool, scale: int) -> Exact:
    """The first 128 digits of x 2^scale, for x other than 0."""
    top, bottom = abs(x.numerator), x.denominator
    up = DIGITS + bottom.bit_length() - top.bit_length() + 1
    whole, rest = divmod(top << max(up, 0), bottom << max(-up, 0))
    leading = ziv.dyadic(x < 0, whole, -up)
    return exact_digits(leading.negative, leading.top + scale, leading.digits, more or leading.more or rest != 0)


def _cut_off(x: Exact) -> Exact:
    """An exact value, cut to its first digits if it has too many."""
    if x.scale or not x.number:
        return x
    top, bottom = abs(x.number.numerator), x.number.denominator
    size, odd = (sum(map(bits, (top, bottom))) for bits in (int.bit_length, odd_bits))
    if odd <= MAX_ODD_BITS and size <= MAX_BINARY_DIGITS:
        return x
    return _first_digits(x.number, x.more, 0)
