"""Operations by name, for calculators and tables: what each takes, and its exact value for exact numbers."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any, NamedTuple

from fpemu import arithmetic
from fpemu.arithmetic.elementary import functions as elementary
from fpemu.arithmetic.elementary import ziv as digits
from fpemu.casting import significands
from fpemu.formats.facts.exactness import floor_log2, odd_bits, power_of_two
from fpemu.formats.facts.literals import DIGITS, FAR
from fpemu.formats.facts.text import FARTHEST, Exact, exact_digits
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

LONGEST = 1 << 17  # binary digits of an exact value that is told in full, without the zeros at its end...
FULLEST = 1 << 24  # ...and with them
MANY = 1 << 13  # binary digits of an operand of an elementary function
FEWEST = 70  # known binary digits of an exact value: 20 decimal ones are printed
WHOLE_POWERS = 64  # so many factors at most are multiplied out


class Operation(NamedTuple):
    """An operation of numbers: its function in fpemu, how many operands it takes, and how it gets to its exact value.

    `exact` takes a rounding mode and fractions, and gives None or raises an ArithmeticError where there is no number.
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
    return _first_digits(x, False, int(n)) if abs(n) > FARTHEST else Exact(x * power_of_two(int(n)))


def _copysign(_: Any, x: Fraction, y: Fraction) -> Fraction | None:
    return abs(x) * (-1 if y < 0 else 1) if y else None  # a Fraction has no sign at 0


def _power(_: Any, x: Fraction, y: Fraction) -> Exact | None:
    whole = y.denominator == 1 and abs(y) <= WHOLE_POWERS
    if whole and max(x.numerator.bit_length(), x.denominator.bit_length()) * abs(y) < FARTHEST:
        return Exact(x ** int(y))
    return _of_digits(digits.dyadic_power, x, y)


def _of_digits(value: Callable[..., significands.Digits128], *operands: Fraction) -> Exact | None:
    """What `fpemu.arithmetic.elementary.ziv` knows; of numbers that are not dyadic, from their first digits."""
    cut = [_cut(x) for x in operands]
    found = value(*(number for number, _ in cut))
    more = found.more or any(more for _, more in cut)
    if found.kind == columns.ZERO:
        return Exact(Fraction(0), more)
    if found.kind != columns.NUMBER:
        return None
    return exact_digits(found.negative, found.top, found.digits, more)


def _cut(x: Fraction) -> tuple[significands.Dyadic, bool]:
    """The first digits of a number, as many as elementary functions look at, and whether more follow."""
    if not x:
        return significands.Dyadic(columns.NUMBER, False), False
    binade = floor_log2(abs(x))
    up = min(max(x.denominator.bit_length() - 1, 2 * DIGITS - min(binade, 0)), max(MANY - binade, 4 * DIGITS))
    m, rest = divmod(abs(x.numerator) << max(up, 0), x.denominator << max(-up, 0))
    zeros = (m & -m).bit_length() - 1
    return significands.Dyadic(columns.NUMBER, x < 0, m >> zeros, zeros - up), rest != 0


def _elementary(name: str) -> Operation:
    def exact(_: Any, x: Fraction) -> Exact | None:
        return _of_digits(lambda number: digits.value_at_dyadic(name, number), x)

    return Operation(name, getattr(elementary, name), 1, exact)


_LISTED = [
    Operation("add", arithmetic.add, 2, lambda _, x, y: x + y),
    Operation("subtract", arithmetic.subtract, 2, lambda _, x, y: x - y),
    Operation("multiply", arithmetic.multiply, 2, lambda _, x, y: x * y),
    Operation("divide", arithmetic.divide, 2, lambda _, x, y: x / y),
    Operation("fma", arithmetic.fma, 3, lambda _, x, y, z: x * y + z),
    Operation("sqrt", arithmetic.sqrt, 1, _sqrt),
    Operation("fmod", arithmetic.fmod, 2, lambda _, x, y: x - y * math.trunc(x / y)),
    Operation("ieee_remainder", arithmetic.ieee_remainder, 2, lambda _, x, y: x - y * round(x / y)),
    Operation("pow", elementary.pow, 2, _power),
    *map(_elementary, sorted(digits.FUNCTIONS)),
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

# What else people call them: Python's and C's names, and symbols
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
        If there is none; the message says which there are.

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
        None where there is no number (1/0, the root of -1), where it is too far away to be told, and where too few of
        its digits are known: the difference of two that agree in most of theirs.

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
    value = _exactly(operation, rounding, [x.number for x in known])
    if value is None or not any(x.more for x in known):
        return value
    digits_known = DIGITS
    ends = [{x.number - _unknown(x), x.number + _unknown(x)} for x in known]
    beside = [_exactly(operation, rounding, list(numbers)) for numbers in itertools.product(*ends)]
    if all(each == value for each in beside) and not value.more:
        return value  # digits that are not known change nothing
    for each in beside:
        digits_known = min(digits_known, _alike(value, each))
    return value._replace(more=True, known=digits_known) if digits_known >= FEWEST else None


def _exactly(operation: Operation, rounding: Rounding | Stochastic, numbers: list[Fraction]) -> Exact | None:
    try:
        found = operation.exact(rounding, *numbers)
    except (ArithmeticError, ValueError):  # a division by zero; the sine of what is too large
        return None
    return None if found is None else _cut_off(found if isinstance(found, Exact) else Exact(found))


def _unknown(x: Exact) -> Fraction:
    """How far a number may be from its known digits."""
    return abs(x.number) / (1 << (x.known - 1)) if x.more else Fraction(0)


def _alike(x: Exact, y: Exact | None) -> int:
    """How many of the first binary digits two values have in common, 128 at most."""
    if y is None or abs(x.scale - y.scale) > 1 or (x.scale == 0) != (y.scale == 0):
        return 0
    difference = abs(x.number - y.number * power_of_two(y.scale - x.scale))
    if not difference:
        return DIGITS
    return max(0, min(DIGITS, floor_log2(abs(x.number)) - floor_log2(difference) - 1)) if x.number else 0


def _of_far(name: str, operands: list[Exact]) -> Exact | None:
    """The exact value of an operation on operands of which one is far away; None where it would take all its digits."""
    more, digits_known = any(x.more for x in operands), min(x.known for x in operands) - 1
    if digits_known < FEWEST:
        return None
    first, last = operands[0], operands[-1]
    if name in ("pow", "exp", "exp2") and last.scale > 0:  # so large a power; a base beside 1 has no 2^(2^16) digits
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
    """A number x 2^scale, x not 0, as its first 128 digits."""
    top, bottom = abs(x.numerator), x.denominator
    up = DIGITS + bottom.bit_length() - top.bit_length() + 1
    whole, rest = divmod(top << max(up, 0), bottom << max(-up, 0))
    found = digits.dyadic(x < 0, whole, -up)
    return exact_digits(found.negative, found.top + scale, found.digits, more or found.more or rest != 0)


def _cut_off(x: Exact) -> Exact:
    """An exact value, as its first digits where it has too many to go on with."""
    if x.scale or not x.number:
        return x
    top, bottom = abs(x.number.numerator), x.number.denominator
    size, odd = (sum(map(bits, (top, bottom))) for bits in (int.bit_length, odd_bits))
    if odd <= LONGEST and size <= FULLEST:
        return x
    return _first_digits(x.number, x.more, 0)
