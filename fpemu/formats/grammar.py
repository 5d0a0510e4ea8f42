"""Grammar of descriptive format names: ``e5m10``, ``int5``, ``q3.12``, ``ap_fixed<16,4>``, ``binary8p4se``.

==============================================  ====================================================================
``[float<bits>_]e<E>m<M>[b<bias>]``             IEEE-like: infinity and NaN in the top exponent
``...f``, ``...fn``                             finite: no NaN; NaN at the largest magnitude's code
``...fnu``, also ``ue<E>m<M>``                  unsigned, NaN at the all-ones code; with ``m0`` no zero, as E8M0
``...fnuz``                                     NaN at the code of -0; bias one more
``int<n>``, ``uint<n>``, ``i<n>``, ``u<n>``     two's complement and unsigned integers; ``ap_int<n>``, ``ap_uint<n>``
``q<i>.<f>``, ``uq<i>.<f>``                     fixed point, 1 + i + f and i + f bits
``ap_fixed<w,i>``, ``ap_ufixed<w,i>``           fixed point, w bits with i (and the sign in i) before the point
``binary<K>p<P><s|u><e|f>``                     IEEE P3109 interim report 4.0: signed or unsigned, extended or finite
==============================================  ====================================================================
"""

from __future__ import annotations

import re

from fpemu.formats.floats import FloatFormat
from fpemu.formats.integers import IntFormat
from fpemu.formats.kinds import Format
from fpemu.formats.lookup import brief
from fpemu.formats.profiles import P3109_SATNONE

_FLOAT = re.compile(
    r"(?:float(?P<bits>[0-9]{1,4})_|(?P<u>u))?e(?P<e>[0-9]{1,4})m(?P<m>[0-9]{1,4})(?:b(?P<bias>-?[0-9]{1,9}))?(?P<suffix>f|fn|fnu|fnuz)?"
)
_INT = re.compile(r"(?P<kind>int|i|si|s|uint|ui|u)(?P<bits>[0-9]{1,4})|(?:ap|sc)_(?P<hls>u?int)<(?P<width>[0-9]{1,4})>")
_Q = re.compile(r"(?P<u>u?)q(?P<i>-?[0-9]{1,6})\.(?P<f>-?[0-9]{1,6})")
_AP_FIXED = re.compile(r"(?:ap|sc)_(?P<u>u?)fixed<(?P<w>[0-9]{1,4}),(?P<i>-?[0-9]{1,6})(?P<modes>,.*)?>")
_P3109 = re.compile(r"binary(?P<k>[0-9]{1,4})p(?P<p>[0-9]{1,4})(?P<sign>[su])(?P<domain>[ef])")


def parse(name: str) -> Format | None:
    """The format that `name` (in lower case, without spaces) describes, or None.

    Raises
    ------
    ValueError
        If the name follows the grammar and describes an impossible format; the message says why.
    """
    for pattern, make in ((_FLOAT, _float), (_INT, _integer), (_Q, _q), (_AP_FIXED, _ap_fixed), (_P3109, _p3109)):
        match = pattern.fullmatch(name)
        if match:
            try:
                return make(match)
            except ValueError as error:
                raise ValueError(f"{brief(name)} is not a format: {error}") from None
    return None


def _float(match: re.Match[str]) -> Format:
    e, m, suffix = int(match["e"]), int(match["m"]), match["suffix"] or ""
    if match["u"]:
        if suffix:
            raise ValueError(f"the prefix u stands for the suffix fnu; {suffix} is one suffix too many")
        suffix = "fnu"
    signed = suffix != "fnu"
    bits = signed + e + m
    if match["bits"] and int(match["bits"]) != bits:
        terms = f"{'1 + ' if signed else ''}{e} + {m}"
        raise ValueError(f"float{match['bits']} and e{e}m{m} disagree: {terms} = {bits} bits")
    usual = (1 << max(e - 1, 0)) - (suffix != "fnuz") if e <= 64 else 0  # FloatFormat refuses a longer exponent field
    bias = int(match["bias"]) if match["bias"] else usual
    powers_of_two = suffix == "fnu" and m == 0
    return FloatFormat(
        f"float{bits}_e{e}m{m}{f'b{bias}' if bias != usual else ''}{suffix}",
        bits=bits,
        precision=m + 1,
        bias=bias,
        signed=signed,
        subnormals=not powers_of_two,
        zero=not powers_of_two,
        infinities=suffix == "",
        nan={"": "ieee", "f": "none", "fn": "all_ones", "fnu": "all_ones", "fnuz": "negative_zero"}[suffix],
    )


def _integer(match: re.Match[str]) -> Format:
    signed = not (match["kind"] or match["hls"]).startswith("u")
    bits = int(match["bits"] or match["width"])
    return IntFormat(f"{'' if signed else 'u'}int{bits}", bits, signed)


def _q(match: re.Match[str]) -> Format:
    signed, i, f = not match["u"], int(match["i"]), int(match["f"])
    return IntFormat(f"{match['u']}q{i}.{f}", signed + i + f, signed, f)


def _ap_fixed(match: re.Match[str]) -> Format:
    if match["modes"]:
        raise ValueError("its rounding and overflow modes belong to the cast: rounding='SC_RND', overflow='wrap'")
    w, i = int(match["w"]), int(match["i"])
    return IntFormat(f"ap_{match['u']}fixed<{w},{i}>", w, not match["u"], w - i)


def _p3109(match: re.Match[str]) -> Format:
    k, p, signed = int(match["k"]), int(match["p"]), match["sign"] == "s"
    if k < 3:
        raise ValueError(f"P3109's formats have 3 bits or more, not {k}")
    if not 1 <= p <= k - signed:
        raise ValueError(
            f"P3109's precision is 1 to {k - signed} for K={k}, {'signed' if signed else 'unsigned'}, not {p}"
        )
    return FloatFormat(
        match[0],
        bits=k,
        precision=p,
        bias=1 << (k - p - signed) if k <= 64 else 0,  # FloatFormat refuses more bits
        signed=signed,
        infinities=match["domain"] == "e",
        nan="negative_zero" if signed else "all_ones",
        profile=P3109_SATNONE,
    )
