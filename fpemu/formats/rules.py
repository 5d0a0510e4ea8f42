"""The rules of a cast (rounding, overflow and the others) as enums, and the aliases of roundings."""

from __future__ import annotations

import dataclasses
import enum

from fpemu.formats.lookup import as_int, brief, unknown


class Rounding(enum.Enum):
    """Rounding directions (IEEE 754-2019 clause 4.3; P3109 interim report 4.0; SoftFloat's to-odd)."""

    NEAREST_EVEN = "nearest_even"
    NEAREST_AWAY = "nearest_away"
    NEAREST_TOWARD_ZERO = "nearest_toward_zero"
    NEAREST_TOWARD_POSITIVE = "nearest_toward_positive"
    NEAREST_TOWARD_NEGATIVE = "nearest_toward_negative"
    TOWARD_ZERO = "toward_zero"
    TOWARD_POSITIVE = "toward_positive"
    TOWARD_NEGATIVE = "toward_negative"
    AWAY_FROM_ZERO = "away_from_zero"
    TO_ODD = "to_odd"


@dataclasses.dataclass(frozen=True, init=False)
class Stochastic:
    """Stochastic rounding with a stated number of random bits (P3109 interim report 4.0).

    With nu the cut-off fraction of a quantum and R a random integer of `bits` bits (N), the magnitude goes up when

    - variant A: floor(nu 2^N) + R >= 2^N,
    - variant B: floor(nu 2^(N+1)) + 2R + 1 >= 2^(N+1),
    - variant C: RNE(nu 2^N) + R >= 2^N,
    - variant equal: R = 1, one random bit whatever nu is: up and down with a probability of 1/2 each, as in mode 6 of
      chop (Higham, Pranesh, Simulating low precision floating-point arithmetic, 2019) and in CADNA (Jezequel,
      Chesneaux, CADNA: a library for estimating round-off error propagation, 2008).

    No variant changes an exact value.

    Parameters
    ----------
    variant : {"A", "B", "C", "equal"}
        P3109's StochasticA, StochasticB, StochasticC; up or down with equal probability.
    bits : int, optional
        Random bits per element, 1 to 32; default 32, for "equal" 1.

    Raises
    ------
    TypeError
        If `bits` is not an int.
    ValueError
        If `variant` or `bits` is not one of these.

    Examples
    --------
    >>> import fpemu as fe
    >>> fe.Stochastic("C", bits=8)
    Stochastic(variant='C', bits=8)
    """

    variant: str
    bits: int

    def __init__(self, variant: str = "A", bits: int | None = None) -> None:
        if variant not in ("A", "B", "C", "equal"):
            raise ValueError(f"unknown stochastic variant {brief(variant)}: allowed are 'A', 'B', 'C', 'equal'")
        if bits is None:
            bits = 1 if variant == "equal" else 32
        bits = as_int(bits, "stochastic bits")
        if not 1 <= bits <= 32:
            raise ValueError(f"stochastic bits must be 1 to 32, not {bits}")
        if variant == "equal" and bits != 1:
            raise ValueError(f"the stochastic variant 'equal' has one random bit, not {bits}")
        object.__setattr__(self, "variant", variant)
        object.__setattr__(self, "bits", bits)


class Overflow(enum.Enum):
    """The result for a finite value whose rounded magnitude exceeds the largest finite value."""

    STANDARD = "standard"  # by direction (IEEE 754-2019 clause 7.4): infinity, else NaN, else the largest value
    SATURATE = "saturate"  # the largest finite value
    INFINITY = "infinity"
    NAN = "nan"
    WRAP = "wrap"  # integers: modulo 2^bits
    P3109 = "p3109"  # P3109's SatNone: infinity, else the largest value, by its own table of directions


class InfinityRule(enum.Enum):
    """The result for an infinite source."""

    STANDARD = "standard"  # infinity, else NaN, else the largest value
    SATURATE = "saturate"
    NAN = "nan"
    ZERO = "zero"
    PROPAGATE = "propagate"  # P3109's SatPropagate: infinity, else the largest value
    P3109 = "p3109"  # P3109's SatNone: as PROPAGATE, but -infinity into an unsigned format is NaN


class NanRule(enum.Enum):
    """The result for a NaN source."""

    STANDARD = "standard"  # NaN; without one: 0 in integers and codebooks, negative zero in floats that have it
    ZERO = "zero"
    NEGATIVE_ZERO = "negative_zero"
    MAX = "max"
    MIN = "min"
    ERROR = "error"


class NanSign(enum.Enum):
    """Whether a NaN source keeps its sign; a number that becomes NaN always keeps it."""

    KEEP = "keep"
    DROP = "drop"
    FLIP = "flip"  # the other sign; without NaN a positive one becomes -0, a negative one +0


class NanPayload(enum.Enum):
    """The payload of a NaN, between formats whose NaNs have one."""

    DROP = "drop"  # the canonical quiet NaN
    QUIET = "quiet"  # the payload's leading bits, made quiet
    KEEP = "keep"  # the payload's leading bits, signalling NaNs stay signalling


class UnsignedNegative(enum.Enum):
    """The result of a negative value that does not round to zero, in an unsigned format."""

    STANDARD = "standard"  # NaN if the format has it, else 0 (under overflow="wrap": wraps)
    ZERO = "zero"
    NAN = "nan"
    MAGNITUDE = "magnitude"  # the sign is dropped before rounding
    P3109 = "p3109"  # P3109's SatNone: zero toward zero and toward positive, else NaN


class MissingZero(enum.Enum):
    """The result of zero, and of values that would round to zero, in a format without zero (E8M0)."""

    STANDARD = "standard"  # zero: NaN, else the smallest value; an underflow: the smallest value
    NAN = "nan"  # both: NaN
    SMALLEST = "smallest"  # both: the smallest value


class NegativeZero(enum.Enum):
    """Whether a negative zero is produced where the format has one."""

    KEEP = "keep"
    DROP = "drop"


class SubnormalsIn(enum.Enum):
    """Denormals are zero: whether a source's subnormals (of the source's own format) count as zero."""

    KEEP = "keep"
    ZERO = "zero"
    ZERO_ABOVE_16_BITS = "zero_above_16_bits"  # of formats wider than 16 bits; x86's DAZ, Arm's FZ


class SubnormalsOut(enum.Enum):
    """Flush to zero: whether results below the smallest normal become zero of the same sign."""

    KEEP = "keep"
    FLUSH_BEFORE = "flush_before"  # below the smallest normal before rounding
    FLUSH_AFTER = "flush_after"  # the rounded result is subnormal
    FLUSH_TINY = "flush_tiny"  # tiny results, detected after or before rounding as `tininess` says


class FlushFlags(enum.Enum):
    """Operations: the flags of a result that is flushed to zero."""

    UNDERFLOW_INEXACT = "underflow_inexact"  # x86's FTZ
    UNDERFLOW = "underflow"  # Arm's FZ


class Tininess(enum.Enum):
    """When underflow is detected (IEEE 754-2019 clause 7.5), for flags and for `flush_tiny`."""

    AFTER = "after"
    BEFORE = "before"


class NanResult(enum.Enum):
    """Operations: the NaN that results from NaN operands (IEEE 754-2019 clause 6.2.3); always quiet."""

    CANONICAL = "canonical"  # that of an invalid operation
    FIRST_OPERAND = "first_operand"  # the first operand that is a NaN: its sign and the leading bits of its payload
    FIRST_SIGNALING = "first_signaling"  # the first signalling one, else the first quiet one


class InvalidNan(enum.Enum):
    """Operations: the sign of an invalid operation's NaN, if NaNs have signs."""

    POSITIVE = "positive"
    NEGATIVE = "negative"


class FmaInvalid(enum.Enum):
    """Operations: fma(infinity, 0, quiet NaN), which IEEE 754-2019 clause 7.2 leaves open."""

    INVALID = "invalid"  # raises invalid; the result is the NaN of an invalid operation
    QUIET = "quiet"  # raises nothing; the result is the addend


class DivisionByZero(enum.Enum):
    """Operations: the result of divide, reciprocal and rsqrt for a zero divisor."""

    INFINITY = "infinity"  # IEEE 754-2019 clause 7.3: raises divide by zero
    NAN = "nan"  # P3109: raises the same; an infinity divided by zero is invalid


class Extremum(enum.Enum):
    """The definition of minimum and maximum: an argument of these two operations, not a rule of a profile."""

    IEEE_2019 = "2019"  # IEEE 754-2019 clause 9.6: NaN if either is; -0 is less than +0
    IEEE_2008 = "2008"  # IEEE 754-2008 clause 5.3.1, minNum: the other operand of a quiet NaN; NaN for a signalling one
    X86 = "x86"  # MINPS: the second operand where either is NaN or both are zeros; every NaN raises invalid
    ARM = "arm"  # FMINNM: as minNum; -0 is less than +0


class FloatToIntInvalid(enum.Enum):
    """The result of a float's NaN, infinity or value out of range in an integer format; raises invalid.

    All but STANDARD take precedence over `overflow`, `infinity` and `nan`; `Profile.replace` of one of these three, or
    `overflow=` of a cast, resets the rule to STANDARD.  C_X86_64 converts to the smaller of int32 and int64 that holds
    the format (uint64: from 2^63 up by way of x - 2^63), replaces values out of range by the integer indefinite, the
    lowest integer, and keeps the low bits; C_X86_64_LONG always converts to int64.
    """

    STANDARD = "standard"  # by the rules overflow, infinity and nan
    X86 = "x86"  # the integer indefinite: the lowest, unsigned the largest
    RISCV = "riscv"  # the largest or the lowest, by direction; NaN: the largest
    ARM = "arm"  # the largest or the lowest, by direction; NaN: 0
    C_X86_64 = "c_x86_64"  # compiled C: the low bits of an int32 or int64, which is indefinite where that overflows
    C_X86_64_LONG = "c_x86_64_long"  # the same, by way of int64 whatever the width


class Through(enum.Enum):
    """An intermediate format to which the source is rounded first (nearest even), as in tools that round twice."""

    NONE = "none"
    FLOAT32 = "float32"


ROUNDING_ALIASES: dict[str, Rounding] = {
    # RISC-V, IEEE 754-2019, TestFloat, SystemC, P3109, C and numpy words
    "rne": Rounding.NEAREST_EVEN,
    "rmm": Rounding.NEAREST_AWAY,
    "rna": Rounding.NEAREST_AWAY,
    "rtz": Rounding.TOWARD_ZERO,
    "rdn": Rounding.TOWARD_NEGATIVE,
    "rup": Rounding.TOWARD_POSITIVE,
    "rto": Rounding.TO_ODD,
    "roundtiestoeven": Rounding.NEAREST_EVEN,
    "roundtiestoaway": Rounding.NEAREST_AWAY,
    "roundtowardzero": Rounding.TOWARD_ZERO,
    "roundtowardpositive": Rounding.TOWARD_POSITIVE,
    "roundtowardnegative": Rounding.TOWARD_NEGATIVE,
    "roundtiestowardzero": Rounding.NEAREST_TOWARD_ZERO,
    "near_even": Rounding.NEAREST_EVEN,
    "near_maxmag": Rounding.NEAREST_AWAY,
    "minmag": Rounding.TOWARD_ZERO,
    "min": Rounding.TOWARD_NEGATIVE,
    "max": Rounding.TOWARD_POSITIVE,
    "odd": Rounding.TO_ODD,
    "sc_rnd": Rounding.NEAREST_TOWARD_POSITIVE,
    "sc_rnd_zero": Rounding.NEAREST_TOWARD_ZERO,
    "sc_rnd_min_inf": Rounding.NEAREST_TOWARD_NEGATIVE,
    "sc_rnd_inf": Rounding.NEAREST_AWAY,
    "sc_rnd_conv": Rounding.NEAREST_EVEN,
    "sc_trn": Rounding.TOWARD_NEGATIVE,
    "sc_trn_zero": Rounding.TOWARD_ZERO,
    "nearesttiestoeven": Rounding.NEAREST_EVEN,
    "nearesttiestoaway": Rounding.NEAREST_AWAY,
    "towardzero": Rounding.TOWARD_ZERO,
    "towardpositive": Rounding.TOWARD_POSITIVE,
    "towardnegative": Rounding.TOWARD_NEGATIVE,
    "toodd": Rounding.TO_ODD,
}


# Suffix of "stochastic" in a name -> variant
_STOCHASTIC_WORDS = {"": "A", "a": "A", "b": "B", "c": "C", "equal": "equal", "_equal": "equal"}


def rounding_mode(rounding: str | Rounding | Stochastic) -> Rounding | Stochastic:
    """The rounding mode for a name, an alias, or a mode itself.

    Parameters
    ----------
    rounding : str or Rounding or Stochastic
        A `Rounding` value ("nearest_even"), an alias ("RNE", "roundTiesToEven", TestFloat's "near_even", SystemC's
        "SC_RND", P3109's "TowardZero"), or "stochastic", "StochasticA", "StochasticB", "StochasticC",
        "stochastic_equal"; "StochasticA/8" has 8 random bits.

    Returns
    -------
    Rounding or Stochastic

    Raises
    ------
    ValueError
        If the name is unknown; the message lists the allowed names and similar ones.
    TypeError
        If it is neither a name nor a mode.

    Examples
    --------
    >>> import fpemu as fe
    >>> fe.rounding_mode("RTZ")
    <Rounding.TOWARD_ZERO: 'toward_zero'>
    """
    if isinstance(rounding, Rounding | Stochastic):
        return rounding
    if not isinstance(rounding, str):
        raise TypeError(f"rounding must be a name, a Rounding or a Stochastic, not {type(rounding).__name__}")
    word = rounding.lower()
    if word in ROUNDING_ALIASES:
        return ROUNDING_ALIASES[word]
    mode, slash, bits = word.partition("/")
    if (
        mode.startswith("stochastic")
        and mode[10:] in _STOCHASTIC_WORDS
        and ((bits.isascii() and bits.isdecimal()) or not slash)
    ):
        return Stochastic(_STOCHASTIC_WORDS[mode[10:]], int(bits[:9]) if slash else None)
    names = [m.value for m in Rounding]
    if word in names:
        return Rounding(word)
    raise ValueError(unknown("rounding", rounding, [*names, "stochastic", "stochastic_equal"], ROUNDING_ALIASES))


# The rules whose values are enums; `rounding` and `nan_code` are checked separately.
RULE_TYPES: dict[str, type[enum.Enum]] = {
    "overflow": Overflow,
    "infinity": InfinityRule,
    "nan": NanRule,
    "nan_sign": NanSign,
    "nan_payload": NanPayload,
    "unsigned_negative": UnsignedNegative,
    "missing_zero": MissingZero,
    "negative_zero": NegativeZero,
    "subnormals_in": SubnormalsIn,
    "subnormals_out": SubnormalsOut,
    "flush_flags": FlushFlags,
    "tininess": Tininess,
    "nan_result": NanResult,
    "invalid_nan": InvalidNan,
    "fma_invalid": FmaInvalid,
    "division_by_zero": DivisionByZero,
    "float_to_int_invalid": FloatToIntInvalid,
    "through": Through,
}
