"""Execute a cast plan on a whole array: strides, aliasing, threads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fpemu.casting.buffers import check_out, for_each_chunk, is_same_memory, iter_chunks
from fpemu.casting.plans import Plan
from fpemu.casting.stochastic import NO_RANDOMS, Randoms, randomness
from fpemu.formats.facts.codes import nan_mask

if TYPE_CHECKING:
    from fpemu.casting.sequences import Source


def execute(
    source: Source,
    plan: Plan,
    rng: int | np.random.Generator | None,
    random_bits: ArrayLike | None,
    rng_offset: int,
    out: NDArray[Any] | None,
    dtype: np.dtype[Any] | None,
) -> Any:
    """Carry out a plan on all elements of a source.

    Parameters
    ----------
    source : Source
    plan : Plan
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
    codes = source.codes
    dtype = plan.out_dtype if dtype is None else dtype
    if out is not None:
        check_out(out, codes.shape, dtype)
    if plan.refuses_nan:
        refuse_nans(source)
    randoms = NO_RANDOMS
    if plan.stochastic or rng is not None or random_bits is not None or type(rng_offset) is not int or rng_offset:
        randoms = randomness(plan.rules.rounding, rng, random_bits, rng_offset, codes.shape)
    result = np.empty(codes.shape, dtype) if out is None else out
    bits = result.view(plan.out_dtype)
    if out is not None and np.may_share_memory(codes, bits) and not is_same_memory(codes, bits):
        codes = codes.copy()
    if plan.looks_up:
        plan.prepare(codes.size)
    if codes.flags.c_contiguous and bits.flags.c_contiguous and codes.dtype.isnative:
        if codes.ndim != 1:
            codes, bits = codes.reshape(-1), bits.reshape(-1)
        _contiguous(codes, bits, plan, randoms)
    else:
        _strided(codes, bits, plan, randoms)
    return result[()] if out is None and result.ndim == 0 else result


def refuse_nans(source: Source) -> None:
    """Raise ValueError if an element is NaN, for the rule nan="error"."""
    fmt = source.format
    if not fmt.has("nan"):
        return
    start = 0
    for codes in iter_chunks(source.codes):
        is_nan = nan_mask(codes, fmt)
        if is_nan.any():
            index = start + int(np.flatnonzero(is_nan)[0])
            raise ValueError(f"element {index} is NaN, and the profile has nan='error'")
        start += codes.size


def _contiguous(codes: NDArray[Any], bits: NDArray[Any], plan: Plan, randoms: Randoms) -> None:
    if codes.size == 1:
        plan(codes, bits, randoms)
    else:
        for_each_chunk(
            lambda start, stop: plan(codes[start:stop], bits[start:stop], randoms.chunk(start, stop)), codes.size
        )


def _strided(codes: NDArray[Any], bits: NDArray[Any], plan: Plan, randoms: Randoms) -> None:
    """Other strides and byte orders: chunks in C order, through numpy's buffers."""
    chunks = np.nditer(
        [codes, bits],
        flags=["external_loop", "buffered", "zerosize_ok"],
        op_flags=[["readonly"], ["writeonly"]],
        op_dtypes=[codes.dtype.newbyteorder("="), bits.dtype],
        order="C",
        casting="equiv",
        buffersize=1 << 16,
    )
    start = 0
    with chunks:
        for source, target in chunks:
            stop = start + source.size
            drawn = randoms.chunk(start, stop)
            if source.flags.c_contiguous and target.flags.c_contiguous:
                plan(source, target, drawn)
            else:  # numpy passes views of its operands where they need no buffer
                copy = np.empty(target.shape, target.dtype)
                plan(np.ascontiguousarray(source), copy, drawn)
                target[...] = copy
            start = stop
