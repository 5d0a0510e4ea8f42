"""Claims: the operation that an implementation should compute, and the correct answers as codes."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fpemu.arithmetic import comparison, convert, predicates
from fpemu.arithmetic.flags import errstate
from fpemu.arithmetic.options import checked_bool
from fpemu.arrays import Array
from fpemu.casting import encode
from fpemu.casting.lowering import resolve_rules
from fpemu.formats import FLOAT64, Format, Profile, TableFormat, dtype
from fpemu.formats.lookup import brief, choose, near
from fpemu.formats.rules import RULE_TYPES, Extremum, NanRule, Rounding, Stochastic, Through, rounding_mode
from fpemu.formats.serialize import format_from_text, format_text
from fpemu.inspection.operations import ALIASES, OPERATIONS, SYMBOLS

__all__ = ["Batch", "Claim", "Operands", "given_arguments"]

CASTS = ("cast", "convert")
_COMPARISONS = {name: getattr(comparison, name) for name in comparison.__all__ if name not in OPERATIONS}
_CLASS_TESTS = {name: getattr(predicates, name) for name in predicates.__all__}
_TRUTH_VALUES: dict[str, Callable[..., Any]] = {**_COMPARISONS, **_CLASS_TESTS}
# Arguments of some operations only: name -> (operation -> default)
_DEFAULTS: dict[str, dict[str, Any]] = {
    "exact": {"cast": True, "convert": True, "round_to_integral": False},
    "signaling": dict(comparison.SIGNALING),
    "extremum": dict.fromkeys(("minimum", "maximum"), Extremum.IEEE_2019.value),
}
_OTHER_NAMES = {"encode": "cast", **ALIASES, **SYMBOLS}
_OPERATION_NAMES = [*CASTS, *OPERATIONS, *_TRUTH_VALUES]
_SECOND_FORMATS = {"scaleb": "int16"}  # default format of the second operand, where it differs from the first's
_NO_FLAGS = np.zeros(0, np.uint8)

Operands = tuple[NDArray[Any], ...]  # an array of codes for each operand


class Batch(NamedTuple):
    """Inputs and correct answers, as codes.

    `operands`: a one-dimensional array for each operand, all of one length; `result`: codes, or 0 and 1 for truth
    values; `flags`: in TestFloat's numbering, or None.
    """

    operands: Operands
    result: NDArray[Any]
    flags: NDArray[np.uint8] | None


@dataclasses.dataclass(frozen=True)
class Claim:
    """A claim about an implementation: it computes this operation on codes of these formats, under these rules.

    Parameters
    ----------
    operation : str
        "cast" (by the rules of casts), "convert" (an operation: NaNs become quiet), an operation of the catalogue
        ("add", "fma", "exp", ...), a comparison ("less", ...) or a class test ("is_nan", ...).
    operands : tuple of Format
        The operands' formats; for a cast its one source format.
    result : Format or None
        The result's format; None for a truth value.
    profile : Profile
        The rules, with every knob resolved for the result's format; comparisons use `subnormals_in` alone.
    arguments : tuple of pairs, optional
        Arguments of this operation that differ from their defaults, by name: ``(("exact", False),)``.

    Notes
    -----
    `Claim.of` checks its arguments and fills in defaults; the constructor does neither.

    Examples
    --------
    >>> import numpy as np
    >>> from fpemu.verification.claims import Claim
    >>> claim = Claim.of("add", "float8_e5m2", rounding="RTZ")
    >>> claim.answer(np.uint8([0x3C]), np.uint8([0x01]))
    array([60], dtype=uint8)
    >>> claim.replaced(rounding="toward_positive").answer(np.uint8([0x3C]), np.uint8([0x01]))
    array([61], dtype=uint8)
    """

    operation: str
    operands: tuple[Format, ...]
    result: Format | None
    profile: Profile
    arguments: tuple[tuple[str, Any], ...] = ()

    @classmethod
    def of(
        cls,
        operation: str,
        format: Any = None,
        *,
        source: Any = None,
        operands: Sequence[Any] | None = None,
        result: Any = None,
        rounding: str | Rounding | Stochastic | None = None,
        profile: str | Profile | None = None,
        exact: bool | None = None,
        signaling: bool | None = None,
        extremum: str | Extremum | None = None,
        **knobs: Any,
    ) -> Claim:
        """Make a claim from names and options.

        Parameters
        ----------
        operation : str
            A name, alias or symbol of the catalogue ("add", "sub", "*"), a comparison, a class test, "convert" or
            "cast"; "encode" is another name for "cast".
        format : str, Format or dtype, optional
            Format of the operands and the result; for a cast, of the result.
        source : str, Format or dtype, optional
            A cast's source format; default float32.
        operands : sequence of str, Format or dtype, optional
            The operands' formats, if not `format`.
        result : str, Format or dtype, optional
            The result's format, if not `format`.
        rounding : str, Rounding or Stochastic, optional
            Overrides the profile's.
        profile : str or Profile, optional
            Default: the result format's own.  Comparisons use its `subnormals_in` and no other rule.
        exact : bool, optional
            Conversions and `round_to_integral`: whether a non-integer operand raises inexact; default: the operation's.
            ``exact=False`` is TestFloat's option ``-notexact``, its default.
        signaling : bool, optional
            Comparisons: whether a quiet NaN raises invalid; default: the comparison's.
        extremum : {"2019", "2008", "x86", "arm"} or Extremum, optional
            `minimum` and `maximum`: the definition of the operation; default "2019".
        **knobs
            Other knobs of `Profile`, and `random_bits`, the number of bits of stochastic rounding.

        Returns
        -------
        Claim

        Raises
        ------
        TypeError
            If an argument is of the wrong type.
        ValueError
            If a name is unknown, a format is missing or does not fit the operation, or a rule does not apply.

        Examples
        --------
        >>> from fpemu.verification.claims import Claim
        >>> Claim.of("encode", "float8_e4m3fn").operands[0].name
        'float32'
        >>> Claim.of("+", operands=["float16", "bfloat16"], result="float32").operation
        'add'
        """
        name = _operation(operation)
        target = None
        if name in _TRUTH_VALUES:
            if result is not None:
                raise ValueError(f"{name} returns a truth value and has no result format, but result={result!r}")
        elif result is None and format is None:
            raise ValueError(f"{name}: specify the result's format: Claim.of({name!r}, 'float16')")
        else:
            target = dtype(format if result is None else result)
        formats = _operand_formats(name, format, source, operands)
        arguments = _arguments(name, given_arguments(exact=exact, signaling=signaling, extremum=extremum))
        rules = _resolve(target, profile, rounding, knobs, formats[0] if name in CASTS else None)
        if target is None:
            rules = _truth_value_rules(name, rules, [*knobs, *given_arguments(profile=profile, rounding=rounding)])
        claim = cls(name, formats, target, rules, arguments)
        claim.answer(*(np.zeros(0, fmt.code_dtype) for fmt in formats), random_bits=None)  # runs the operation's checks
        return claim

    @property
    def arity(self) -> int:
        """Number of operands."""
        return len(self.operands)

    @property
    def has_flags(self) -> bool:
        """Whether the answer has flags: class tests, codebooks and rules that round twice have none."""
        if self.operation in _CLASS_TESTS or isinstance(self.result, TableFormat):
            return False
        return self.profile.through is Through.NONE

    @property
    def stochastic(self) -> bool:
        """Whether the answer depends on random bits."""
        return isinstance(self.profile.rounding, Stochastic)

    @property
    def result_dtype(self) -> np.dtype[Any]:
        """The dtype of results: the format's code dtype, or uint8 for truth values."""
        return np.dtype(np.uint8 if self.result is None else self.result.code_dtype)

    @property
    def result_count(self) -> int:
        """Number of possible results: the format's codes, or 2 for truth values."""
        return 2 if self.result is None else self.result.code_count

    def answer(
        self, *codes: ArrayLike, random_bits: ArrayLike | None = None, out: NDArray[Any] | None = None
    ) -> NDArray[Any]:
        """Compute the correct results for operands' codes.

        Parameters
        ----------
        *codes : array_like of unsigned int
            One array for each operand; broadcast against each other.
        random_bits : array_like of int, optional
            For stochastic rounding: random integers below 2^bits, of the result's shape.
        out : numpy.ndarray, optional
            Receives a cast's results; of the result's shape and `code_dtype`.

        Returns
        -------
        numpy.ndarray
            Codes of the result's format in its `code_dtype`, or uint8 0 and 1 for truth values.

        Raises
        ------
        TypeError
            If the number of operands is wrong, an operand has no integers, or `out` is used with an operation other
            than a cast.
        ValueError
            If a code is out of range, shapes do not broadcast, stochastic rounding has no random bits, or `out` does
            not fit.

        Examples
        --------
        >>> import numpy as np
        >>> from fpemu.verification.claims import Claim
        >>> Claim.of("sqrt", "float16").answer(np.uint16([0x4400]))
        array([16384], dtype=uint16)
        >>> Claim.of("less", "float16").answer(np.uint16([0x4400, 0xC400]), np.uint16(0))
        array([0, 1], dtype=uint8)
        """
        return self._compute(codes, random_bits, False, out)[0]

    def answer_with_flags(
        self, *codes: ArrayLike, random_bits: ArrayLike | None = None
    ) -> tuple[NDArray[Any], NDArray[np.uint8]]:
        """Compute the correct results and their flags, in TestFloat's numbering.

        Parameters
        ----------
        *codes : array_like of unsigned int
            One array for each operand; broadcast against each other.
        random_bits : array_like of int, optional
            For stochastic rounding: random integers below 2^bits, of the result's shape.

        Returns
        -------
        numpy.ndarray
            The results, as from `answer`.
        numpy.ndarray of uint8
            As `Flags.bits`: 1 inexact, 2 underflow, 4 overflow, 8 divide by zero, 16 invalid.

        Raises
        ------
        TypeError
            If the number of operands is wrong, or an operand has no integers.
        ValueError
            If the claim has no flags (`has_flags`), a code is out of range, shapes do not broadcast, or stochastic
            rounding has no random bits.

        Examples
        --------
        >>> import numpy as np
        >>> from fpemu.verification.claims import Claim
        >>> Claim.of("sqrt", "float16").answer_with_flags(np.uint16([0x4000]))
        (array([15784], dtype=uint16), array([1], dtype=uint8))
        """
        if not self.has_flags:
            raise ValueError(f"{self} has no flags: use answer")
        return self._compute(codes, random_bits, True)

    def batch(self, *codes: NDArray[Any]) -> Batch:
        """Compute the correct results and bundle them with the operands, and with flags if the claim has them.

        Parameters
        ----------
        *codes : numpy.ndarray of unsigned int
            A one-dimensional array for each operand, all of one length.

        Returns
        -------
        Batch

        Examples
        --------
        >>> import numpy as np
        >>> from fpemu.verification.claims import Claim
        >>> Claim.of("sqrt", "float8_e5m2").batch(np.uint8([0x40]))
        Batch(operands=(array([64], dtype=uint8),), result=array([62], dtype=uint8), flags=array([1], dtype=uint8))
        """
        if self.has_flags:
            return Batch(codes, *self.answer_with_flags(*codes))
        return Batch(codes, self.answer(*codes), None)

    def replaced(self, **knobs: Any) -> Claim:
        """Return this claim under other rules.

        Parameters
        ----------
        **knobs
            Knobs of `Profile`.

        Returns
        -------
        Claim

        Raises
        ------
        ValueError
            If a knob or a value is unknown, or does not apply.

        Examples
        --------
        >>> from fpemu.verification.claims import Claim
        >>> Claim.of("add", "float16").replaced(rounding="RTZ").profile.rounding
        <Rounding.TOWARD_ZERO: 'toward_zero'>
        """
        rules = _resolve(self.result, self.profile, None, knobs)
        if self.result is None:
            rules = _truth_value_rules(self.operation, rules, knobs)
        return dataclasses.replace(self, profile=rules)

    def described(self) -> dict[str, str]:
        """Describe the claim as text fields, for file headers; `from_description` reads them.

        Returns
        -------
        dict of str to str
            "operation"; "operand 1", "operand 2", ...: the formats' names, or all their parameters as JSON for a format
            outside the registry; "result" ("bool" for truth values); "profile", the rules' name; every knob.

        Examples
        --------
        >>> from fpemu.verification.claims import Claim
        >>> list(Claim.of("cast", "float8_e4m3fn").described().items())[:5]
        [('operation', 'cast'), ('operand 1', 'float32'), ('result', 'float8_e4m3fn'), ('profile', 'ieee'),
         ('rounding', 'nearest_even')]
        """
        rounding, code = self.profile.rounding, self.profile.nan_code
        words = {"operation": self.operation}
        words |= {f"operand {number}": format_text(fmt) for number, fmt in enumerate(self.operands, 1)}
        words["result"] = "bool" if self.result is None else format_text(self.result)
        words["profile"] = self.profile.name
        if isinstance(rounding, Stochastic):
            words |= {"rounding": f"stochastic{rounding.variant}", "random_bits": str(rounding.bits)}
        else:
            words["rounding"] = rounding.value
        words |= {knob: getattr(self.profile, knob).value for knob in RULE_TYPES}
        words["nan_code"] = "none" if code is None else hex(code)
        return words | {argument: str(value).lower() for argument, value in self.arguments}

    @classmethod
    def from_description(cls, words: Mapping[str, str]) -> Claim:
        """Make a claim from the text fields of `described`.

        Parameters
        ----------
        words : mapping of str to str
            Knobs with their default value may be missing.

        Returns
        -------
        Claim

        Raises
        ------
        ValueError
            If a field is missing, unknown or invalid; the message names it.

        Examples
        --------
        >>> from fpemu.verification.claims import Claim
        >>> claim = Claim.of("fma", "bfloat16", rounding="RTZ")
        >>> Claim.from_description(claim.described()) == claim
        True
        """
        rest = dict(words)
        try:
            name, result = rest.pop("operation"), rest.pop("result")
            count = sum(key.startswith("operand ") for key in words)
            formats = [format_from_text(rest.pop(f"operand {number}")) for number in range(1, count + 1)]
        except KeyError as error:
            raise ValueError(f"the description of a claim has no {error}") from None
        known = ["operation", "result", "profile", "rounding", "random_bits", "nan_code", *RULE_TYPES, *_DEFAULTS]
        for word in rest:
            if word not in known:
                raise ValueError(f"the description of a claim has an unknown word {brief(word)}{near(word, known)}")
        knobs: dict[str, Any] = {"name": rest.pop("profile", "custom"), **rest}
        knobs["nan_code"] = None if knobs.get("nan_code", "none") == "none" else _integer_field(knobs, "nan_code")
        if "random_bits" in knobs:
            knobs["random_bits"] = _integer_field(knobs, "random_bits")
        for argument in ("exact", "signaling"):
            if argument in knobs:
                if knobs[argument] not in ("true", "false"):
                    raise ValueError(f"{argument} must be true or false, not {knobs[argument]!r}")
                knobs[argument] = knobs[argument] == "true"
        if result == "bool":
            arguments = {argument: knobs.pop(argument) for argument in _DEFAULTS if argument in knobs}
            rules, name = _resolve(None, Profile(), None, knobs), _operation(name)
            # Version 0.1.0 wrote all knobs of truth values; they had no effect.
            profile = rules if name in comparison.SIGNALING else None
            return cls.of(name, operands=formats, profile=profile, **arguments)
        return cls.of(name, operands=formats, result=format_from_text(result), profile=Profile(), **knobs)

    def __str__(self) -> str:
        """The claim in one line: "add of float16 and float16 to float16, toward_zero"."""
        text = f"{self.operation} of {' and '.join(map(str, self.operands))}"
        if self.result is not None:
            rounding = self.profile.rounding
            text += f" to {self.result}, {rounding.value if isinstance(rounding, Rounding) else rounding}"
        return text + "".join(f", {argument}={value}" for argument, value in self.arguments)

    @functools.cached_property
    def _call(self) -> Callable[..., Any]:
        """The public function of fpemu that computes this operation."""
        arguments = dict(self.arguments)
        if self.operation in _TRUTH_VALUES:
            arguments |= {"profile": self.profile} if self.operation in comparison.SIGNALING else {}
            return functools.partial(_TRUTH_VALUES[self.operation], **arguments)
        arguments["profile"] = self.profile
        if self.operation in CASTS:
            return functools.partial(convert, fmt=self.result, **arguments)
        return functools.partial(OPERATIONS[self.operation].call, result=self.result, **arguments)

    def _compute(
        self, codes: Sequence[ArrayLike], random_bits: ArrayLike | None, flags: bool, out: NDArray[Any] | None = None
    ) -> tuple[NDArray[Any], NDArray[np.uint8]]:
        if len(codes) != self.arity:
            raise TypeError(f"{self.operation} takes {self.arity} operands, not {len(codes)}")
        random: dict[str, Any] = {}
        if random_bits is not None:
            random["random_bits"] = random_bits
        elif self.stochastic and self.result is not None:
            shape = np.broadcast_shapes(*map(np.shape, codes))
            if 0 not in shape:
                raise ValueError(f"{self}: rounding is stochastic: specify random_bits")
            random["random_bits"] = np.zeros(shape, np.uint32)
        encoding = {"source": self.operands[0], "profile": self.profile, **random}
        if self.operation == "cast" and not flags:
            return np.asarray(encode(codes[0], self.result, out=out, **encoding)), _NO_FLAGS
        if out is not None:
            raise TypeError(f"{self.operation} has no out: only casts do")
        arrays = [Array.from_codes(operand, fmt) for operand, fmt in zip(codes, self.operands, strict=True)]
        with errstate(all="ignore"):  # flags are returned; the caller's errstate must not raise them too
            if self.operation == "cast":
                result = np.asarray(encode(arrays[0].codes, self.result, **encoding))
                return result, self._call(arrays[0], return_flags=True, **random)[1].bits
            if flags:
                result, raised = self._call(*arrays, return_flags=True, **random)
                return self._codes(result), raised.bits
            return self._codes(self._call(*arrays, **random)), _NO_FLAGS

    def _codes(self, result: Any) -> NDArray[Any]:
        return np.asarray(result, np.uint8) if self.result is None else np.asarray(result.codes)


def given_arguments(**arguments: Any) -> dict[str, Any]:
    """The arguments that are not None."""
    return {name: value for name, value in arguments.items() if value is not None}


def _operation(name: Any) -> str:
    if not isinstance(name, str):
        raise TypeError(f"an operation is a name, not {type(name).__name__}")
    known = _OTHER_NAMES.get(name, name)
    if known not in _OPERATION_NAMES:
        raise ValueError(
            f"no operation {brief(name)}: there are casts (cast, convert), operations (add, fma, sqrt, exp ...), "
            f"comparisons (less ...) and tests of classes (is_nan ...){near(name, [*_OPERATION_NAMES, *_OTHER_NAMES])}"
        )
    return known


def _arguments(operation: str, given: dict[str, Any]) -> tuple[tuple[str, Any], ...]:
    """The arguments of one operation that differ from their defaults."""
    arguments = []
    for argument, value in given.items():
        defaults = _DEFAULTS[argument]
        if operation not in defaults:
            raise ValueError(f"{operation} has no argument {argument}: it is one of {', '.join(defaults)}")
        checked = choose(Extremum, value, argument).value if argument == "extremum" else checked_bool(argument, value)
        if checked != defaults[operation]:
            arguments.append((argument, checked))
    return tuple(arguments)


def _operand_formats(name: str, fmt: Any, source: Any, operands: Sequence[Any] | None) -> tuple[Format, ...]:
    if source is not None and (name not in CASTS or operands is not None):
        raise ValueError(f"{name}: source is a cast's format; the others' are format or operands")
    if name in CASTS:
        count, defaults = 1, ["float32" if source is None else source]
    else:
        count = 2 if name in _COMPARISONS else 1 if name in _CLASS_TESTS else OPERATIONS[name].operands
        defaults = [fmt] * count
        defaults[1:2] = [_SECOND_FORMATS.get(name, fmt)] * (count > 1)
    if operands is None and defaults[0] is None:
        raise ValueError(f"{name}: specify the operands' formats: Claim.of({name!r}, 'float16')")
    if isinstance(operands, str):
        raise TypeError(f"operands must be a sequence of formats, one for each operand, not {brief(operands)}")
    formats = tuple(dtype(each) for each in (defaults if operands is None else operands))
    if len(formats) != count:
        raise ValueError(f"{name} takes {count} operand{'s' * (count > 1)}, not {len(formats)}")
    return formats


def _resolve(
    target: Format | None, profile: Any, rounding: Any, knobs: dict[str, Any], source: Format | None = None
) -> Profile:
    """The rules, with every knob resolved for the result's format."""
    knobs = dict(knobs)
    mode = knobs.pop("rounding", None) if rounding is None else rounding
    bits = knobs.pop("random_bits", None)
    if bits is not None:
        mode = rounding_mode(mode) if mode is not None else None
        if not isinstance(mode, Stochastic):
            raise ValueError("random_bits is the number of bits of stochastic rounding: specify rounding='stochastic'")
        mode = Stochastic(mode.variant, bits)
    if target is None:  # a truth value: rules of results do not apply
        rules = resolve_rules(FLOAT64, profile, mode, None).replace(**knobs)
    else:
        rules = target.check_profile(resolve_rules(target, profile, mode, None, source).replace(**knobs))
    if rules.nan is NanRule.ERROR:
        raise ValueError("nan='error' produces no code: there is no correct answer to compare with")
    return rules


def _truth_value_rules(name: str, rules: Profile, given: Iterable[str]) -> Profile:
    """The rules that affect a truth value: `subnormals_in` for comparisons, none for class tests.

    Raise a ValueError if one of the knobs in `given` does not apply and differs from its default.
    """
    applicable = ["profile", "subnormals_in"] if name in comparison.SIGNALING else []
    defaults = Profile()
    for knob in given:
        changed = knob in ("profile", "random_bits") or getattr(rules, knob) != getattr(defaults, knob)
        if knob not in ("name", *applicable) and changed:
            allowed = " and ".join(applicable) or "no rules"
            raise ValueError(f"{name} returns a truth value, which does not depend on {knob}: it takes {allowed}")
    return Profile(rules.name, subnormals_in=rules.subnormals_in if applicable else defaults.subnormals_in)


def _integer_field(fields: dict[str, Any], name: str) -> int:
    try:
        return int(fields[name], 0)
    except ValueError:
        raise ValueError(f"{name} must be a number, not {fields[name]!r}") from None
