"""Families of formats for several tests, and the names of the same formats in other libraries."""

from __future__ import annotations

import itertools

import gfloat.formats
import ml_dtypes
import numpy as np
from gfloat.types import Domain, Signedness

import fpemu as fe

NAN_KINDS = ("none", "ieee", "all_ones", "negative_zero")
ML_DTYPES = {
    dtype.name: dtype
    for dtype in map(
        np.dtype,
        [
            ml_dtypes.bfloat16,
            ml_dtypes.float8_e3m4,
            ml_dtypes.float8_e4m3,
            ml_dtypes.float8_e4m3fn,
            ml_dtypes.float8_e4m3fnuz,
            ml_dtypes.float8_e4m3b11fnuz,
            ml_dtypes.float8_e5m2,
            ml_dtypes.float8_e5m2fnuz,
            ml_dtypes.float8_e8m0fnu,
            ml_dtypes.float6_e2m3fn,
            ml_dtypes.float6_e3m2fn,
            ml_dtypes.float4_e2m1fn,
        ],
    )
}
GFLOAT = {
    "float16": gfloat.formats.format_info_binary16,
    "bfloat16": gfloat.formats.format_info_bfloat16,
    "float8_e4m3fn": gfloat.formats.format_info_ocp_e4m3,
    "float8_e5m2": gfloat.formats.format_info_ocp_e5m2,
    "float8_e8m0fnu": gfloat.formats.format_info_ocp_e8m0,
    "float6_e2m3fn": gfloat.formats.format_info_ocp_e2m3,
    "float6_e3m2fn": gfloat.formats.format_info_ocp_e3m2,
    "float4_e2m1fn": gfloat.formats.format_info_ocp_e2m1,
}
FIELDS = ("bits", "precision", "signed", "subnormals", "zero", "infinities", "nan")


def every_combination(widths, precisions=range(1, 65)):
    """All combinations of the fields of a float format, consistent or not."""
    flags = (True, False)
    for bits in widths:
        for fields in itertools.product([bits], precisions, flags, flags, flags, flags, NAN_KINDS):
            if fields[1] <= bits:
                yield dict(zip(FIELDS, fields, strict=True))


def why_not(bits, precision, signed, subnormals, zero, infinities, nan):
    """The two fields that disagree, as a set; empty for a consistent combination."""
    if precision > bits - signed:
        return {"bits", "precision"}
    if nan == "ieee" and not infinities:
        return {"nan", "infinities"}
    if nan == "ieee" and precision == 1:
        return {"nan", "precision"}
    if subnormals and not zero:
        return {"subnormals", "zero"}
    if nan == "negative_zero" and not signed:
        return {"nan", "signed"}
    if nan == "negative_zero" and not zero:
        return {"nan", "zero"}
    special = {"ieee": 2 ** (precision - 1), "all_ones": 1 + infinities}.get(nan, infinities)
    return {"bits", "nan", "infinities"} if 2 ** (bits - signed) - special - zero < 1 else set()


def small_formats(widths=(2, 3, 4, 5), biases=(None,)):
    """The float formats with consistent combinations."""
    return [
        fe.FloatFormat("small", **fields, bias=bias)
        for fields in every_combination(widths)
        if not why_not(**fields)
        for bias in biases
    ]


def p3109_names(widths):
    """The names of every P3109 format of these widths (interim report 4.0)."""
    for k in widths:
        for sign, domain in itertools.product("su", "ef"):
            for p in range(1, k if sign == "s" else k + 1):
                yield f"binary{k}p{p}{sign}{domain}"


def gfloat_p3109(name):
    """The name of a P3109 format in gfloat."""
    k, p = map(int, name.removeprefix("binary")[:-2].split("p"))
    signedness = Signedness.Signed if name[-2] == "s" else Signedness.Unsigned
    return gfloat.formats.format_info_p3109(k, p, signedness, Domain.Extended if name[-1] == "e" else Domain.Finite)
