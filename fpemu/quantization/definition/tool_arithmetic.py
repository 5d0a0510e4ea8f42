"""Steps: a tool's own arithmetic as data; executed by `quantization.tool_scales` and `tool_elements`."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from fpemu.formats.lookup import check_word

__all__ = ["Steps", "steps_from"]

# The words of each field; `Steps` has their formulas.
WORDS = {
    "arithmetic": ("float32", "input"),
    "statistic": ("rule", "minmax"),
    "scale": (
        "rule",
        "quotient",
        "quotient_times_second",
        "product_with_second_over_divisor",
        "inverse_quotient",
        "larger_side",
    ),
    "divisor": ("rule", "half_span"),
    "second": ("exact", "quotient", "inverse_quotient"),
    "factor": (
        "division",
        "reciprocal",
        "reciprocal_of_normal",
        "reciprocal_or_one",
        "reciprocal_of_unrounded",
        "reciprocal_of_product",
        "inverse_second_over_scale",
        "scale",
        "scale_kept_as_reciprocal",
    ),
    "zero": ("after", "before", "fused", "half"),
    "beyond": ("saturate", "lowest", "wrapped", "zero"),
    "choose": ("no", "mae", "mse"),
    "codebook": ("nearest", "midpoints", "grid"),
    "decode": ("product", "scales_first", "quotient", "product_plus_offset"),
}

# The words of version 1's files.
_FORMER_WORDS = {
    "statistic": {"own": "rule"},
    "scale": {
        "divide": "quotient",
        "multiply": "quotient_times_second",
        "folded": "product_with_second_over_divisor",
        "inverse": "inverse_quotient",
        "two_sided": "larger_side",
    },
    "divisor": {"own": "rule"},
    "second": {"own": "exact", "divide": "quotient", "inverse": "inverse_quotient"},
    "factor": {
        "divide": "division",
        "normal": "reciprocal_of_normal",
        "rceil": "reciprocal_or_one",
        "wide": "reciprocal_of_unrounded",
        "undone": "reciprocal_of_product",
        "nested_reciprocal": "inverse_second_over_scale",
        "multiply": "scale",
        "scales": "scale_kept_as_reciprocal",
    },
    "codebook": {"places": "grid"},
    "decode": {"plain_sum": "product_plus_offset"},
}


@dataclasses.dataclass(frozen=True)
class Steps:
    """A tool's arithmetic instead of exact numbers, each operation rounded to nearest even.

    In the formulas x is a number, s its block's scale, t the second level's scale, d the `divisor`, "largest" the
    largest value of the elements.

    Parameters
    ----------
    arithmetic : {"float32", "input"}
        The type of the arithmetic: float32; "input": the numbers' own type if that is bfloat16 or float16.
    statistic : {"rule", "minmax"}
        "rule": the scale rule's statistic; "minmax": the smallest and the largest number.
    scale : str
        The block's scale s.

        - "rule": as the scale rule specifies, exact
        - "quotient": statistic / d, and / t where there is a second level
        - "quotient_times_second": (statistic / d) x t
        - "product_with_second_over_divisor": statistic x (t x (1 / d))
        - "inverse_quotient": d / statistic, by which numbers are multiplied
        - "larger_side": the larger of smallest / lowest integer and largest / highest integer
    divisor : {"rule", "half_span"}
        d.  "rule": the scale rule's; "half_span": (highest integer - lowest integer) / 2.
    reduce_range : bool
        Whether scales and zero points are computed for half as many integers.
    least : float or "smallest_normal"
        The lower bound of s; "smallest_normal": that of the arithmetic's type.  NaN is unchanged.
    least_statistic : float
        The lower bound of the statistic.
    powers : bool
        Whether s is rounded down to a power of two.
    second : str
        The second level's scale t.

        - "exact": rounded once
        - "quotient": amax / (largest x the scales' largest value), or 1 if that is 0
        - "inverse_quotient": (largest x the scales' largest value) / amax, at most float32's largest number, or 1 if
          it or amax is 0
    second_top : float
        The scales' largest value in t; 0: that of their format.
    factor : str
        The quotient of x and s.

        - "division": x / s
        - "reciprocal": x x (1 / s)
        - "reciprocal_of_normal": x x (1 / s), where s is 2^-126 for code 0 and infinity for NaN
        - "reciprocal_or_one": x x (1 / s), where 1 / s is 1 for code 0
        - "reciprocal_of_unrounded": x x (1 / s), s not yet rounded to the scales' format; x x 0 where s is 0
        - "reciprocal_of_product": x x (1 / (s x (1 / t))), the factor at most float32's largest number
        - "inverse_second_over_scale": x x ((1 / t) / s)
        - "scale": x x s
        - "scale_kept_as_reciprocal": x x s, and 1 / s is stored as the scale
    least_divisor : float
        The lower bound of s where numbers are divided.
    zero : str
        Where the zero point z is added to the quotient q.

        - "after": round(q) + z
        - "before": round(q + z)
        - "fused": round(x x factor + z), the product and the sum by one fused multiply-add
        - "half": round(q + (z + 1/2))
    beyond : str
        The integer for NaN and for quotients of magnitude `limit` or more.

        - "saturate": as for others
        - "lowest": the lowest
        - "wrapped": the highest where the zero point is negative, else the lowest, as -2^31 + zero point wraps
        - "zero": the code 0
    limit : float
        See `beyond`.
    lost_zero_point : int
        The zero point of a block with a NaN.
    nan_codes : tuple of (str, int)
        The code of NaN, without its sign, in formats that have none: pairs of a format's name and the code.
    choose : {"no", "mae", "mse"}
        Whether each block is scaled to 6 or to 4 by the smaller error: the sum of the errors' magnitudes or squares.
    codebook : {"nearest", "midpoints", "grid"}
        Elements of a codebook: the nearest value; by midpoints in the arithmetic's type; by the nearest of 65,536
        points in [-1, 1].
    ragged : bool
        Whether the numbers of a shorter last block are divided by s, which is stored with the lower bound
        `least_divisor`.
    decode : str
        How numbers are computed from elements e.

        - "product": e x s x t, rounded once
        - "scales_first": e x (s x t), s x t rounded first
        - "quotient": e / s
        - "product_plus_offset": e x s x t + offset, the product rounded first

    Raises
    ------
    ValueError
        If a word is unknown, or two fields do not fit together.
    TypeError
        If a field is of the wrong kind.

    Examples
    --------
    >>> from fpemu.quantization.definition.tool_arithmetic import Steps
    >>> Steps(factor="reciprocal").zero
    'after'
    """

    arithmetic: str = "float32"
    statistic: str = "rule"
    scale: str = "quotient"
    divisor: str = "rule"
    reduce_range: bool = False
    least: float | str = 0.0
    least_statistic: float = 0.0
    powers: bool = False
    second: str = "exact"
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
        self._check_combinations()

    def _check_combinations(self) -> None:
        """Raise ValueError if fields that need one another are not combined."""
        multiplies = self.factor in ("scale", "scale_kept_as_reciprocal")
        if multiplies != (self.scale == "inverse_quotient"):
            raise ValueError(
                "scale='inverse_quotient' and the factors 'scale' and 'scale_kept_as_reciprocal' need each other, but "
                f"scale is {self.scale!r} and factor is {self.factor!r}"
            )
        if (self.decode == "quotient") != (self.factor == "scale"):
            raise ValueError(
                "decode='quotient' and factor='scale' need each other, but "
                f"decode is {self.decode!r} and factor is {self.factor!r}"
            )
        if self.statistic == "rule" and self.scale == "larger_side":
            raise ValueError("scale='larger_side' needs statistic='minmax'")


def steps_from(data: dict[str, Any]) -> Steps:
    """Return the steps with these fields, in the words of this version or of version 1.

    Examples
    --------
    >>> from fpemu.quantization.definition.tool_arithmetic import steps_from
    >>> steps_from({"factor": "undone"}).factor
    'reciprocal_of_product'
    """
    words = {field: _FORMER_WORDS.get(field, {}).get(word, word) for field, word in data.items()}
    return Steps(**words)
