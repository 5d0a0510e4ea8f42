"""Claims: what an implementation is said to compute, and the right answers, all in codes."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fpemu.array import Array
from fpemu.casting import encode, rules_for
from fpemu.catalogue import find_operation
from fpemu.formats import Format
from fpemu.knobs import near
from fpemu.profiles import Profile
from fpemu.registry import dtype

__all__ = ["Claim"]


@dataclasses.dataclass(frozen=True)
class Claim:
    """An operation on codes of formats, under rules.

    Parameters
    ----------
    operation : str
        A name of the catalogue, or "cast".
    operands : tuple of Format
        The operands' formats; of a cast its one source format.
    result : Format or None
        The result's format.
    profile : Profile
        The rules, every knob as it stands for the result's format.

    Examples
    --------
    >>> import numpy as np
    >>> from fpemu.claims import Claim
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

    @classmethod
    def of(
        cls,
        operation: str,
        format: Any = None,
        *,
        source: Any = None,
        operands: Sequence[Any] | None = None,
        result: Any = None,
        rounding: Any = None,
        profile: str | Profile | None = None,
        **knobs: Any,
    ) -> Claim:
        """The claim that names and words mean.

        Parameters
        ----------
        operation : str
            A name, alias or symbol of the catalogue; "cast" or "encode".
        format : str or Format, optional
            Of operands and result alike; of a cast the result's.
        source : str or Format, optional
            A cast's source format; default float32.
        operands : sequence of str or Format, optional
            The operands' formats, where they are not `format`.
        result : str or Format, optional
            The result's format, where it is not `format`.
        rounding : str or Rounding, optional
            Instead of the profile's.
        profile : str or Profile, optional
            Default the result format's own.
        **knobs
            Other knobs of the profile.

        Returns
        -------
        Claim

        Raises
        ------
        ValueError
            If a name is unknown, a format is missing, or a rule does not apply.

        Examples
        --------
        >>> from fpemu.claims import Claim
        >>> Claim.of("encode", "float8_e4m3fn").operands[0].name
        'float32'
        """
        wanted = result if result is not None else format
        if wanted is None:
            raise ValueError(f"say the result's format: Claim.of({operation!r}, 'float16')")
        target = dtype(wanted)
        if operation in ("cast", "encode"):
            name = "cast"
            formats: tuple[Format, ...] = (dtype("float32" if source is None else source),)
        else:
            try:
                found = find_operation(operation)
            except ValueError as error:
                raise ValueError(f"{error}; and 'cast'{near(operation, ['cast', 'encode'])}") from None
            name, given = found.name, operands if operands is not None else [wanted] * found.operands
            formats = tuple(map(dtype, given))
            if len(formats) != found.operands:
                raise ValueError(f"{name} takes {found.operands} operands, not {len(formats)}")
        rules = rules_for(target, profile, rounding, None)
        return cls(name, formats, target, target.check_profile(rules.replace(**knobs)) if knobs else rules)

    def answer(self, *codes: NDArray[Any]) -> NDArray[Any]:
        """The right codes for operands' codes.

        Parameters
        ----------
        *codes : numpy.ndarray of unsigned int
            One array for each operand, of one shape.

        Returns
        -------
        numpy.ndarray of unsigned int

        Examples
        --------
        >>> import numpy as np
        >>> from fpemu.claims import Claim
        >>> Claim.of("sqrt", "float16").answer(np.uint16([0x4400]))
        array([16384], dtype=uint16)
        """
        return self._called(codes, False)[0]

    def answer_with_flags(self, *codes: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.uint8]]:
        """The right codes, and the flags in TestFloat's numbering.

        Parameters
        ----------
        *codes : numpy.ndarray of unsigned int
            One array for each operand, of one shape.

        Returns
        -------
        numpy.ndarray of unsigned int
        numpy.ndarray of uint8

        Examples
        --------
        >>> import numpy as np
        >>> from fpemu.claims import Claim
        >>> Claim.of("sqrt", "float16").answer_with_flags(np.uint16([0x4000]))
        (array([15784], dtype=uint16), array([1], dtype=uint8))
        """
        return self._called(codes, True)

    def replaced(self, **knobs: Any) -> Claim:
        """The claim with other rules.

        Parameters
        ----------
        **knobs
            Knobs of `Profile`.

        Returns
        -------
        Claim

        Examples
        --------
        >>> from fpemu.claims import Claim
        >>> Claim.of("add", "float16").replaced(rounding="RTZ").profile.rounding
        <Rounding.TOWARD_ZERO: 'toward_zero'>
        """
        assert self.result is not None
        return dataclasses.replace(self, profile=self.result.check_profile(self.profile.replace(**knobs)))

    def _called(self, codes: Sequence[NDArray[Any]], flags: bool) -> tuple[NDArray[Any], NDArray[np.uint8]]:
        if self.operation == "cast" and not flags:
            found = encode(codes[0], self.result, source=self.operands[0], profile=self.profile)
            return np.asarray(found), np.zeros(0, np.uint8)
        arrays = [Array.from_codes(part, fmt) for part, fmt in zip(codes, self.operands, strict=True)]
        if self.operation == "cast":
            from fpemu.integral import convert

            value, raised = convert(arrays[0], self.result, profile=self.profile, return_flags=True)
            return value.codes, raised.bits
        found = find_operation(self.operation).call(
            *arrays, result=self.result, profile=self.profile, return_flags=flags
        )
        return (found[0].codes, found[1].bits) if flags else (found.codes, np.zeros(0, np.uint8))
