"""Sums and dot products of rows of codes: exact and rounded once, or rounded at every step.

The numbers of a row are contiguous.  A sum is a dot product with ones.
"""

import functools

import numpy as np
from numpy import int64, uint64

from fpemu.kernels.cpu.float_environment import float_environment_is_standard
from fpemu.kernels.jit import core, loop
from fpemu.kernels.scalar import accumulator, arithmetic
from fpemu.kernels.scalar.accumulator import SEEN_INVALID, carry, deposit, seen_of, term
from fpemu.kernels.scalar.bits import U0, bits_of, float_of, like, shifted_left, shifted_right
from fpemu.kernels.scalar.convert import INFINITE, NOT_A_NUMBER, encode_zero
from fpemu.kernels.scalar.multiword import multiply_words
from fpemu.kernels.scalar.random_bits import random_integer
from fpemu.kernels.spec import QUANTUM

STRETCH = 64  # steps that are tried at once inside a binade
MOST_PATIENCE = 4096  # the largest number of single steps before the next try
PENDING = 64  # sums that wait for their neighbours, one for each power of two

# Compiled separately, once: inlined as cores, they would be compiled again for each type of codes.
add, fma, multiply = (loop(core_.py_func) for core_ in (arithmetic.add, arithmetic.fma, arithmetic.multiply))
round_total = loop(accumulator.round_total.py_func)


@core
def product(x_code, y_code, x_spec, y_spec, rules):
    """The exact product of two operands: (SEEN_ bits, negative, high, low, exponent above both quanta)."""
    x_kind, x_negative, x, x_exponent, x_signals = term(x_code, x_spec, rules)
    y_kind, y_negative, y, y_exponent, y_signals = term(y_code, y_spec, rules)
    negative = x_negative != y_negative
    exponent = x_exponent - x_spec[QUANTUM] + y_exponent - y_spec[QUANTUM]
    if x_kind == NOT_A_NUMBER or y_kind == NOT_A_NUMBER:
        return seen_of(NOT_A_NUMBER, negative, x_signals or y_signals), negative, U0, U0, exponent
    if x_kind == INFINITE or y_kind == INFINITE:
        if (x_kind != INFINITE and x == U0) or (y_kind != INFINITE and y == U0):
            return SEEN_INVALID, negative, U0, U0, exponent
        return seen_of(INFINITE, negative, False), negative, U0, U0, exponent
    high, low = multiply_words(x, y)
    return seen_of(x_kind, negative, False), negative, high, low, exponent


@functools.cache
def exact_loop(products):
    """The loop of exact sums of rows, or with `products` of dot products of two rows, each rounded once."""

    @loop
    def exact_array(
        x, y, length, x_spec, y_spec, size, carry_period, prefixes, mean,
        target, rules, randoms, key, first, inner, row, out, flags,
    ):  # fmt: skip
        """One result for each row of `length`, or with `prefixes` for each prefix of a row.

        `size`: the accumulator's digits.  `carry_period`: carries propagate after this many terms, at most 2^30.
        `inner`: the stride of a row's results, whose positions select the random numbers.  `row`: the first row's
        number.  `randoms`: an integer for each position, or empty for the stream of `key`, whose element `first`
        belongs to position 0.
        """
        digits = np.zeros(size, np.int64)
        bottom = x_spec[QUANTUM] + (y_spec[QUANTUM] if products else 0)
        results = length if prefixes else 1
        stretch = 1 if prefixes else length
        rows = out.size // results if results else 0
        for r in range(rows):
            digits[:] = 0
            seen = 0
            uncarried = 0
            position = ((row + r) // inner) * results * inner + (row + r) % inner
            for k in range(results):
                for i in range(r * length + k * stretch, r * length + (k + 1) * stretch):
                    if products:
                        term_seen, negative, high, low, position_of_term = product(x[i], y[i], x_spec, y_spec, rules)
                        seen |= term_seen
                        if high != U0 or low != U0:
                            deposit(digits, high, low, position_of_term, negative)
                    else:
                        kind, negative, significand, exponent, signals = term(x[i], x_spec, rules)
                        seen |= seen_of(kind, negative, signals)
                        if significand != U0:
                            deposit(digits, U0, significand, exponent - bottom, negative)
                    uncarried += 1
                    if uncarried == carry_period:
                        carry(digits)
                        uncarried = 0
                index = first + uint64(position)
                random = uint64(randoms[position]) if randoms.size else random_integer(key, index, rules)
                code, raised = round_total(digits, bottom, seen, (k + 1) * stretch, mean, target, rules, random)
                out[r * results + k] = code
                if flags.size:
                    flags[r * results + k] = raised
                position += inner

    return exact_array


@loop
def accumulate_array(
    x, y, y_step, length, x_spec, y_spec, one, one_spec, block, pairwise, rounded_products, prefixes,
    spec, rules, key, row, out, flags,
):  # fmt: skip
    """Sums of rows of `length` in the format of `spec`, each step rounded to it: codes, and the flags of all steps.

    `y`: factors; with `y_step` 0 one factor for all.  `one`: the code of 1 in the format of `one_spec`.  Runs of
    `block` numbers are summed in order, and then the sums of the runs; with `pairwise` (`block` is 1) neighbours are
    summed in pairs, then the pairs in pairs, and so on.  The stream has two integers for each number of each row: one
    for rounding the number, or product, itself, and one for the addition whose right operand starts at the number.
    """
    waiting = np.zeros(PENDING, np.uint64)
    runs = (length + block - 1) // block
    rows = out.size // (length if prefixes else 1) if length else out.size
    for r in range(rows):
        raised = 0
        total = encode_zero(False, rules)
        row_start = uint64(row + r) * uint64(2 * length)
        for run in range(runs + 1):
            joins = int64(0)  # a bit for each level with a waiting sum to add in front
            if run < runs:
                start = run * block
                for k in range(start, min(start + block, length)):
                    i = r * length + k
                    index = row_start + uint64(2 * k)
                    a, b, a_spec, b_spec = uint64(x[i]), uint64(y[i * y_step]), x_spec, y_spec
                    if k == start or rounded_products:
                        a, step_flags = multiply(a, b, x_spec, y_spec, spec, rules, random_integer(key, index, rules))
                        raised |= step_flags
                        b, a_spec, b_spec = one, spec, one_spec
                    if k == start:
                        total = a
                    else:
                        random = random_integer(key, index + uint64(1), rules)
                        total, step_flags = fma(a, b, total, a_spec, b_spec, spec, spec, rules, random)
                        raised |= step_flags
                    if prefixes:
                        out[i] = total
                        if flags.size:
                            flags[i] = raised
                joins = run & ~(run + 1) if pairwise else int64(run > 0)
            elif pairwise:
                joins = runs & (runs - 1)
                lowest = 0
                while runs and (runs >> lowest) & 1 == 0:
                    lowest += 1
                total = waiting[lowest] if runs else total
            level = 0
            while joins >> level:
                if (joins >> level) & 1:
                    index = row_start + uint64(2 * ((run >> level) << level) * block + 1)
                    random = random_integer(key, index, rules)
                    total, step_flags = add(waiting[level], total, False, spec, spec, spec, rules, random)
                    raised |= step_flags
                level += 1
            waiting[level if pairwise and run < runs else 0] = total
        if not prefixes:
            out[r] = total
            if flags.size:
                flags[r] = raised


@core
def float_step(total, x, shift, odd):
    """Total + x by the FPU, rounded to p digits, to nearest even: (the rounded sum, the magnitude before rounding).

    Bits of float32 or float64.  `shift`: the number of bits cut off.  `odd`: 1, or 0 if `shift` is 0.  Both operands
    have at most p digits, and the sum is rounded twice, first to the P digits of the float.  This is innocuous if
    P >= 2p + 2 (S. Figueroa, "When is double rounding innocuous?", SIGNUM Newsletter 30, 1995; in Coq: P. Roux,
    "Innocuous double rounding of basic arithmetic operations", J. Formalized Reasoning 7, 2014).  A sum that is
    subnormal in the narrow format is an exact multiple of its quantum, which the cut does not change.
    """
    exact = bits_of(float_of(total) + float_of(x))
    mask = like(exact, shifted_left(like(exact, 1), shift) - like(exact, 1))
    half = like(exact, shifted_right(mask, like(exact, 1)) + like(exact, shifted_right(exact, shift) & odd))
    magnitude = like(exact, shifted_right(shifted_left(exact, like(exact, 1)), like(exact, 1)))
    return like(exact, like(exact, exact + half) & like(exact, ~mask)), magnitude


@core
def steps_in_binade(total, row, first, last, words, prefixes, out):
    """The bits of total + row[first] + ... + row[last - 1], each step rounded, and whether the result is valid.

    It is valid if all sums lie inside total's binade, between 2^e and 2^(e + 1), where the p-digit numbers of the
    narrow format are the multiples of 2^(e - p + 1).  This is the ulp of M = 1.5 2^(e + P - p) in the float of P
    digits, and M is an even multiple of it.  So M + total is exact, and adding a number to it rounds once to such a
    multiple, ties to even: a step is one addition.  `out`: with `prefixes` the sums after each number.
    """
    negative = shifted_right(total, words[7]) != like(total, 0)
    power = float_of(like(total, total & words[3]))
    marker = power * float_of(words[6])
    low, high = (-power - power, -power) if negative else (power, power + power)
    marker, low, high = (-marker, low - marker, high - marker) if negative else (marker, low + marker, high + marker)
    marked_total = marker + float_of(total)
    inside = True
    for k in range(first, last):
        marked_total += float_of(row[k])
        inside &= (marked_total > low) & (marked_total < high)
        if prefixes:
            out[k] = bits_of(marked_total - marker)
    return bits_of(marked_total - marker), inside


@loop
def float_steps_array(x, length, block, prefixes, words, probe, out, redo):
    """Sums as in `accumulate_array`, by the FPU, on float bits; do nothing and return False if the FPU is unfit.

    `words`: the number of bits to cut off; 1, or 0 if none are; the largest magnitude before rounding that does not
    overflow; and for `steps_in_binade` the mask of the exponent, the bits of the first binade and of the end of the
    range that it supports, the bits of 1.5 2^(P - p), and the position of the sign.  `redo`: the rows that overflow or
    are not finite, whose results are invalid.
    """
    if not float_environment_is_standard(probe):
        return False
    shift, odd, limit = words[0], words[1], words[2]
    least, beyond = words[4], words[5]
    one = like(shift, 1)
    rows = redo.size
    for r in range(rows):
        row = x[r * length : (r + 1) * length]
        largest = like(shift, 0)
        row_total = like(shift, 0)
        for start in range(0, length, block):
            total = row[start]
            magnitude = shifted_right(shifted_left(total, one), one)
            largest = magnitude if magnitude > largest else largest
            if prefixes:
                out[r * length + start] = total
            k, stop = start + 1, min(start + block, length)
            patience = STRETCH
            while k < stop:
                if k + STRETCH <= stop and least <= like(total, total & words[3]) < beyond:
                    row_out = out[r * length : (r + 1) * length] if prefixes else out
                    stepped, inside = steps_in_binade(total, row, k, k + STRETCH, words, prefixes, row_out)
                    if inside:
                        total, k, patience = stepped, k + STRETCH, STRETCH
                        continue
                    patience = min(2 * patience, MOST_PATIENCE)
                for i in range(k, min(k + patience, stop)):
                    total, magnitude = float_step(total, row[i], shift, odd)
                    largest = magnitude if magnitude > largest else largest
                    if prefixes:
                        out[r * length + i] = total
                k = min(k + patience, stop)
            if start:
                row_total, magnitude = float_step(row_total, total, shift, odd)
                largest = magnitude if magnitude > largest else largest
            else:
                row_total = total
        if not prefixes:
            out[r] = row_total
        redo[r] = largest > limit
    return True
