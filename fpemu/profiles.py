"""Rounding, overflow and the other rules of a cast, as enums, and the named profiles that bundle them.

A *profile* says everything about a cast that the format's name does not: how to round, what an overflow gives,
what becomes of infinities, NaN, negative numbers and zeros.  A profile knows no format; what a rule gives in a
given format is worked out in `fpemu.outcomes`.
"""

from __future__ import annotations

import dataclasses
import difflib
import enum
from collections.abc import Mapping
from typing import Any, TypeVar

__all__ = [
    "InfinityRule",
    "MissingZero",
    "NanPayload",
    "NanRule",
    "NanSign",
    "NegativeZero",
    "Overflow",
    "Profile",
    "Rounding",
    "Stochastic",
    "SubnormalsIn",
    "SubnormalsOut",
    "Through",
    "Tininess",
    "UnsignedNegative",
    "profile",
    "profile_names",
    "rounding_mode",
]


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


@dataclasses.dataclass(frozen=True)
class Stochastic:
    """Stochastic rounding with a stated number of random bits (P3109 interim report 4.0).

    With nu the cut-off fraction of a quantum and R a random integer of `bits` bits (N), the magnitude goes up when

    - variant A: floor(nu 2^N) + R >= 2^N,
    - variant B: floor(nu 2^(N+1)) + 2R + 1 >= 2^(N+1),
    - variant C: RNE(nu 2^N) + R >= 2^N.

    Parameters
    ----------
    variant : {"A", "B", "C"}
        P3109's StochasticA, StochasticB, StochasticC.
    bits : int
        Random bits an element, 1 to 32.

    Raises
    ------
    ValueError
        If `variant` or `bits` is none of these.

    Examples
    --------
    >>> import fpemu as fe
    >>> fe.Stochastic("C", bits=8)
    Stochastic(variant='C', bits=8)
    """

    variant: str = "A"
    bits: int = 32

    def __post_init__(self) -> None:
        if self.variant not in ("A", "B", "C"):
            raise ValueError(f"unknown stochastic variant {self.variant!r}: allowed are 'A', 'B', 'C'")
        if isinstance(self.bits, bool) or not isinstance(self.bits, int):
            raise TypeError(f"stochastic bits must be an int, not {type(self.bits).__name__}")
        if not 1 <= self.bits <= 32:
            raise ValueError(f"stochastic bits must be 1 to 32, not {self.bits}")


class Overflow(enum.Enum):
    """What a finite value becomes whose rounded magnitude is beyond the largest finite value."""

    STANDARD = "standard"  # by direction (IEEE 754-2019 clause 7.4): infinity, else NaN, else the largest value
    SATURATE = "saturate"  # the largest finite value
    INFINITY = "infinity"
    NAN = "nan"
    WRAP = "wrap"  # integers: modulo 2^bits
    P3109 = "p3109"  # P3109's SatNone: infinity, else the largest value, by its own table of directions


class InfinityRule(enum.Enum):
    """What an infinite source becomes."""

    STANDARD = "standard"  # infinity, else NaN, else the largest value
    SATURATE = "saturate"
    NAN = "nan"
    ZERO = "zero"
    PROPAGATE = "propagate"  # P3109's SatPropagate: infinity, else the largest value
    P3109 = "p3109"  # P3109's SatNone: as PROPAGATE, but -infinity into an unsigned format is NaN


class NanRule(enum.Enum):
    """What a NaN source becomes."""

    STANDARD = "standard"  # NaN; without one: 0 in integers and codebooks, negative zero in floats that have it
    ZERO = "zero"
    NEGATIVE_ZERO = "negative_zero"
    MAX = "max"
    MIN = "min"
    ERROR = "error"


class NanSign(enum.Enum):
    """Whether a NaN source keeps its sign; a number that becomes NaN does."""

    KEEP = "keep"
    DROP = "drop"


class NanPayload(enum.Enum):
    """What becomes of a NaN's payload (between formats whose NaNs have one)."""

    DROP = "drop"  # the canonical quiet NaN
    QUIET = "quiet"  # the payload's leading bits, made quiet
    KEEP = "keep"  # the payload's leading bits, a signalling NaN stays one


class UnsignedNegative(enum.Enum):
    """What a negative value that does not round to zero becomes in an unsigned format."""

    STANDARD = "standard"  # NaN if the format has it, else 0 (under overflow="wrap": wraps)
    ZERO = "zero"
    NAN = "nan"
    MAGNITUDE = "magnitude"  # the sign is dropped before rounding
    P3109 = "p3109"  # P3109's SatNone: zero toward zero and toward positive, else NaN


class MissingZero(enum.Enum):
    """What a format without a zero (E8M0) gives for zero, and for what would round to zero."""

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


class SubnormalsOut(enum.Enum):
    """Flush to zero: whether subnormal results become zero of the same sign."""

    KEEP = "keep"
    FLUSH_BEFORE = "flush_before"  # below the smallest normal before rounding
    FLUSH_AFTER = "flush_after"  # the rounded result is subnormal


class Tininess(enum.Enum):
    """When underflow is detected (IEEE 754-2019 clause 7.5); flags only, never the bits of a cast."""

    AFTER = "after"
    BEFORE = "before"


class Through(enum.Enum):
    """A format that a source is rounded to first (nearest even), as tools do that round twice."""

    NONE = "none"
    FLOAT32 = "float32"


E = TypeVar("E", bound=enum.Enum)

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


def near(name: str, known: Mapping[str, Any] | list[str]) -> str:
    """Words to end an error message with: the known names nearest to `name`, or nothing."""
    close = difflib.get_close_matches(name.lower(), sorted(known), n=3, cutoff=0.5)
    return f"; did you mean {' or '.join(repr(c) for c in close)}?" if close else ""


def rounding_mode(rounding: str | Rounding | Stochastic) -> Rounding | Stochastic:
    """The rounding mode for a name, an alias, or a mode itself.

    Parameters
    ----------
    rounding : str or Rounding or Stochastic
        A `Rounding` value ("nearest_even"), an alias ("RNE", "roundTiesToEven", TestFloat's "near_even", SystemC's
        "SC_RND", P3109's "TowardZero"), or "stochastic", "StochasticA", "StochasticB", "StochasticC".

    Returns
    -------
    Rounding or Stochastic

    Raises
    ------
    ValueError
        If the name is unknown; the message lists what is allowed and what is near.
    TypeError
        If it is no name and no mode.

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
    if word.startswith("stochastic") and word[10:] in ("", "a", "b", "c"):
        return Stochastic(word[10:].upper() or "A")
    names = [m.value for m in Rounding]
    if word in names:
        return Rounding(word)
    raise ValueError(
        f"unknown rounding {rounding!r}: allowed are {', '.join(names)}, stochastic, and aliases such as RNE, RTZ"
        + near(word, [*names, "stochastic", *ROUNDING_ALIASES])
    )


def choose(kind: type[E], value: str | E, knob: str) -> E:
    """The member of enum `kind` that `value` (its name or itself) means; ValueError lists the allowed ones."""
    if isinstance(value, kind):
        return value
    if not isinstance(value, str):
        raise TypeError(f"{knob} must be a name or a {kind.__name__}, not {type(value).__name__}")
    try:
        return kind(value.lower())
    except ValueError:
        names = [m.value for m in kind]
        raise ValueError(f"unknown {knob} {value!r}: allowed are {', '.join(names)}" + near(value, names)) from None


# The knobs whose values are enums; `rounding` and `nan_code` are checked apart.
KNOBS: dict[str, type[enum.Enum]] = {
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
    "tininess": Tininess,
    "through": Through,
}

Row = tuple[tuple[str, Any], ...]


@dataclasses.dataclass(frozen=True)
class Profile:
    """A named bundle of casting rules; every knob takes its enum or that enum's name.

    Parameters
    ----------
    name : str
        Shown in messages; two profiles with the same knobs are equal whatever their names.
    rounding : Rounding or Stochastic or str
    overflow : Overflow or str
    infinity : InfinityRule or str
    nan : NanRule or str
    nan_sign : NanSign or str
    nan_payload : NanPayload or str
    nan_code : int, optional
        The code of a NaN where a tool has its own (without the sign bit, which `nan_sign` governs).
    unsigned_negative : UnsignedNegative or str
    missing_zero : MissingZero or str
    negative_zero : NegativeZero or str
    subnormals_in : SubnormalsIn or str
    subnormals_out : SubnormalsOut or str
    tininess : Tininess or str
    through : Through or str
    rows : tuple, optional
        What differs for single formats: pairs of a selector and knobs.  A selector is a format's `codes_key`, or the
        first word of one ("int", "table").

    Raises
    ------
    ValueError
        If a value is none of its knob's.

    Examples
    --------
    >>> import fpemu as fe
    >>> p = fe.profile("torch-2.14").replace(overflow="nan")
    >>> p.overflow
    <Overflow.NAN: 'nan'>
    """

    name: str = dataclasses.field(default="custom", compare=False)
    rounding: Rounding | Stochastic = Rounding.NEAREST_EVEN
    overflow: Overflow = Overflow.STANDARD
    infinity: InfinityRule = InfinityRule.STANDARD
    nan: NanRule = NanRule.STANDARD
    nan_sign: NanSign = NanSign.KEEP
    nan_payload: NanPayload = NanPayload.DROP
    nan_code: int | None = None
    unsigned_negative: UnsignedNegative = UnsignedNegative.STANDARD
    missing_zero: MissingZero = MissingZero.STANDARD
    negative_zero: NegativeZero = NegativeZero.KEEP
    subnormals_in: SubnormalsIn = SubnormalsIn.KEEP
    subnormals_out: SubnormalsOut = SubnormalsOut.KEEP
    tininess: Tininess = Tininess.AFTER
    through: Through = Through.NONE
    rows: tuple[tuple[Any, Row], ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "rounding", rounding_mode(self.rounding))
        for knob, kind in KNOBS.items():
            object.__setattr__(self, knob, choose(kind, getattr(self, knob), knob))
        object.__setattr__(self, "rows", tuple(self.rows))
        if self.nan_code is not None and (isinstance(self.nan_code, bool) or not isinstance(self.nan_code, int)):
            raise TypeError(f"nan_code must be an int or None, not {type(self.nan_code).__name__}")

    def __hash__(self) -> int:
        # Kept in __dict__: with its format a profile is a key of every call's caches.
        known = self.__dict__.get("_hash")
        if known is None:
            fields = (getattr(self, f.name) for f in dataclasses.fields(self) if f.compare)
            known = self.__dict__["_hash"] = hash(tuple(fields))
        return int(known)

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key != "_hash"}  # another process hashes anew

    def replace(self, **knobs: Any) -> Profile:
        """This profile with some knobs changed, for every format it has rows for.

        Parameters
        ----------
        **knobs
            Knobs of `Profile` and their new values.

        Returns
        -------
        Profile

        Raises
        ------
        ValueError
            If a knob or a value is unknown.

        Examples
        --------
        >>> import fpemu as fe
        >>> fe.profile("ieee").replace(rounding="RTZ").rounding
        <Rounding.TOWARD_ZERO: 'toward_zero'>
        """
        known = [f.name for f in dataclasses.fields(self)]
        for knob in knobs:
            if knob not in known:
                raise ValueError(f"unknown knob {knob!r}: allowed are {', '.join(known)}" + near(knob, known))
        if "rows" not in knobs:
            rows = ((who, tuple((k, v) for k, v in row if k not in knobs)) for who, row in self.rows)
            knobs["rows"] = tuple((who, row) for who, row in rows if row)
        return dataclasses.replace(self, **knobs)

    def for_codes(self, codes_key: tuple[Any, ...]) -> Profile:
        """The knobs as they stand for a format with this `codes_key`: its row applied, no rows left.

        Parameters
        ----------
        codes_key : tuple
            `Format.codes_key`.

        Returns
        -------
        Profile

        Examples
        --------
        >>> import fpemu as fe
        >>> fe.profile("torch-2.14").for_codes(fe.dtype("float8_e5m2").codes_key).nan_code
        127
        """
        if not self.rows:
            return self
        knobs: dict[str, Any] = {}
        for who, row in self.rows:
            if who in (codes_key, codes_key[0]):
                knobs |= row
        return dataclasses.replace(self, rows=(), **knobs)


# The codes keys (see formats.py) of the formats that some tool treats apart.
_FLOAT16 = ("float", 16, 11, 15, True, True, True, True, "ieee")
_BFLOAT16 = ("float", 16, 8, 127, True, True, True, True, "ieee")
_FLOAT32 = ("float", 32, 24, 127, True, True, True, True, "ieee")
_FLOAT64 = ("float", 64, 53, 1023, True, True, True, True, "ieee")
_E5M2 = ("float", 8, 3, 15, True, True, True, True, "ieee")
_E4M3FN = ("float", 8, 4, 7, True, True, True, False, "all_ones")
_E8M0 = ("float", 8, 1, 127, False, False, False, False, "all_ones")
_E3M2FN = ("float", 6, 3, 3, True, True, True, False, "none")
_E2M3FN = ("float", 6, 4, 1, True, True, True, False, "none")
_E2M1FN = ("float", 4, 2, 1, True, True, True, False, "none")

Rows = dict[Any, dict[str, Any]]

# E8M0 where the sign is dropped and zero is the smallest scale; C conversions to integers: toward zero, modulo
# 2^bits, a NaN or an infinity gives 0 (x86).
_MAGNITUDE = {"unsigned_negative": "magnitude", "missing_zero": "smallest"}
_C_INTEGERS = {"rounding": "toward_zero", "overflow": "wrap", "infinity": "zero", "nan": "zero", "through": "none"}
_TORCH: Rows = {
    _E5M2: {"nan_code": 0x7F},
    _FLOAT16: {"nan_payload": "quiet"},
    _BFLOAT16: {"nan_code": 0xFFFF},
    _E8M0: {"rounding": "nearest_away", **_MAGNITUDE},
    "int": _C_INTEGERS,
}
_IEEE_OVERFLOW = {"overflow": "standard", "infinity": "standard"}
_WIDE: Rows = {fmt: _IEEE_OVERFLOW for fmt in (_FLOAT16, _BFLOAT16, _FLOAT32, _FLOAT64)}
# CUDA's functions from float32, with the rounding of its classes' constructors; every NaN becomes one of all ones.
_CUDA: Rows = {
    _E5M2: {"nan_code": 0x7F},
    _FLOAT16: {"nan_code": 0x7FFF},
    _BFLOAT16: {"nan_code": 0x7FFF},
    _E8M0: {"rounding": "toward_positive", **_MAGNITUDE},
    **{fmt: {"nan": "max"} for fmt in (_E3M2FN, _E2M3FN, _E2M1FN)},
}


# name -> (knobs, rows).  Sources: docs/profiles.md says where each line was measured or read.
_NAMED: dict[str, tuple[dict[str, Any], Rows]] = {
    "ieee": ({}, {}),
    "ml_dtypes-0.6": (
        {"through": "float32"},
        {_E8M0: {"rounding": "nearest_away"}, "int": _C_INTEGERS},
    ),
    "numpy": (
        {},
        {_FLOAT16: {"nan_payload": "keep"}, _FLOAT32: {"nan_payload": "quiet"}, "int": _C_INTEGERS},
    ),
    "torch-2.14": (
        {"through": "float32"},
        {**_TORCH, _E4M3FN: {"overflow": "saturate", "infinity": "saturate"}},
    ),
    "torch-2.11": ({"through": "float32"}, _TORCH),
    "onnx-saturate": (
        {"overflow": "saturate", "infinity": "saturate"},
        {**_WIDE, _E8M0: {"rounding": "toward_positive", "infinity": "standard", **_MAGNITUDE}},
    ),
    "onnx": ({}, {_E8M0: {"rounding": "toward_positive", **_MAGNITUDE}}),
    "cuda-satfinite": (
        {"overflow": "saturate", "infinity": "saturate", "nan_sign": "drop"},
        {fmt: {**_WIDE.get(fmt, {}), **_CUDA.get(fmt, {})} for fmt in (*_WIDE, *_CUDA)},
    ),
    "cuda-nosat": ({"nan_sign": "drop"}, _CUDA),
    "gguf": ({}, {_BFLOAT16: {"nan_payload": "quiet"}, _FLOAT16: {"nan_payload": "keep"}}),
    "p3109-satfinite": ({"overflow": "saturate", "infinity": "saturate", "unsigned_negative": "zero"}, {}),
    "p3109-satpropagate": ({"overflow": "saturate", "infinity": "propagate", "unsigned_negative": "zero"}, {}),
    "p3109-satnone": ({"overflow": "p3109", "infinity": "p3109", "unsigned_negative": "p3109"}, {}),
}

# An unversioned name means the newest.
PROFILE_ALIASES: dict[str, str] = {
    "ml_dtypes": "ml_dtypes-0.6",
    "torch": "torch-2.14",
    "pytorch": "torch-2.14",
    "standard": "ieee",
}

_PROFILES: dict[str, Profile] = {
    name: Profile(name, rows=tuple((who, tuple(row.items())) for who, row in rows.items()), **knobs)
    for name, (knobs, rows) in _NAMED.items()
}

IEEE = _PROFILES["ieee"]
P3109_SATNONE = _PROFILES["p3109-satnone"]


def profile_names() -> list[str]:
    """The names of the named profiles.

    Returns
    -------
    list of str

    Examples
    --------
    >>> import fpemu as fe
    >>> "torch-2.14" in fe.profile_names()
    True
    """
    return list(_PROFILES)


def profile(name: str | Profile) -> Profile:
    """The named profile; a `Profile` comes back as it is.

    Parameters
    ----------
    name : str or Profile
        One of `profile_names()`; without a version ("torch", "ml_dtypes") the newest.

    Returns
    -------
    Profile

    Raises
    ------
    ValueError
        If the name is unknown; the message lists the known ones.
    TypeError
        If it is neither a name nor a profile.

    Examples
    --------
    >>> import fpemu as fe
    >>> fe.profile("cuda-satfinite").overflow
    <Overflow.SATURATE: 'saturate'>
    """
    if isinstance(name, Profile):
        return name
    if not isinstance(name, str):
        raise TypeError(f"a profile is a name or a Profile, not {type(name).__name__}")
    found = _PROFILES.get(PROFILE_ALIASES.get(name.lower(), name.lower()))
    if found is None:
        raise ValueError(
            f"unknown profile {name!r}: allowed are {', '.join(_PROFILES)}" + near(name, [*_PROFILES, *PROFILE_ALIASES])
        )
    return found
