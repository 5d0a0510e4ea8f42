"""A plan carried out on a whole array: numpy's manners about memory, and the random numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fpemu.casting.buffers import check_out, for_each_chunk, is_same_memory, iter_chunks
from fpemu.casting.plans import Plan
from fpemu.casting.stochastic import NO_RANDOMS, randomness
from fpemu.formats import FloatFormat

if TYPE_CHECKING:
    from fpemu.casting.inputs import Source


def execute(
    given: Source,
    work: Plan,
    rng: int | np.random.Generator | None,
    random_bits: ArrayLike | None,
    rng_offset: int,
    out: NDArray[Any] | None,
    dtype: np.dtype[Any] | None,
) -> Any:
    """Carry out a plan on all of a source.

    Parameters
    ----------
    given : Source
    work : Plan
    rng : None, int or numpy.random.Generator
        For stochastic plans; see `fpemu.cast`.
    random_bits : array_like of int, optional
    rng_offset : int
    out : numpy.ndarray, optional
    dtype : numpy.dtype or None
        The result's; None for codes.

    Returns
    -------
    numpy.ndarray or numpy scalar
    """
    codes = given.codes
    dtype = work.out_dtype if dtype is None else dtype
    if out is not None:
        check_out(out, codes.shape, dtype)
    if work.refuses_nan:
        refuse_nans(given)
    randoms, key = NO_RANDOMS.given, 0
    if work.stochastic or rng is not None or random_bits is not None or type(rng_offset) is not int or rng_offset:
        randoms, key = randomness(work.rules.rounding, rng, random_bits, rng_offset, codes.shape)
    result = np.empty(codes.shape, dtype) if out is None else out
    bits = result.view(work.out_dtype)
    if out is not None and np.may_share_memory(codes, bits) and not is_same_memory(codes, bits):
        codes = codes.copy()
    if work.looks_up:
        work.prepare(codes.size)
    if codes.flags.c_contiguous and bits.flags.c_contiguous and codes.dtype.isnative:
        if codes.ndim != 1:
            codes, bits = codes.reshape(-1), bits.reshape(-1)
        _contiguous(codes, bits, work, rng_offset, randoms, key)
    else:
        _strided(codes, bits, work, rng_offset, randoms, key)
    return result[()] if out is None and result.ndim == 0 else result


def refuse_nans(given: Source) -> None:
    """Raise ValueError if a source is NaN, for the rule nan="error"."""
    if not isinstance(given.format, FloatFormat) or given.format.nan == "none":
        return
    nans = given.format.nan_codes
    place = 0
    for codes in iter_chunks(given.codes):
        if given.format.nan != "negative_zero":
            codes = codes & np.asarray(given.format.magnitude_mask, codes.dtype)
        wrong = (codes >= nans[0]) & (codes <= nans[-1])
        if wrong.any():
            where = place + int(np.flatnonzero(wrong)[0])
            raise ValueError(f"element {where} is NaN, and the profile says nan='error'")
        place += codes.size


def _contiguous(
    codes: NDArray[Any], bits: NDArray[Any], work: Plan, first: int, randoms: NDArray[Any], key: int
) -> None:
    if codes.size == 1:
        work(codes, bits, first, randoms, key)
        return

    def piece(start: int, stop: int) -> None:
        work(codes[start:stop], bits[start:stop], first + start, randoms[start:stop], key)

    for_each_chunk(piece, codes.size)


def _strided(codes: NDArray[Any], bits: NDArray[Any], work: Plan, first: int, randoms: NDArray[Any], key: int) -> None:
    """Pieces in C order through numpy's buffers: other strides and byte orders."""
    pieces = np.nditer(
        [codes, bits],
        flags=["external_loop", "buffered", "zerosize_ok"],
        op_flags=[["readonly"], ["writeonly"]],
        op_dtypes=[codes.dtype.newbyteorder("="), bits.dtype],
        order="C",
        casting="equiv",
        buffersize=1 << 16,
    )
    place = 0
    with pieces:
        for source, target in pieces:
            end = place + source.size
            if source.flags.c_contiguous and target.flags.c_contiguous:
                work(source, target, first + place, randoms[place:end], key)
            else:  # numpy hands over its operands themselves where they need no buffer
                copy = np.empty(target.shape, target.dtype)
                work(np.ascontiguousarray(source), copy, first + place, randoms[place:end], key)
                target[...] = copy
            place = end
