"""The profiles: named bundles of the rules of a cast.

A *profile* fixes everything about a cast that the format's name leaves open: rounding, overflow, and the results of
infinities, NaN, negative numbers and zeros.  A profile is independent of formats; `fpemu.casting.lowering` derives the
result of a rule in a given format.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from fpemu.formats.lookup import as_int, brief, check_name, choose, named, near
from fpemu.formats.rules import (
    RULE_TYPES,
    DivisionByZero,
    FloatToIntInvalid,
    FlushFlags,
    FmaInvalid,
    InfinityRule,
    InvalidNan,
    MissingZero,
    NanPayload,
    NanResult,
    NanRule,
    NanSign,
    NegativeZero,
    Overflow,
    Rounding,
    Stochastic,
    SubnormalsIn,
    SubnormalsOut,
    Through,
    Tininess,
    UnsignedNegative,
    rounding_mode,
)

ProfileRow = tuple[tuple[str, Any], ...]


def float_key(
    bits: int,
    precision: int,
    bias: int,
    *,
    signed: bool = True,
    subnormals: bool = True,
    zero: bool = True,
    infinities: bool = True,
    nan: str = "ieee",
) -> tuple[Any, ...]:
    """The `codes_key` of a float format; defined below formats because rows of profiles select by it."""
    # Precision 1 has no subnormals to have or lack: with a zero, both settings give the same values.
    return ("float", bits, precision, bias, signed, subnormals or (precision == 1 and zero), zero, infinities, nan)


def int_key(
    bits: int,
    *,
    signed: bool = True,
    fraction_bits: int = 0,
    symmetric: bool = False,
    encoding: str = "twos_complement",
) -> tuple[Any, ...]:
    """The `codes_key` of an integer format."""
    return ("int", bits, signed, fraction_bits, symmetric, encoding)


@dataclasses.dataclass(frozen=True)
class Profile:
    """A named bundle of casting rules; each is a member of its enum, or the member's name.

    Parameters
    ----------
    name : str
        Shown in messages; profiles with equal rules are equal whatever their names.  `replace` appends its
        changes: "ieee, overflow=nan", which `profile` understands.
    rounding : Rounding or Stochastic or str
    overflow : Overflow or str
    infinity : InfinityRule or str
    nan : NanRule or str
    nan_sign : NanSign or str
    nan_payload : NanPayload or str
    nan_code : int, optional
        The NaN code of a tool that does not produce the canonical one, without the sign bit (see `nan_sign`).
    unsigned_negative : UnsignedNegative or str
    missing_zero : MissingZero or str
    negative_zero : NegativeZero or str
    subnormals_in : SubnormalsIn or str
    subnormals_out : SubnormalsOut or str
    flush_flags : FlushFlags or str
    tininess : Tininess or str
    nan_result : NanResult or str
    invalid_nan : InvalidNan or str
    fma_invalid : FmaInvalid or str
    division_by_zero : DivisionByZero or str
    float_to_int_invalid : FloatToIntInvalid or str
    through : Through or str
    rows : tuple, optional
        Exceptions for single formats: pairs of a selector and rules; later pairs override earlier ones.  A selector is
        a format's `codes_key`, or the first element of one ("float", "int", "table"); or ("from", selector, selector),
        for casts between two formats.

    Raises
    ------
    ValueError
        If a value is not allowed for its rule.

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
    flush_flags: FlushFlags = FlushFlags.UNDERFLOW_INEXACT
    tininess: Tininess = Tininess.AFTER
    nan_result: NanResult = NanResult.CANONICAL
    invalid_nan: InvalidNan = InvalidNan.POSITIVE
    fma_invalid: FmaInvalid = FmaInvalid.INVALID
    division_by_zero: DivisionByZero = DivisionByZero.INFINITY
    float_to_int_invalid: FloatToIntInvalid = FloatToIntInvalid.STANDARD
    through: Through = Through.NONE
    rows: tuple[tuple[Any, ProfileRow], ...] = ()

    def __post_init__(self) -> None:
        check_name(self.name, "a profile's name")
        object.__setattr__(self, "rounding", rounding_mode(self.rounding))
        for rule, kind in RULE_TYPES.items():
            object.__setattr__(self, rule, choose(kind, getattr(self, rule), rule))
        rows = ((who, tuple((rule, getattr(value, "value", value)) for rule, value in row)) for who, row in self.rows)
        object.__setattr__(self, "rows", tuple(rows))
        if self.nan_code is not None:
            object.__setattr__(self, "nan_code", as_int(self.nan_code, "nan_code"))

    def __hash__(self) -> int:
        # Stored in __dict__: every call looks the profile up in caches.
        known = self.__dict__.get("_hash")
        if known is None:
            fields = (getattr(self, f.name) for f in dataclasses.fields(self) if f.compare)
            known = self.__dict__["_hash"] = hash(tuple(fields))
        return int(known)

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key != "_hash"}  # hashes differ between processes

    def __setstate__(self, state: Any) -> None:
        """Restore a pickle or a copy, checked as the constructor checks it; missing rules get their defaults."""
        if not isinstance(state, dict):
            raise ValueError("not a pickled Profile: its state must be a dict")
        names = {field.name for field in dataclasses.fields(self) if field.init}
        self.__dict__.update(Profile(**{name: value for name, value in state.items() if name in names}).__dict__)

    def __repr__(self) -> str:
        words = [f"name={self.name!r}"]
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.name != "name" and value != field.default:
                words.append(f"{field.name}={getattr(value, 'value', value)!r}")
        return f"Profile({', '.join(words)})"

    @property
    def spelled(self) -> str:
        """The profile as an expression: its name in quotes if `profile` finds it by that name, else its full repr."""
        try:
            known = profile(self.name) == self
        except (ValueError, TypeError):
            known = False
        return repr(self.name) if known else repr(self)

    def replace(self, **rules: Any) -> Profile:
        """Return the profile with some rules changed for all formats, including those with rows.

        Parameters
        ----------
        **rules
            New values of rules, by name; without a new `name`, the changes are appended to the old one.

        Returns
        -------
        Profile

        Raises
        ------
        ValueError
            If a rule or a value is unknown.

        Examples
        --------
        >>> import fpemu as fe
        >>> fe.profile("ieee").replace(rounding="RTZ")
        Profile(name='ieee, rounding=toward_zero', rounding='toward_zero')
        """
        known, asked = [f.name for f in dataclasses.fields(self)], list(rules)
        for rule in rules:
            if rule not in known:
                raise ValueError(f"unknown knob {brief(rule)}: allowed are {', '.join(known)}" + near(rule, known))
        if rules.keys() & {"overflow", "infinity", "nan"}:  # over which float_to_int_invalid would take precedence
            rules = {"float_to_int_invalid": FloatToIntInvalid.STANDARD, **rules}
        if "rows" not in rules:
            rows = ((who, tuple((k, v) for k, v in row if k not in rules)) for who, row in self.rows)
            rules["rows"] = tuple((who, row) for who, row in rows if row)
        made = dataclasses.replace(self, **rules)
        if "name" not in asked:
            object.__setattr__(made, "name", _changed_name(self.name, asked, made))
        return made

    def for_codes(self, codes_key: tuple[Any, ...], source_key: tuple[Any, ...] | None = None) -> Profile:
        """The rules for a format with this `codes_key`: its rows applied and removed.

        Parameters
        ----------
        codes_key : tuple
            `Format.codes_key`.
        source_key : tuple, optional
            That of the source's format; without it rows for casts between two formats are ignored.

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
        rules: dict[str, Any] = {}
        for who, row in self.rows:
            if who[0] == "from":
                _, before, after = who
                fits = source_key is not None and after in (codes_key, codes_key[0])
                fits = fits and before in (source_key, (source_key or ("",))[0])
            else:
                fits = who in (codes_key, codes_key[0])
            if fits:
                rules |= row
        return dataclasses.replace(self, rows=(), **rules)


# The keys of the formats that some tool treats specially.
_FLOAT16 = float_key(16, 11, 15)
_BFLOAT16 = float_key(16, 8, 127)
_FLOAT32 = float_key(32, 24, 127)
_FLOAT64 = float_key(64, 53, 1023)
_E5M2 = float_key(8, 3, 15)
_E4M3 = float_key(8, 4, 7)
_E3M4 = float_key(8, 5, 3)
_E4M3FN = float_key(8, 4, 7, infinities=False, nan="all_ones")
_E5M2FNUZ = float_key(8, 3, 16, infinities=False, nan="negative_zero")
_E4M3FNUZ = float_key(8, 4, 8, infinities=False, nan="negative_zero")
_E4M3B11FNUZ = float_key(8, 4, 11, infinities=False, nan="negative_zero")
_E8M0 = float_key(8, 1, 127, signed=False, subnormals=False, zero=False, infinities=False, nan="all_ones")
_E3M2FN = float_key(6, 3, 3, infinities=False, nan="none")
_E2M3FN = float_key(6, 4, 1, infinities=False, nan="none")
_E2M1FN = float_key(4, 2, 1, infinities=False, nan="none")
_UINT8 = int_key(8, signed=False)

Rows = dict[Any, dict[str, Any]]


def _rows(*tables: Rows) -> Rows:
    """Merge tables of rows; for one format later rules override earlier ones."""
    merged: Rows = {}
    for table in tables:
        for who, row in table.items():
            merged[who] = merged.get(who, {}) | row
    return merged


# A tool's behaviour for its own formats is in rows: the rules for all formats contain only the tool's mode
# ("saturate").

# Rounded through float32, the type of the tool's arithmetic.
_TWICE = {"through": "float32"}
_FLOAT8: Rows = dict.fromkeys((_E4M3FN, _E5M2, _E4M3FNUZ, _E5M2FNUZ, _E8M0), _TWICE)
_ML_DTYPES: Rows = _rows(
    _FLOAT8,
    dict.fromkeys((_BFLOAT16, _E4M3, _E3M4, _E4M3B11FNUZ), _TWICE),
    {fmt: {**_TWICE, "nan_sign": "flip"} for fmt in (_E3M2FN, _E2M3FN, _E2M1FN)},
)
# E8M0 where the sign is dropped and zero is the smallest scale.
_MAGNITUDE = {"unsigned_negative": "magnitude", "missing_zero": "smallest"}
_UP: Rows = {_E8M0: {"rounding": "toward_positive", **_MAGNITUDE}}
# C conversions to integers: toward zero, then as x86-64 does.
_C_INTEGERS: Rows = {
    "int": {
        **{"rounding": "toward_zero", "overflow": "wrap", "infinity": "zero", "nan": "zero"},
        "float_to_int_invalid": "c_x86_64",
    }
}
# NaNs between float32 and float64, as converted by the CPU; casts of a format to itself copy.
_CPU_NANS: Rows = {
    _FLOAT32: {"nan_payload": "keep"},
    _FLOAT64: {"nan_payload": "keep"},
    ("from", _FLOAT64, _FLOAT32): {"nan_payload": "quiet"},
    ("from", _FLOAT32, _FLOAT64): {"nan_payload": "quiet"},
}
_COPIED: Rows = {
    ("from", fmt, fmt): {"nan_payload": "keep", "nan_code": None, "nan_sign": "keep"}
    for fmt in (_FLOAT16, _BFLOAT16, _E5M2, _E4M3, _E3M4)
}
_NUMPY: Rows = _rows({_FLOAT16: {"nan_payload": "keep"}}, _CPU_NANS, _C_INTEGERS)
_TORCH: Rows = _rows(
    _FLOAT8,
    {
        _E5M2: {"nan_code": 0x7F},
        _FLOAT16: {**_TWICE, "nan_payload": "quiet"},
        _BFLOAT16: {**_TWICE, "nan_code": 0xFFFF},
        ("from", _FLOAT16, _BFLOAT16): {"nan_code": 0x7FC0, "nan_sign": "drop"},
        ("from", _FLOAT16, _FLOAT32): {"nan_code": 0x7FFFFFFF, "nan_sign": "drop"},
        _E8M0: {"rounding": "nearest_away", **_MAGNITUDE},
    },
    _CPU_NANS,
    {("from", who, _FLOAT64): {"nan_payload": "quiet"} for who in (_FLOAT16, _BFLOAT16)},
    _COPIED,
    _C_INTEGERS,
    {("from", _FLOAT64, _UINT8): {"float_to_int_invalid": "c_x86_64_long"}},
)
_ONNX: Rows = _rows(_FLOAT8, {_BFLOAT16: _TWICE, _E2M1FN: {**_TWICE, "nan_sign": "flip"}}, _UP, _NUMPY)
_SATURATES = {"overflow": "saturate", "infinity": "saturate"}
_IEEE_OVERFLOW = {"overflow": "standard", "infinity": "standard"}
_WIDE: Rows = dict.fromkeys((_FLOAT16, _BFLOAT16, _FLOAT32, _FLOAT64), _IEEE_OVERFLOW)
# CUDA's functions from float32, with the rounding of its classes' constructors; every NaN becomes one of all ones.
_CUDA: Rows = _rows(
    {_E5M2: {"nan_code": 0x7F}, _FLOAT16: {"nan_code": 0x7FFF}, _BFLOAT16: {"nan_code": 0x7FFF}},
    _UP,
    {fmt: {"nan": "max"} for fmt in (_E3M2FN, _E2M3FN, _E2M1FN)},
    {
        ("from", _FLOAT64, _E4M3FN): {"nan_sign": "keep"},
        ("from", _FLOAT64, _E5M2): {"nan_sign": "keep", "nan_code": None, "nan_payload": "quiet"},
    },
)

_X86 = {"nan_payload": "quiet", "nan_result": "first_operand", "invalid_nan": "negative", "float_to_int_invalid": "x86"}
_ARM = {"nan_payload": "quiet", "nan_result": "first_signaling", "tininess": "before", "float_to_int_invalid": "arm"}
_FLUSHED = {"subnormals_in": "zero_above_16_bits", "subnormals_out": "flush_tiny"}


_P3109 = {"division_by_zero": "nan"}  # interim report 4.0: Divide(x, 0), Recip(0), RSqrt(0)

# name -> (rules, rows).  docs/reference/profiles.md gives the source of each line.
_NAMED: dict[str, tuple[dict[str, Any], Rows]] = {
    "ieee": ({}, {}),
    "ml_dtypes-0.6": ({}, _rows(_ML_DTYPES, {_E8M0: {"rounding": "nearest_away"}}, _COPIED, _C_INTEGERS)),
    "numpy": ({}, _NUMPY),
    "torch-2.14": ({}, _rows(_TORCH, {_E4M3FN: _SATURATES})),
    "torch-2.11": ({}, _TORCH),
    "onnx-saturate": (_SATURATES, _rows(_WIDE, _ONNX, {_E8M0: {"infinity": "standard"}})),
    "onnx": ({}, _ONNX),
    "cuda-satfinite": ({**_SATURATES, "nan_sign": "drop"}, _rows(_WIDE, _CUDA)),
    "cuda-nosat": ({"nan_sign": "drop"}, _CUDA),
    "gguf": ({}, {_BFLOAT16: {"nan_payload": "quiet"}, _FLOAT16: {"nan_payload": "keep"}}),
    # Berkeley SoftFloat's specialisations of the same names.
    "riscv": ({"nan_sign": "drop", "float_to_int_invalid": "riscv"}, {}),
    "x86-sse": (_X86, {}),
    "arm": (_ARM, {}),
    # The same with subnormals flushed: MXCSR's FTZ and DAZ, FPCR's FZ; neither affects half precision.
    "x86-sse-ftz": ({**_X86, **_FLUSHED, "fma_invalid": "quiet"}, {_FLOAT16: {"subnormals_out": "keep"}}),
    "arm-fz": ({**_ARM, **_FLUSHED, "flush_flags": "underflow"}, {_FLOAT16: {"subnormals_out": "keep"}}),
    "p3109-satfinite": ({**_SATURATES, "unsigned_negative": "zero", **_P3109}, {}),
    "p3109-satpropagate": (
        {"overflow": "saturate", "infinity": "propagate", "unsigned_negative": "zero", **_P3109},
        {},
    ),
    "p3109-satnone": ({"overflow": "p3109", "infinity": "p3109", "unsigned_negative": "p3109", **_P3109}, {}),
}

# An unversioned name means the newest.
PROFILE_ALIASES: dict[str, str] = {
    "ml_dtypes": "ml_dtypes-0.6",
    "torch": "torch-2.14",
    "pytorch": "torch-2.14",
    "standard": "ieee",
}

_PROFILES: dict[str, Profile] = {
    name: Profile(name, rows=tuple((who, tuple(row.items())) for who, row in rows.items()), **rules)
    for name, (rules, rows) in _NAMED.items()
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
    """Return the profile with a name; a `Profile` is returned unchanged.

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
        If it is not a name or a profile.

    Examples
    --------
    >>> import fpemu as fe
    >>> fe.profile("cuda-satfinite").overflow
    <Overflow.SATURATE: 'saturate'>
    """
    if isinstance(name, str) and "=" in name:
        return _changed(name)
    return named(name, Profile, _PROFILES, "profile", PROFILE_ALIASES, "fpemu.profile_names()")


def apart(one: Profile, other: Profile) -> tuple[str, str]:
    """The names of two different profiles; if the names are equal, followed by the rules that differ.

    Parameters
    ----------
    one, other : Profile

    Returns
    -------
    tuple of str

    Examples
    --------
    >>> import fpemu as fe
    >>> from fpemu.formats.profiles import apart
    >>> apart(fe.Profile("mine"), fe.Profile("mine", overflow="saturate"))
    ('mine (overflow=standard)', 'mine (overflow=saturate)')
    """
    if one.name != other.name:
        return one.name, other.name
    rules = [f.name for f in dataclasses.fields(one) if f.compare and getattr(one, f.name) != getattr(other, f.name)]
    first, second = (", ".join(f"{rule}={_word(rule, getattr(it, rule))}" for rule in rules) for it in (one, other))
    return f"{one.name} ({first})", f"{other.name} ({second})"


def _word(rule: str, value: Any) -> str:
    """A rule's value as text in a profile's name."""
    if isinstance(value, Stochastic):
        return f"Stochastic{value.variant}/{value.bits}"
    if rule == "rows":
        return f"{len(value)} of them"
    return hex(value) if isinstance(value, int) else str(getattr(value, "value", value)).lower()


def _parts(name: str) -> tuple[str, dict[str, str]]:
    """Split a profile's name from its changes: "ieee, overflow=nan"."""
    base, *changes = map(str.strip, name.split(","))
    return base, {rule.strip(): word.strip() for rule, _, word in (change.partition("=") for change in changes)}


def _changed_name(name: str, rules: list[str], made: Profile) -> str:
    """The name of a profile after these rules were replaced."""
    base, changes = _parts(name)
    if base in _PROFILES and made == _PROFILES[base]:
        return base
    changes |= {rule: _word(rule, getattr(made, rule)) for rule in rules}
    return ", ".join([base, *(f"{rule}={word}" if word else rule for rule, word in changes.items())])


def _changed(name: str) -> Profile:
    """The profile for a name with changes."""
    base, changes = _parts(name)
    rules: dict[str, Any] = dict(changes)
    if "nan_code" in rules:
        rules["nan_code"] = None if changes["nan_code"] == "none" else int(changes["nan_code"], 0)
    return named(base, Profile, _PROFILES, "profile", PROFILE_ALIASES, "fpemu.profile_names()").replace(**rules)


EXACT = IEEE.replace(nan_payload="keep")  # for conversions without rounding
