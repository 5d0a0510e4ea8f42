"""Operations by name, for calculators and tables: what each takes, and its exact value for exact numbers."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any, NamedTuple

from fpemu import arithmetic, comparisons, digits, elementary, integral, remainders, signs
from fpemu.anatomy import floor_log2, fraction_text
from fpemu.explain import decision
from fpemu.infotext import dyadic_text
from fpemu.kernels import columns
from fpemu.knobs import Rounding, Stochastic, near

__all__ = ["ALIASES", "OPERATIONS", "SYMBOLS", "Exact", "Operation", "exact_value", "find_operation", "to_value"]

FARTHEST = 1 << 16  # binary exponent, or number of binary digits, of an exact value that is still told
WHOLE_POWERS = 64  # so many factors at most are multiplied out


class Exact(NamedTuple):
    """An exact value: a number, and whether more digits follow (128 are there, cut off)."""

    number: Fraction
    more: bool = False

    @property
    def text(self) -> str:
        """In decimal; where that is cut also as a ratio or with a power of two; "~" before what has more digits."""
        decimal = fraction_text(self.number)
        if self.more:
            return f"~{decimal}"
        denominator = self.number.denominator
        if "…" not in decimal or denominator.bit_length() > 200:
            return decimal
        if denominator & (denominator - 1) == 0:
            return f"{decimal} = {dyadic_text(self.number.numerator, 1 - denominator.bit_length())}"
        return f"{decimal} = {self.number}"


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
    up = max(2 * digits.DIGITS - 2 * (floor_log2(x) // 2), 0)
    return Exact(Fraction(math.isqrt(math.floor(x * 4**up)), 2**up), True)


def _integral(rounding: Rounding | Stochastic, x: Fraction) -> Fraction | None:
    low = math.floor(abs(x))
    up, _ = decision(rounding, abs(x) - low, x < 0, low % 2 == 1)
    return None if up is None else Fraction((low + up) * (-1 if x < 0 else 1))


def _scaleb(_: Any, x: Fraction, n: Fraction) -> Fraction | None:
    return x * Fraction(2) ** int(n) if abs(n) <= FARTHEST else None


def _copysign(_: Any, x: Fraction, y: Fraction) -> Fraction | None:
    return abs(x) * (-1 if y < 0 else 1) if y else None  # a Fraction has no sign at 0


def _power(_: Any, x: Fraction, y: Fraction) -> Exact | None:
    whole = y.denominator == 1 and abs(y) <= WHOLE_POWERS
    if whole and max(x.numerator.bit_length(), x.denominator.bit_length()) * abs(y) < FARTHEST:
        return Exact(x ** int(y))
    return _of_digits(digits.power, x, y)


def _of_digits(value: Callable[..., digits.Value], *operands: Fraction) -> Exact | None:
    """What `fpemu.digits` knows; of numbers that are not dyadic, from their first digits."""
    cut = [_cut(x) for x in operands]
    found = value(*(number for number, _ in cut))
    more = found.more or any(more for _, more in cut)
    if found.kind == columns.ZERO:
        return Exact(Fraction(0), more)
    if found.kind != columns.NUMBER or abs(found.top) > FARTHEST:
        return None
    number = found.digits * Fraction(2) ** (found.top - digits.DIGITS + 1)
    return Exact(-number if found.negative else number, more)


def _cut(x: Fraction) -> tuple[digits.Operand, bool]:
    """The first 256 digits of a number, and whether more follow."""
    up = max(x.denominator.bit_length() - 1, 2 * digits.DIGITS - floor_log2(abs(x))) if x else 0
    scaled = abs(x) * (1 << up)
    m = math.floor(scaled)
    zeros = (m & -m).bit_length() - 1 if m else 0
    return digits.Operand(columns.NUMBER, x < 0, m >> zeros, zeros - up if m else 0), m != scaled


def to_value(x: Fraction) -> digits.Value:
    """A number as its first 128 digits, whether more follow; what kernels round.

    Examples
    --------
    >>> from fractions import Fraction
    >>> from fpemu.catalogue import to_value
    >>> to_value(Fraction(3, 4)).top, to_value(Fraction(3, 4)).more, to_value(Fraction(1, 3)).more
    (-1, False, True)
    """
    if x == 0:
        return digits.zero()
    top = floor_log2(abs(x))
    scaled = abs(x) * Fraction(2) ** (digits.DIGITS - 1 - top)
    found = math.floor(scaled)
    return digits.Value(columns.NUMBER, x < 0, top, found, found != scaled)


def _elementary(name: str) -> Operation:
    def exact(_: Any, x: Fraction) -> Exact | None:
        return _of_digits(lambda number: digits.value_of(name, number), x)

    return Operation(name, getattr(elementary, name), 1, exact)


_LISTED = [
    Operation("add", arithmetic.add, 2, lambda _, x, y: x + y),
    Operation("subtract", arithmetic.subtract, 2, lambda _, x, y: x - y),
    Operation("multiply", arithmetic.multiply, 2, lambda _, x, y: x * y),
    Operation("divide", arithmetic.divide, 2, lambda _, x, y: x / y),
    Operation("fma", arithmetic.fma, 3, lambda _, x, y, z: x * y + z),
    Operation("sqrt", arithmetic.sqrt, 1, _sqrt),
    Operation("fmod", remainders.fmod, 2, lambda _, x, y: x - y * math.trunc(x / y)),
    Operation("ieee_remainder", remainders.ieee_remainder, 2, lambda _, x, y: x - y * round(x / y)),
    Operation("pow", elementary.pow, 2, _power),
    *map(_elementary, sorted(digits.FUNCTIONS)),
    Operation("absolute", signs.absolute, 1, lambda _, x: abs(x)),
    Operation("negative", signs.negative, 1, lambda _, x: -x),
    Operation("copysign", signs.copysign, 2, _copysign),
    Operation("round_to_integral", integral.round_to_integral, 1, _integral),
    Operation("scaleb", integral.scaleb, 2, _scaleb),
    Operation("logb", integral.logb, 1, lambda _, x: Fraction(floor_log2(abs(x))) if x else None),
    Operation("minimum", comparisons.minimum, 2, lambda _, x, y: min(x, y)),
    Operation("maximum", comparisons.maximum, 2, lambda _, x, y: max(x, y)),
    Operation("minimum_number", comparisons.minimum_number, 2, lambda _, x, y: min(x, y)),
    Operation("maximum_number", comparisons.maximum_number, 2, lambda _, x, y: max(x, y)),
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
    >>> from fpemu.catalogue import find_operation
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
        None where there is no number (1/0, the root of -1), and where it is too far away to be told.

    Examples
    --------
    >>> from fractions import Fraction
    >>> from fpemu.catalogue import Exact, exact_value, find_operation
    >>> exact_value(find_operation("fma"), (Exact(Fraction(1, 2)), Exact(Fraction(3)), Exact(Fraction(1))))
    Exact(number=Fraction(5, 2), more=False)
    """
    known = [x for x in operands if x is not None]
    if len(known) < len(operands):
        return None
    try:
        found = operation.exact(rounding, *(x.number for x in known))
    except (ArithmeticError, ValueError):  # a division by zero; the sine of what is too large
        return None
    if found is None:
        return None
    value = found if isinstance(found, Exact) else Exact(found)
    return Exact(value.number, value.more or any(x.more for x in known))
