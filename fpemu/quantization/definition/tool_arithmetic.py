"""The arithmetic of a tool that quantizes, step by step, as data; carried out by `fpemu.quantization.tool_scales`."""

from __future__ import annotations

import dataclasses
import math

from fpemu.formats.lookup import check_word

__all__ = ["Steps"]

WORDS = {
    "arithmetic": ("float32", "input"),
    "statistic": ("own", "minmax"),
    "scale": ("rule", "divide", "multiply", "folded", "inverse", "two_sided"),
    "divisor": ("own", "half_span"),
    "second": ("own", "divide", "inverse"),
    "factor": ("divide", "reciprocal", "multiply", "scales", "nested_reciprocal", "undone", "normal", "rceil", "wide"),
    "zero": ("after", "before", "fused", "half"),
    "beyond": ("saturate", "lowest", "wrapped", "zero"),
    "choose": ("no", "mae", "mse"),
    "codebook": ("nearest", "midpoints", "places"),
    "decode": ("product", "scales_first", "quotient", "plain_sum"),
}


@dataclasses.dataclass(frozen=True)
class Steps:
    """What a tool computes in place of exact numbers, each operation rounded to nearest even.

    s: a block's scale; t: the second level's; "largest": the largest value of the elements.

    Parameters
    ----------
    arithmetic : {"float32", "input"}
        The type: float32; or that of the numbers where they are bfloat16 or float16.
    statistic : {"own", "minmax"}
        The scheme's; or the smallest and the largest number.
    scale : {"rule", "divide", "multiply", "folded", "inverse", "two_sided"}
        s: the scheme's rule, exact; statistic / divisor (/ t); (statistic / divisor) x t; statistic x (t x (1 /
        divisor)); divisor / statistic, by which numbers are multiplied; the larger of min / lowest and max / highest.
    divisor : {"own", "half_span"}
        The rule's; or half of the highest integer less the lowest.
    reduce_range : bool
        Scales and zero points are those of half as many integers.
    least : float or "smallest_normal"
        s is at least so much, of the arithmetic's type; a NaN stays.
    least_statistic : float
        The statistic is at least so much.
    powers : bool
        s is rounded down to a power of two.
    second : {"own", "divide", "inverse"}
        t: exact; the largest magnitude / (largest x the scales' largest), 1 if that is 0; (largest x the scales'
        largest) / the largest magnitude, at most float32's largest number, 1 if it is 0 or the magnitude is.
    second_top : float
        What counts as the scales' largest in t; 0: it itself.
    factor : {"divide", "reciprocal", "multiply", "scales", "nested_reciprocal", "undone", "normal", "rceil", "wide"}
        Numbers are divided by s; multiplied by 1 / s; multiplied by s; multiplied by s, of which 1 / s is kept;
        multiplied by (1 / t) / s; by 1 / (s x (1 / t)), at most float32's largest number; divided by s, by 2^-126 for
        code 0 and infinity for NaN; multiplied by 1 / s, which is 1 for code 0; multiplied by 1 / s, s not yet rounded
        to the scales' format, or by 0 where s is 0.
    least_divisor : float
        s is at least so much where numbers are divided.
    zero : {"after", "before", "fused", "half"}
        The zero point is added to the rounded quotient; to the quotient; to the quotient by a fused multiply-add; and a
        half with it to the quotient.
    beyond : {"saturate", "lowest", "wrapped", "zero"}
        What NaN and quotients from `limit` on become: as others; the lowest integer; the highest where the zero point
        is below 0, else the lowest, as -2^31 + zero point does; the code 0.
    limit : float
    lost_zero_point : int
        The zero point of a block with a NaN.
    nan_codes : tuple of (str, int)
        What NaN becomes in elements without one: names of formats, codes without sign.
    choose : {"no", "mae", "mse"}
        Whether a block is scaled to 6 or to 4, whichever has the smaller sum of errors, or of their squares.
    codebook : {"nearest", "midpoints", "places"}
        Elements of a codebook: the nearest; by midpoints in the arithmetic's type; by 65,536 places in [-1, 1].
    ragged : bool
        In a last block that is shorter numbers are divided by s, and s is kept as `least_divisor` makes it.
    decode : {"product", "scales_first", "quotient", "plain_sum"}
        element x s x t, rounded once; s x t is rounded first; element / s; an offset is added to the rounded product.

    Raises
    ------
    ValueError
        If a word is unknown.
    TypeError
        If something is of the wrong kind.

    Examples
    --------
    >>> from fpemu.quantization.definition.tool_arithmetic import Steps
    >>> Steps(factor="reciprocal").zero
    'after'
    """

    arithmetic: str = "float32"
    statistic: str = "own"
    scale: str = "divide"
    divisor: str = "own"
    reduce_range: bool = False
    least: float | str = 0.0
    least_statistic: float = 0.0
    powers: bool = False
    second: str = "own"
    second_top: float = 0.0
    factor: str = "reciprocal"
    least_divisor: float = 0.0
    zero: str = "after"
    beyond: str = "saturate"
    limit: float = math.inf
    lost_zero_point: int = 0
    nan_codes: tuple[tuple[str, int], ...] = ()
    choose: str = "no"
    codebook: str = "nearest"
    ragged: bool = False
    decode: str = "product"

    def __post_init__(self) -> None:
        for field, allowed in WORDS.items():
            check_word(getattr(self, field), allowed, field)
        if isinstance(self.least, str):
            check_word(self.least, ("smallest_normal",), "least")
        for field in ("least", "least_statistic", "second_top", "least_divisor", "limit"):
            number = getattr(self, field)
            if isinstance(number, str) and field == "least":
                continue
            if isinstance(number, bool) or not isinstance(number, int | float):
                raise TypeError(f"{field} must be a number, not {type(number).__name__}")
            if not number >= 0:
                raise ValueError(f"{field} must be 0 or more, not {number}")
        for field in ("reduce_range", "powers", "ragged"):
            if not isinstance(getattr(self, field), bool):
                raise TypeError(f"{field} must be a bool, not {type(getattr(self, field)).__name__}")
