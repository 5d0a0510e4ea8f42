"""Many formats and rules: all small combinations, and random ones."""

from __future__ import annotations

import itertools

import numpy as np

import fpemu as fe
from tests.oracle import spec

NAN_KINDS = ("none", "ieee", "all_ones", "negative_zero")

KNOBS = {
    "overflow": ["standard", "saturate", "infinity", "nan", "wrap", "p3109"],
    "infinity": ["standard", "saturate", "nan", "zero", "propagate", "p3109"],
    "nan": ["standard", "zero", "negative_zero", "max", "min"],
    "nan_sign": ["keep", "drop", "flip"],
    "nan_payload": ["drop", "quiet", "keep"],
    "unsigned_negative": ["standard", "zero", "nan", "magnitude", "p3109"],
    "missing_zero": ["standard", "nan", "smallest"],
    "negative_zero": ["keep", "drop"],
    "subnormals_in": ["keep", "zero", "zero_above_16_bits"],
    "subnormals_out": ["keep", "flush_before", "flush_after", "flush_tiny"],
    "tininess": ["after", "before"],
    "through": ["none", "float32"],
}
ODD_FORMATS = [
    fe.FloatFormat("no_zero", 7, 3, bias=4, subnormals=False, zero=False, infinities=True, nan="all_ones"),
    fe.FloatFormat("no_zero_no_nan", 5, 2, subnormals=False, zero=False, infinities=False, nan="none"),
    fe.FloatFormat("unsigned_no_zero", 6, 3, signed=False, subnormals=False, zero=False, infinities=True, nan="none"),
    fe.FloatFormat("gap", 8, 4, subnormals=False, zero=True),
    fe.FloatFormat("gap_unsigned", 8, 5, signed=False, subnormals=False, infinities=False, nan="all_ones"),
    fe.FloatFormat("only_subnormals", 6, 5, bias=0),
    fe.FloatFormat("infinities_no_nan", 6, 3, nan="none"),
    fe.FloatFormat("infinities_all_ones", 6, 3, nan="all_ones"),
    fe.FloatFormat("far", 8, 4, bias=300),
    fe.FloatFormat("farther", 12, 6, bias=-900),
    fe.FloatFormat("beyond_float64", 12, 2, bias=1500),
    fe.FloatFormat("wide_gap", 40, 23, subnormals=False),
    fe.FloatFormat("widest_significand", 64, 56),
    fe.FloatFormat("longest_significand", 64, 62, infinities=False, nan="negative_zero"),
    fe.FloatFormat("unsigned_64", 64, 64, signed=False, infinities=False, nan="all_ones"),
    fe.FloatFormat("quad_exponent", 64, 49),
    fe.IntFormat("symmetric", 8, symmetric=True),
    fe.IntFormat("sign_magnitude", 8, encoding="sign_magnitude"),
    fe.IntFormat("sign_magnitude_64", 64, encoding="sign_magnitude"),
    fe.IntFormat("fractions", 12, fraction_bits=20),
    fe.IntFormat("hundreds", 6, fraction_bits=-9),
    fe.IntFormat("tiny", 16, signed=False, fraction_bits=130),
    fe.IntFormat("fraction_64", 64, fraction_bits=63),
    fe.TableFormat("duplicates", [3, 0, -0.0, 1, 1, -2, 3, 0.5]),
    fe.TableFormat("no_zero_between", [-1, 2, 5, -3]),
    fe.TableFormat("symmetric_table", [1, -1]),
    fe.TableFormat("wide_table", [1e300, -1e-300, 5e-324, 1, 1 + 2**-52, -1.7976931348623157e308]),
    fe.TableFormat("negative_table", [-1, -0.75, -8]),
    fe.TableFormat("long_table", np.sort(np.random.default_rng(0).normal(size=300)).tolist()),
]


def formats_of_little_precision():
    """Every consistent float of precision 1 and 2 with two to five bits."""
    flags = (False, True)
    for bits, precision, signed, subnormals, zero, infinities, nan in itertools.product(
        range(2, 6), (1, 2), flags, flags, flags, flags, NAN_KINDS
    ):
        try:
            yield fe.FloatFormat(
                f"{bits}p{precision}{signed:d}{subnormals:d}{zero:d}{infinities:d}_{nan}",
                bits,
                precision,
                bias=1,
                signed=signed,
                subnormals=subnormals,
                zero=zero,
                infinities=infinities,
                nan=nan,
            )
        except ValueError:
            continue


def p3109(bits):
    """Every P3109 format with that many bits."""
    for sign, domain in itertools.product("su", "ef"):
        for precision in range(1, bits + (sign == "u")):
            yield fe.dtype(f"binary{bits}p{precision}{sign}{domain}")


def random_rules(fmt, rng, rounding):
    """The format's profile with random changes of some knobs; None if an outcome does not exist in the format."""
    turned = rng.choice(list(KNOBS), rng.integers(1, 5), replace=False)
    knobs = {str(knob): str(rng.choice(KNOBS[knob])) for knob in turned}
    try:
        return fmt.check_profile(fmt.profile.replace(rounding=rounding, **knobs))
    except ValueError:
        return None


def near(fmt, rng, count, dtype=np.float64):
    """Numbers of `dtype` at, between and beyond the values of a format, their neighbours, and special values."""
    codes = _codes(fmt, rng, count)
    picked = []
    for number in (spec.decode(code, fmt) for code in codes):
        if number.kind == "finite" and abs(number.exponent + number.significand.bit_length()) < 1020:
            shift = max(number.significand.bit_length() - 53, 0)
            value = np.ldexp(float(number.significand >> shift), number.exponent + shift)
            picked.append(-value if number.negative else value)
    values = np.array(picked or [1.0])
    following = np.roll(values, 1)
    with np.errstate(all="ignore"):
        mixed = np.concatenate(
            [
                values,
                values / 2 + following / 2,
                values * rng.choice([0.25, 0.5, 0.75, 1.25, 1.5, 1 + 2**-9, 1 - 2**-30], values.size),
                np.nextafter(values, np.inf),
                np.nextafter(values / 2, -np.inf),
                rng.integers(0, 1 << 64, count // 4, dtype=np.uint64).view(np.float64),
                [0.0, -0.0, np.inf, -np.inf, np.nan, -np.nan, 5e-324, -1e308],
            ]
        ).astype(dtype)
    wild = rng.integers(0, 256, (count // 4) * mixed.itemsize, dtype=np.uint8).view(mixed.dtype)
    return np.concatenate([mixed, wild])


def _codes(fmt, rng, count):
    """Codes of a format: all if they are few, else random ones, ones near its ends, and sequences."""
    if fmt.code_count <= count:
        return list(range(fmt.code_count))
    high = fmt.code_count - 1
    drawn = rng.integers(0, high, count, dtype=np.uint64, endpoint=True).tolist()
    start = drawn[0]
    return [*drawn[: count // 2], *range(8), *((start + i) % (high + 1) for i in range(count // 2)), high, high // 2]


def codes(fmt, rng, count):
    """An array of the format's code type."""
    return np.array(_codes(fmt, rng, count), fmt.code_dtype)
