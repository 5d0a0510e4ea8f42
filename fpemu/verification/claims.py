"""Claims: what an implementation is said to compute, and the right answers, all in codes."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fpemu.arithmetic import comparison as comparisons
from fpemu.arithmetic import predicates
from fpemu.arithmetic.conversion import convert
from fpemu.arithmetic.flags import errstate
from fpemu.arithmetic.options import checked_bool
from fpemu.arrays.array_class import Array
from fpemu.casting.casts import encode, rules_for
from fpemu.formats import FLOAT64, Format, TableFormat
from fpemu.formats.profiles import Profile
from fpemu.formats.registry import dtype
from fpemu.formats.rules import (
    KNOBS,
    Extremum,
    NanRule,
    Rounding,
    Stochastic,
    Through,
    brief,
    choose,
    near,
    rounding_mode,
)
from fpemu.formats.serialize import format_from_text, format_text
from fpemu.inspection.operations import ALIASES, OPERATIONS, SYMBOLS

__all__ = ["Batch", "Claim"]

CASTS = ("cast", "convert")
_COMPARISONS = {name: getattr(comparisons, name) for name in comparisons.__all__ if name not in OPERATIONS}
_PREDICATES = {name: getattr(predicates, name) for name in predicates.__all__}
_TRUTH_VALUES: dict[str, Callable[..., Any]] = {**_COMPARISONS, **_PREDICATES}
# Arguments that are some operations' own: name -> (operation -> its usual value)
_USUAL: dict[str, dict[str, Any]] = {
    "exact": {"cast": True, "convert": True, "round_to_integral": False},
    "signaling": dict(comparisons.SIGNALING),
    "extremum": dict.fromkeys(("minimum", "maximum"), Extremum.IEEE_2019.value),
}
_OTHER_NAMES = {"encode": "cast", **ALIASES, **SYMBOLS}
_NAMES = [*CASTS, *OPERATIONS, *_TRUTH_VALUES]
_OWN_SECOND = {"scaleb": "int16"}  # operations whose second operand is of another format unless one says so
_EMPTY = np.zeros(0, np.uint8)


class Batch(NamedTuple):
    """Inputs and right answers, as codes.

    `operands`: for each operand a one-dimensional array, all of one length; `result`: codes, 0 and 1 where it is a
    truth value; `flags`: in TestFloat's numbering, or None.
    """

    operands: tuple[NDArray[Any], ...]
    result: NDArray[Any]
    flags: NDArray[np.uint8] | None


@dataclasses.dataclass(frozen=True)
class Claim:
    """What an implementation is said to compute: an operation on codes of formats, under rules.

    Parameters
    ----------
    operation : str
        "cast" (by the rules of casts), "convert" (as an operation: NaN become quiet), an operation of the catalogue
        ("add", "fma", "exp", ...), a comparison ("less", ...) or a test of a class ("is_nan", ...).
    operands : tuple of Format
        The operands' formats; of a cast its one source format.
    result : Format or None
        The result's format; None where it is a truth value.
    profile : Profile
        The rules, every knob as it stands for the result's format; of a comparison its `subnormals_in` alone.
    arguments : tuple of pairs, optional
        The operation's own arguments that are not its usual ones, by name: ``(("exact", False),)``.

    Notes
    -----
    `Claim.of` checks what it is given and fills in the rest; the class itself takes all as it is.

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
        """The claim that names and words mean.

        Parameters
        ----------
        operation : str
            A name, alias or symbol of the catalogue ("add", "sub", "*"), a comparison, a test of a class, "convert",
            "cast" or "encode", which is the same: what a cast gives, as codes.
        format : str, Format or dtype, optional
            Of operands and result alike; of a cast the result's.
        source : str, Format or dtype, optional
            A cast's source format; default float32.
        operands : sequence of str, Format or dtype, optional
            The operands' formats, where they are not `format`.
        result : str, Format or dtype, optional
            The result's format, where it is not `format`.
        rounding : str, Rounding or Stochastic, optional
            Instead of the profile's.
        profile : str or Profile, optional
            Default the result format's own.  Comparisons take its `subnormals_in`; no other rule is about them.
        exact : bool, optional
            Conversions and `round_to_integral`: whether a number that is no integer raises inexact; default as the
            operation's.  TestFloat's option ``-notexact``, its default, is ``exact=False``.
        signaling : bool, optional
            Comparisons: whether a quiet NaN raises invalid; default as the comparison's.
        extremum : {"2019", "2008", "x86", "arm"} or Extremum, optional
            `minimum` and `maximum`: which operation of this name; default "2019".
        **knobs
            Other knobs of `Profile`; `random_bits`, the number of bits of stochastic rounding.

        Returns
        -------
        Claim

        Raises
        ------
        TypeError
            If something is of the wrong kind.
        ValueError
            If a name is unknown, formats are missing or disagree with the operation, or a rule does not apply.

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
                raise ValueError(f"{name} gives a truth value: it has no result format, but result={result!r}")
        elif result is None and format is None:
            raise ValueError(f"{name}: say the result's format: Claim.of({name!r}, 'float16')")
        else:
            target = dtype(format if result is None else result)
        formats = _operand_formats(name, format, source, operands)
        arguments = _arguments(name, {"exact": exact, "signaling": signaling, "extremum": extremum})
        given = formats[0] if name in CASTS else None
        rules = _rules(target, profile, rounding, knobs, given)
        if target is None:
            rules = _reading(name, rules, [*knobs, *_given(profile=profile, rounding=rounding)])
        claim = cls(name, formats, target, rules, arguments)
        claim.answer(*(np.zeros(0, fmt.code_dtype) for fmt in formats), random_bits=None)  # all checks of the call
        return claim

    @property
    def arity(self) -> int:
        """How many operands there are."""
        return len(self.operands)

    @property
    def has_flags(self) -> bool:
        """Whether there are flags: not for tests of classes, for codebooks, and under rules that round twice."""
        if self.operation in _PREDICATES or isinstance(self.result, TableFormat):
            return False
        return self.profile.through is Through.NONE

    @property
    def stochastic(self) -> bool:
        """Whether the answer depends on random bits."""
        return isinstance(self.profile.rounding, Stochastic)

    def answer(
        self, *codes: ArrayLike, random_bits: ArrayLike | None = None, out: NDArray[Any] | None = None
    ) -> NDArray[Any]:
        """The right results for operands' codes.

        Parameters
        ----------
        *codes : array_like of unsigned int
            One array for each operand; broadcast against each other.
        random_bits : array_like of int, optional
            Under stochastic rounding the random integers, of the result's shape, below 2^bits.
        out : numpy.ndarray, optional
            Where to put a cast's results: of the result's shape and `code_dtype`.

        Returns
        -------
        numpy.ndarray
            Codes of the result's format in its `code_dtype`, or uint8 0 and 1 where the result is a truth value.

        Raises
        ------
        TypeError
            If there are more or fewer operands than the operation takes, one holds no integers, or `out` is given to
            what is no cast.
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
        return self._called(codes, random_bits, False, out)[0]

    def answer_with_flags(
        self, *codes: ArrayLike, random_bits: ArrayLike | None = None
    ) -> tuple[NDArray[Any], NDArray[np.uint8]]:
        """The right results, and the flags in TestFloat's numbering.

        Parameters
        ----------
        *codes : array_like of unsigned int
            One array for each operand; broadcast against each other.
        random_bits : array_like of int, optional
            Under stochastic rounding the random integers, of the result's shape, below 2^bits.

        Returns
        -------
        numpy.ndarray
            As `answer` gives them.
        numpy.ndarray of uint8
            As `Flags.bits`: 1 inexact, 2 underflow, 4 overflow, 8 divide by zero, 16 invalid.

        Raises
        ------
        TypeError
            If there are more or fewer operands than the operation takes, or one holds no integers.
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
        return self._called(codes, random_bits, True)

    def batch(self, *codes: NDArray[Any]) -> Batch:
        """Operands with the right results, and the flags if there are any.

        Parameters
        ----------
        *codes : numpy.ndarray of unsigned int
            One one-dimensional array for each operand, all of one length.

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
        return (
            Batch(codes, *self.answer_with_flags(*codes)) if self.has_flags else Batch(codes, self.answer(*codes), None)
        )

    def replaced(self, **knobs: Any) -> Claim:
        """The claim with other rules.

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
        rules = _rules(self.result, self.profile, None, knobs)
        if self.result is None:
            rules = _reading(self.operation, rules, knobs)
        return dataclasses.replace(self, profile=rules)

    def described(self) -> dict[str, str]:
        """The claim in words, for headers of files: `from_description` reads them back.

        Returns
        -------
        dict of str to str
            "operation"; "operand 1" and so on, the formats' names, or all their parameters as JSON where a name would
            mean nothing elsewhere; "result" ("bool" for truth values); "profile", the name of the rules; every knob.

        Examples
        --------
        >>> from fpemu.verification.claims import Claim
        >>> list(Claim.of("cast", "float8_e4m3fn").described().items())[:5]
        [('operation', 'cast'), ('operand 1', 'float32'), ('result', 'float8_e4m3fn'), ('profile', 'ieee'),
         ('rounding', 'nearest_even')]
        """
        rounding, code = self.profile.rounding, self.profile.nan_code
        words = {"operation": self.operation}
        words |= {f"operand {place}": format_text(fmt) for place, fmt in enumerate(self.operands, 1)}
        words["result"] = "bool" if self.result is None else format_text(self.result)
        words["profile"] = self.profile.name
        if isinstance(rounding, Stochastic):
            words |= {"rounding": f"stochastic{rounding.variant}", "random_bits": str(rounding.bits)}
        else:
            words["rounding"] = rounding.value
        words |= {knob: getattr(self.profile, knob).value for knob in KNOBS}
        words["nan_code"] = "none" if code is None else hex(code)
        return words | {argument: str(value).lower() for argument, value in self.arguments}

    @classmethod
    def from_description(cls, words: Mapping[str, str]) -> Claim:
        """The claim that `described` put into words.

        Parameters
        ----------
        words : mapping of str to str
            Of the knobs those may be left out that have their usual value.

        Returns
        -------
        Claim

        Raises
        ------
        ValueError
            If a word is missing, unknown or impossible; the message says which.

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
            formats = [format_from_text(rest.pop(f"operand {place}")) for place in range(1, count + 1)]
        except KeyError as error:
            raise ValueError(f"the description of a claim has no {error}") from None
        known = ["operation", "result", "profile", "rounding", "random_bits", "nan_code", *KNOBS, *_USUAL]
        for word in rest:
            if word not in known:
                raise ValueError(f"the description of a claim has an unknown word {brief(word)}{near(word, known)}")
        knobs: dict[str, Any] = {"name": rest.pop("profile", "custom"), **rest}
        knobs["nan_code"] = None if knobs.get("nan_code", "none") == "none" else _number(knobs, "nan_code")
        if "random_bits" in knobs:
            knobs["random_bits"] = _number(knobs, "random_bits")
        for argument in ("exact", "signaling"):
            if argument in knobs:
                if knobs[argument] not in ("true", "false"):
                    raise ValueError(f"{argument} must be true or false, not {knobs[argument]!r}")
                knobs[argument] = knobs[argument] == "true"
        if result == "bool":
            told, name = _rules(None, Profile(), None, _without(knobs, _USUAL)), _operation(name)
            own = {argument: knobs[argument] for argument in _USUAL if argument in knobs}
            read = told if name in comparisons.SIGNALING else None  # 0.1.0 wrote all knobs, without a meaning
            return cls.of(name, operands=formats, profile=read, **own)
        return cls.of(name, operands=formats, result=format_from_text(result), profile=Profile(), **knobs)

    def __str__(self) -> str:
        """The claim as one says it: "add of float16 and float16 to float16, toward_zero"."""
        to = "" if self.result is None else f" to {self.result}"
        rounding = self.profile.rounding
        how = rounding.value if isinstance(rounding, Rounding) else str(rounding)
        own = "".join(f", {argument}={value}" for argument, value in self.arguments)
        return f"{self.operation} of {' and '.join(map(str, self.operands))}{to}{'' if not to else f', {how}'}{own}"

    @functools.cached_property
    def _call(self) -> Callable[..., Any]:
        """The function of fpemu that gives the answer."""
        own = dict(self.arguments)
        if self.operation in _TRUTH_VALUES:
            own |= {"profile": self.profile} if self.operation in comparisons.SIGNALING else {}
            return functools.partial(_TRUTH_VALUES[self.operation], **own)
        if self.operation in CASTS:
            return functools.partial(convert, fmt=self.result, profile=self.profile, **own)
        return functools.partial(OPERATIONS[self.operation].call, result=self.result, profile=self.profile, **own)

    def _called(
        self, codes: Sequence[ArrayLike], random_bits: ArrayLike | None, flags: bool, out: NDArray[Any] | None = None
    ) -> tuple[NDArray[Any], NDArray[np.uint8]]:
        if len(codes) != self.arity:
            raise TypeError(f"{self.operation} takes {self.arity} operands, not {len(codes)}")
        how: dict[str, Any] = {}
        if random_bits is not None:
            how["random_bits"] = random_bits
        elif self.stochastic and self.result is not None:
            shape = np.broadcast_shapes(*(np.shape(part) for part in codes))
            if 0 not in shape:
                raise ValueError(f"{self}: rounding is stochastic: say random_bits")
            how["random_bits"] = np.zeros(shape, np.uint32)
        if self.operation == "cast" and not flags:
            how |= {"source": self.operands[0], "profile": self.profile, "out": out}
            return np.asarray(encode(codes[0], self.result, **how)), _EMPTY
        if out is not None:
            raise TypeError(f"{self.operation} has no out: only casts do")
        arrays = [Array.from_codes(part, fmt) for part, fmt in zip(codes, self.operands, strict=True)]
        with errstate(all="ignore"):  # what the caller's context does about flags is not about this
            if self.operation == "cast":
                given = arrays[0].codes
                found = encode(given, self.result, source=self.operands[0], profile=self.profile, **how)
                return np.asarray(found), self._call(arrays[0], return_flags=True, **how)[1].bits
            if flags:
                result, raised = self._call(*arrays, return_flags=True, **how)
                return self._codes(result), raised.bits
            return self._codes(self._call(*arrays, **how)), _EMPTY

    def _codes(self, result: Any) -> NDArray[Any]:
        return np.asarray(result, np.uint8) if self.result is None else np.asarray(result.codes)


def _operation(name: Any) -> str:
    if not isinstance(name, str):
        raise TypeError(f"an operation is a name, not {type(name).__name__}")
    known = _OTHER_NAMES.get(name, name)
    if known not in _NAMES:
        raise ValueError(
            f"no operation {brief(name)}: there are casts (cast, convert), operations (add, fma, sqrt, exp ...), "
            f"comparisons (less ...) and tests of classes (is_nan ...){near(name, [*_NAMES, *_OTHER_NAMES])}"
        )
    return known


def _arguments(operation: str, given: dict[str, Any]) -> tuple[tuple[str, Any], ...]:
    """An operation's own arguments, as far as they are not its usual ones."""
    kept = []
    for argument, value in given.items():
        if value is None:
            continue
        usual = _USUAL[argument]
        if operation not in usual:
            raise ValueError(f"{operation} has no argument {argument}: it is one of {', '.join(usual)}")
        word = choose(Extremum, value, argument).value if argument == "extremum" else checked_bool(argument, value)
        if word != usual[operation]:
            kept.append((argument, word))
    return tuple(kept)


def _operand_formats(name: str, fmt: Any, source: Any, operands: Sequence[Any] | None) -> tuple[Format, ...]:
    if source is not None and (name not in CASTS or operands is not None):
        raise ValueError(f"{name}: source is a cast's format; the others' are format or operands")
    if name in CASTS:
        count, usual = 1, ["float32" if source is None else source]
    else:
        count = 2 if name in _COMPARISONS else 1 if name in _PREDICATES else OPERATIONS[name].operands
        usual = [fmt] * count
        usual[1:2] = [_OWN_SECOND.get(name, fmt)] * (count > 1)
    if operands is None and usual[0] is None:
        raise ValueError(f"{name}: say the operands' formats: Claim.of({name!r}, 'float16')")
    if isinstance(operands, str):
        raise TypeError(f"operands must be a sequence of formats, one for each operand, not {brief(operands)}")
    formats = tuple(dtype(each) for each in (usual if operands is None else operands))
    if len(formats) != count:
        raise ValueError(f"{name} takes {count} operand{'s' * (count > 1)}, not {len(formats)}")
    return formats


def _rules(
    target: Format | None, profile: Any, rounding: Any, knobs: dict[str, Any], source: Format | None = None
) -> Profile:
    """The rules with every knob as it stands for the result's format."""
    knobs = dict(knobs)
    mode = knobs.pop("rounding", None) if rounding is None else rounding
    bits = knobs.pop("random_bits", None)
    if bits is not None:
        mode = rounding_mode(mode) if mode is not None else None
        if not isinstance(mode, Stochastic):
            raise ValueError("random_bits is the number of bits of stochastic rounding: say rounding='stochastic'")
        mode = Stochastic(mode.variant, bits)
    if target is None:  # truth values: no rule of a result's applies
        rules = rules_for(FLOAT64, profile, mode, None).replace(**knobs)
    else:
        rules = target.check_profile(rules_for(target, profile, mode, None, source).replace(**knobs))
    if rules.nan is NanRule.ERROR:
        raise ValueError("nan='error' gives no code: there is no right answer to check against")
    return rules


def _reading(name: str, rules: Profile, words: Iterable[str]) -> Profile:
    """The rules of a truth value: which subnormals a comparison takes for zero; other rules are about results.

    `words`: those that were given; a ValueError where one of them says something that does not apply.
    """
    applies = ["profile", "subnormals_in"] if name in comparisons.SIGNALING else []
    usual = Profile()
    for word in words:
        says = word in ("profile", "random_bits") or getattr(rules, word) != getattr(usual, word)
        if word not in ("name", *applies) and says:
            allowed = " and ".join(applies) or "no rules"
            raise ValueError(f"{name} gives a truth value, which {word} is not about: it takes {allowed}")
    return Profile(rules.name, subnormals_in=rules.subnormals_in if applies else usual.subnormals_in)


def _given(**words: Any) -> list[str]:
    """The names of what is not None."""
    return [word for word, value in words.items() if value is not None]


def _without(words: dict[str, Any], names: Iterable[str]) -> dict[str, Any]:
    return {word: value for word, value in words.items() if word not in names}


def _number(words: dict[str, Any], what: str) -> int:
    try:
        return int(words[what], 0)
    except ValueError:
        raise ValueError(f"{what} must be a number, not {words[what]!r}") from None
