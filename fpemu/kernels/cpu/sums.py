"""Sums and dot products of rows of codes: exact and rounded once, or rounded at every step.

A row's numbers lie one after the other.  A sum is a dot product with ones.
"""

import functools

import numpy as np
from numpy import int64, uint64

from fpemu.kernels.cpu.float_environment import float_environment_is_standard
from fpemu.kernels.jit import core, loop
from fpemu.kernels.scalar import accumulator, arithmetic
from fpemu.kernels.scalar.accumulator import SEEN_INVALID, carry, deposit, seen_of, term
from fpemu.kernels.scalar.bits import bits_of, float_of, like, shifted_left, shifted_right
from fpemu.kernels.scalar.convert import INFINITE, NOT_A_NUMBER, encode_zero
from fpemu.kernels.scalar.multiword import multiply_words
from fpemu.kernels.scalar.random_bits import drawn_word
from fpemu.kernels.spec import QUANTUM

U0 = uint64(0)
STRETCH = 64  # steps that are tried inside a binade
MOST_PATIENCE = 4096  # steps that are taken otherwise, at most, before that is tried again
PENDING = 64  # sums that wait for their neighbour: one for each power of two

# Compiled by themselves, once: put into each loop, as cores are, they would be compiled again for each type of codes.
add, fma, multiply = (loop(core_.py_func) for core_ in (arithmetic.add, arithmetic.fma, arithmetic.multiply))
round_total = loop(accumulator.round_total.py_func)


@core
def product(x_code, y_code, x_spec, y_spec, rules):
    """The exact product of two operands: (what it is, negative, high, low, exponent above both quanta)."""
    x_kind, x_negative, x, x_exponent, x_signals = term(x_code, x_spec, rules)
    y_kind, y_negative, y, y_exponent, y_signals = term(y_code, y_spec, rules)
    negative = x_negative != y_negative
    place = x_exponent - x_spec[QUANTUM] + y_exponent - y_spec[QUANTUM]
    if x_kind == NOT_A_NUMBER or y_kind == NOT_A_NUMBER:
        return seen_of(NOT_A_NUMBER, negative, x_signals or y_signals), negative, U0, U0, place
    if x_kind == INFINITE or y_kind == INFINITE:
        if (x_kind != INFINITE and x == U0) or (y_kind != INFINITE and y == U0):
            return SEEN_INVALID, negative, U0, U0, place
        return seen_of(INFINITE, negative, False), negative, U0, U0, place
    high, low = multiply_words(x, y)
    return seen_of(x_kind, negative, False), negative, high, low, place


@functools.cache
def exact_loop(products):
    """Exact sums of rows, or with `products` dot products of two, each rounded once."""

    @loop
    def exact_array(
        x, y, length, x_spec, y_spec, size, often, every, mean,
        target, rules, knobs, randoms, key, first, inner, row, out, flags,
    ):  # fmt: skip
        """Rows of `length` into one result each, or with `every` into one for each prefix.

        `size`: the accumulator's digits; `often`: terms after which carries are passed on, 2^30 at most; `inner`: the
        stride of a row's results, whose places count for random numbers; `row`: the first row's number; `randoms`: an
        integer for each place, or empty for the stream of `key`, whose element `first` is place 0.
        """
        digits = np.zeros(size, np.int64)
        bottom = x_spec[QUANTUM] + (y_spec[QUANTUM] if products else 0)
        results = length if every else 1
        stretch = 1 if every else length
        rows = out.size // results if results else 0
        for r in range(rows):
            digits[:] = 0
            seen = 0
            since = 0
            place = ((row + r) // inner) * results * inner + (row + r) % inner
            for k in range(results):
                for i in range(r * length + k * stretch, r * length + (k + 1) * stretch):
                    if products:
                        what, negative, high, low, at = product(x[i], y[i], x_spec, y_spec, rules)
                        seen |= what
                        if high != U0 or low != U0:
                            deposit(digits, high, low, at, negative)
                    else:
                        kind, negative, significand, exponent, signals = term(x[i], x_spec, rules)
                        seen |= seen_of(kind, negative, signals)
                        if significand != U0:
                            deposit(digits, U0, significand, exponent - bottom, negative)
                    since += 1
                    if since == often:
                        carry(digits)
                        since = 0
                random = U0
                random = uint64(randoms[place]) if randoms.size else drawn_word(key, first + uint64(place), rules)
                code, raised = round_total(digits, bottom, seen, (k + 1) * stretch, mean, target, rules, knobs, random)
                out[r * results + k] = code
                if flags.size:
                    flags[r * results + k] = raised
                place += inner

    return exact_array


@loop
def accumulate_array(
    x, y, y_step, length, x_spec, y_spec, one, one_spec, block, pairwise, rounded_products, every,
    spec, rules, knobs, key, row, out, flags,
):  # fmt: skip
    """Rows of `length` summed in the format of `spec`, each step rounded to it; the codes and all that was raised.

    `y`: factors, or with `y_step` 0 the same one for all; `one`: the code of 1 in the format of `one_spec`.  Runs of
    `block` numbers are added up one after the other, then the runs' sums are; with `pairwise` (where `block` is 1) in
    pairs of neighbours, then those in pairs.  The stream has two integers for each number of each row: for a number (or
    a product) that is rounded by itself, and for the addition whose right operand begins with it.
    """
    waiting = np.zeros(PENDING, np.uint64)
    runs = (length + block - 1) // block
    rows = out.size // (length if every else 1) if length else out.size
    for r in range(rows):
        raised = 0
        total = encode_zero(False, rules)
        words = uint64(row + r) * uint64(2 * length)
        for run in range(runs + 1):
            joins = int64(0)  # a bit for each level whose waiting sum comes before this one
            if run < runs:
                start = run * block
                for k in range(start, min(start + block, length)):
                    i = r * length + k
                    at = words + uint64(2 * k)
                    a, b, a_spec, b_spec = uint64(x[i]), uint64(y[i * y_step]), x_spec, y_spec
                    if k == start or rounded_products:
                        a, happened = multiply(a, b, x_spec, y_spec, spec, rules, knobs, drawn_word(key, at, rules))
                        raised |= happened
                        b, a_spec, b_spec = one, spec, one_spec
                    if k == start:
                        total = a
                    else:
                        random = drawn_word(key, at + uint64(1), rules)
                        total, happened = fma(a, b, total, a_spec, b_spec, spec, spec, rules, knobs, random)
                        raised |= happened
                    if every:
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
                    at = words + uint64(2 * ((run >> level) << level) * block + 1)
                    random = drawn_word(key, at, rules)
                    total, happened = add(waiting[level], total, False, spec, spec, spec, rules, knobs, random)
                    raised |= happened
                level += 1
            waiting[level if pairwise and run < runs else 0] = total
        if not every:
            out[r] = total
            if flags.size:
                flags[r] = raised


@core
def float_step(total, x, shift, odd):
    """Total + x by the FPU, rounded to fewer digits, to nearest even: (the rounded sum, the magnitude before).

    Bits of float32 or float64; `shift`: how many are cut off; `odd`: 1, or 0 where none are.  Both operands have no
    more digits than are kept, p, and the sum is rounded twice, first to the P digits of the float: that is as good as
    once if P >= 2p + 2 (S. Figueroa, "When is double rounding innocuous?", SIGNUM Newsletter 30, 1995; in Coq: P. Roux,
    "Innocuous double rounding of basic arithmetic operations", J. Formalized Reasoning 7, 2014).  A sum that is
    subnormal in the narrow format is a multiple of its quantum, exact, and the cut leaves it as it is.
    """
    exact = bits_of(float_of(total) + float_of(x))
    mask = like(exact, shifted_left(like(exact, 1), shift) - like(exact, 1))
    half = like(exact, shifted_right(mask, like(exact, 1)) + like(exact, shifted_right(exact, shift) & odd))
    magnitude = like(exact, shifted_right(shifted_left(exact, like(exact, 1)), like(exact, 1)))
    return like(exact, like(exact, exact + half) & like(exact, ~mask)), magnitude


@core
def steps_in_binade(total, row, first, last, words, every, out):
    """The bits of total + row[first] + ... + row[last - 1], each step rounded, and whether that is so.

    It is so if all sums lie inside total's binade, between 2^e and 2^(e + 1), where the narrow format's p-digit numbers
    are the multiples of 2^(e - p + 1).  They are what the float has of P digits beside M = 1.5 2^(e + P - p), an even
    multiple: M + total is exact, and adding to that rounds to them, once, and ties to even.  So a step is one addition.
    `out`: the places of the sums after each number, written with `every`.
    """
    negative = shifted_right(total, words[7]) != like(total, 0)
    power = float_of(like(total, total & words[3]))
    marked = power * float_of(words[6])
    low, high = (-power - power, -power) if negative else (power, power + power)
    marked, low, high = (-marked, low - marked, high - marked) if negative else (marked, low + marked, high + marked)
    moved = marked + float_of(total)
    inside = True
    for k in range(first, last):
        moved += float_of(row[k])
        inside &= (moved > low) & (moved < high)
        if every:
            out[k] = bits_of(moved - marked)
    return bits_of(moved - marked), inside


@loop
def float_steps_array(x, length, block, every, words, probe, out, again):
    """As `accumulate_array`, of sums, in the FPU, on float bits.  False, and nothing done, where it is unfit.

    `words`: the bits to cut off, 1 unless that is 0, the largest magnitude that is not an overflow before it is
    rounded; and for `steps_in_binade` the mask of the exponent, the bits of the least binade that it takes and of the
    first beyond, of 1.5 2^(P - p), and the place of the sign.  `again`: the rows that overflow, or where something is
    not finite, for which the result does not count.
    """
    if not float_environment_is_standard(probe):
        return False
    shift, odd, limit = words[0], words[1], words[2]
    least, beyond = words[4], words[5]
    one = like(shift, 1)
    rows = again.size
    for r in range(rows):
        row = x[r * length : (r + 1) * length]
        largest = like(shift, 0)
        whole = like(shift, 0)
        for start in range(0, length, block):
            total = row[start]
            magnitude = shifted_right(shifted_left(total, one), one)
            largest = magnitude if magnitude > largest else largest
            if every:
                out[r * length + start] = total
            k, stop = start + 1, min(start + block, length)
            patience = STRETCH
            while k < stop:
                if k + STRETCH <= stop and least <= like(total, total & words[3]) < beyond:
                    here = out[r * length : (r + 1) * length] if every else out
                    found, inside = steps_in_binade(total, row, k, k + STRETCH, words, every, here)
                    if inside:
                        total, k, patience = found, k + STRETCH, STRETCH
                        continue
                    patience = min(2 * patience, MOST_PATIENCE)
                for i in range(k, min(k + patience, stop)):
                    total, magnitude = float_step(total, row[i], shift, odd)
                    largest = magnitude if magnitude > largest else largest
                    if every:
                        out[r * length + i] = total
                k = min(k + patience, stop)
            if start:
                whole, magnitude = float_step(whole, total, shift, odd)
                largest = magnitude if magnitude > largest else largest
            else:
                whole = total
        if not every:
            out[r] = whole
        again[r] = largest > limit
    return True
