"""Operands that are hard to round: choose a hard result, then solve exactly for an operand.

Hard results are ties between neighbours, the overflow threshold, subnormals, and a zero left by cancellation.  The
operand is the format's value nearest to the exact solution, or a few values away; if the solution is a value of the
format, the operation's exact result is the chosen one.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

from fpemu.formats import FloatFormat, IntFormat, TableFormat
from fpemu.formats.facts.exactness import floor_log2, quantum
from fpemu.inspection import Code

__all__ = ["SOLVED", "finite_value", "halfway", "nearest_code", "refuse_codebook", "short_number"]

NumberFormat = FloatFormat | IntFormat

# operation -> index of the operand to solve for; its value for a result and the other operands
SOLVED: dict[str, tuple[int, Callable[..., Fraction | None]]] = {
    "add": (1, lambda result, x: result - x),
    "subtract": (1, lambda result, x: x - result),
    "multiply": (1, lambda result, x: result / x if x else None),
    "divide": (0, lambda result, y: result * y),
    "fma": (2, lambda result, x, y: result - x * y),
    "sqrt": (0, lambda result: result * result),
    # Remainders are hard where the quotient is a tie, so the chosen result is the quotient.
    "fmod": (0, lambda quotient, y: quotient * y),
    "ieee_remainder": (0, lambda quotient, y: quotient * y),
}


def refuse_codebook(fmt: NumberFormat | TableFormat) -> NumberFormat:
    """Return the format, or raise a ValueError if it is a codebook."""
    if isinstance(fmt, TableFormat):
        raise ValueError(f"{fmt} is a codebook: operations have none; for casts to it use sources({fmt.name!r})")
    return fmt


def finite_value(code: int, fmt: NumberFormat) -> Fraction | None:
    """A code's value; None for NaN and infinities."""
    return Code(fmt, code).exact


def halfway(code: int, fmt: NumberFormat) -> Fraction | None:
    """The midpoint between a code's value and the next one away from zero; for the largest, the overflow threshold."""
    x = finite_value(code, fmt)
    if x is None:
        return None
    return x + quantum(abs(x), fmt) / (2 if x >= 0 else -2)


def nearest_code(x: Fraction, fmt: NumberFormat, steps: int = 0) -> int:
    """The code of the finite value nearest to a number, moved `steps` codes away from zero, clamped to the largest.

    Examples
    --------
    >>> from fractions import Fraction
    >>> import fpemu as fe
    >>> from fpemu.verification.hard_cases import nearest_code
    >>> hex(nearest_code(Fraction(-1, 3), fe.dtype("float16"))), hex(nearest_code(Fraction(10**9), fe.dtype("float16")))
    ('0xb555', '0x7bff')
    """
    units = round(abs(x) / quantum(abs(x), fmt)) + (steps if isinstance(fmt, IntFormat) else 0)
    if isinstance(fmt, IntFormat):
        value = min(max(units if x >= 0 else -units, fmt.min_int), fmt.max_int)
        if fmt.encoding == "sign_magnitude" and value < 0:
            return fmt.sign_mask | -value
        return value % fmt.code_count
    if x < 0 and not fmt.signed:
        units, x = 0, Fraction(0)
    # Codes of magnitudes are consecutive: each binade begins where the previous one ends.
    binade = max(floor_log2(abs(x)), fmt.emin) - fmt.emin if x else 0
    leading = 0 if fmt.subnormals else 1 << fmt.trailing_bits
    magnitude = (binade << fmt.trailing_bits) + units - leading + steps
    magnitude = min(max(magnitude, 0), fmt.max_code)
    code = magnitude | (fmt.sign_mask if x < 0 else 0)
    return magnitude if code in fmt.nan_codes or Code(fmt, code).exact is None else code


def short_number(odd: int, x: Fraction) -> Fraction:
    """An odd number scaled by a power of two into the binade of x."""
    number = odd * Fraction(2) ** (floor_log2(abs(x)) - odd.bit_length() + 1)
    return number if x > 0 else -number
