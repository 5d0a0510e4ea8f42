"""Fast loops: float32 (float64) straight to a narrow format's values or codes, many elements at once.

Everything here is branch-free on integers of the float's width, so that LLVM turns it into vector instructions.  The
numbers that make it one format and one profile rather than another come as a `Grid`, worked out by `fpemu.grids`;
what these loops give is what `fpemu.kernels.convert` gives.

Drawn for float32 to a format with a 4-bit significand (m = 3), in a normal binade:

    s eeee eeee fff ffff ffff ffff ffff ffff     s: sign, e: exponent field, f: fraction (M = 23 bits)
                --- kept
                    ^^^^^^^^^^^^^^^^^^^^^^^^ mask, the cut: shift = M - m bits; unit is its carry
"""

from collections import namedtuple

from numpy import uint32, uint64

from fpemu.kernels.bits import bits_of, float_of, like, shifted_left, shifted_right
from fpemu.kernels.jit import core, loop
from fpemu.kernels.stream import subkey, word

# All of one unsigned type.  `..._flip`: what a negative source flips in the word before it.  Outcomes are the bits
# of values in loops that give values, codes in those that give codes.
FIELDS = (
    "sign",  # the source: its sign bit, infinity, fraction mask, implicit bit, number of fraction bits
    "infinity",
    "fraction",
    "hidden",
    "fraction_bits",
    "keep_sign",  # all bits; 0 where a negative source counts as positive
    "shift",  # bits cut off in normal binades
    "emin",  # bits of 2^emin
    "field_low",  # exponent fields below this (in place) round as this one does: nothing of them is kept
    "cut_from",  # bits cut off at exponent field 0
    "lift",  # exponent field that makes of 2^e the float whose ulp is the quantum at 2^e
    "top",  # bits of 2^(emax + 1): larger magnitudes are clamped to it
    "quantum",  # bits of the smallest quantum
    "offset",  # what the code of a normal value is less than the source's shifted bits
    "limit",  # bits or code after the largest finite value's
    "limit_flip",
    "overflow",
    "overflow_flip",
    "infinite",
    "infinite_flip",
    "nan",
    "nan_flip",
    "zero",
    "zero_flip",
    "negative_flip",  # what a negative sign flips in a finite result
    "complement",  # all bits: negative codes are two's complement
    "code_mask",
    "zero_less",  # all bits where zero is no value of the format
    "gap",  # formats without subnormals: magnitudes below give `gap_low` or, above `gap_cut`, `gap_high`
    "gap_cut",
    "gap_cut_flip",
    "gap_low",
    "gap_high",
    "up",  # directed modes: all bits where magnitudes go up
    "up_flip",
    "odd",  # to odd: all bits
    "tie",  # modes to nearest: 1 where ties go up
    "tie_flip",
    "even",  # nearest even: 1
    "drawn",  # stochastic: the random bits in use, at the top of 32
    "calm",  # sources below these bits, under the mask, neither overflow nor are special
    "calm_mask",  # all bits but the sign; in unsigned formats all bits: no negative source is calm
)
Grid = namedtuple("Grid", FIELDS)

# How a magnitude is rounded: what a loop is specialised for.
EVEN = 0
NEAREST = 1  # any tie rule
DIRECTED = 2  # and to odd
STOCHASTIC = 3


@core
def grid_of(words):
    """The Grid whose fields are these words, in order."""
    return Grid(
        words[0], words[1], words[2], words[3], words[4], words[5], words[6], words[7], words[8], words[9],
        words[10], words[11], words[12], words[13], words[14], words[15], words[16], words[17], words[18], words[19],
        words[20], words[21], words[22], words[23], words[24], words[25], words[26], words[27], words[28], words[29],
        words[30], words[31], words[32], words[33], words[34], words[35], words[36], words[37], words[38], words[39],
        words[40], words[41],
    )  # fmt: skip


@core
def sign_lanes(x, grid):
    """All bits for a negative source whose sign counts, else none."""
    negative = like(x, x & grid.sign) != like(x, 0)
    return like(x, (like(x, ~like(x, 0)) if negative else like(x, 0)) & grid.keep_sign)


@core
def chosen(value, flip, lanes):
    """`value`, with `flip` flipped in the lanes of negative sources."""
    return like(value, value ^ like(value, flip & lanes))


@core
def finish(result, magnitude, lanes, codes, gap, calm, grid):
    """Signs, overflow, zeros, infinities and NaN around a rounded magnitude; in calm blocks signs and zeros alone."""
    outcome = result
    if codes:
        turned = like(result, lanes & grid.complement)
        outcome = like(result, like(result, result ^ turned) - turned)
    flip = grid.negative_flip
    if not calm:
        over = result >= chosen(grid.limit, grid.limit_flip, lanes)
        outcome = grid.overflow if over else outcome
        flip = grid.overflow_flip if over else flip
    zero = result
    if gap:
        zero = chosen(result, like(result, result ^ magnitude), grid.zero_less)
    outcome = grid.zero if zero == like(zero, 0) else outcome
    flip = grid.zero_flip if zero == like(zero, 0) else flip
    if not calm:
        outcome = grid.infinite if magnitude >= grid.infinity else outcome
        flip = grid.infinite_flip if magnitude >= grid.infinity else flip
        outcome = grid.nan if magnitude > grid.infinity else outcome
        flip = grid.nan_flip if magnitude > grid.infinity else flip
    outcome = chosen(outcome, flip, lanes)
    return like(result, outcome & grid.code_mask) if codes else outcome


@core
def is_calm(x, grid):
    """Whether no element of a block overflows, is infinite or NaN, or is negative where the format is unsigned."""
    largest = like(grid.calm, 0)
    for i in range(x.size):
        magnitude = like(grid.calm, x[i] & grid.calm_mask)
        largest = magnitude if magnitude > largest else largest
    return largest < grid.calm


@core
def float_environment_is_standard(probe):
    """Whether the FPU rounds to nearest even and keeps subnormals.

    Other libraries can leave other modes set (a shared object built with -ffast-math flushes subnormals to zero).
    `probe` holds 1, 2^-24, 1 + 2^-23, 1 + 2^-22, the smallest normal, 0.5 and 2, so that nothing is computed ahead.
    """
    one, tiny, odd, even, normal, half, two = probe[0], probe[1], probe[2], probe[3], probe[4], probe[5], probe[6]
    nearest = one + tiny == one and -one - tiny == -one and odd + tiny == even
    return nearest and (normal * half) * two == normal


@core
def by_addition(x, codes, how, calm, grid):
    """Nearest even or directed rounding by the FPU: |x| + C, where C's ulp is the quantum at |x|.

    C = 2^(max(e, emin) + M - m) has an even last bit and the sum stays below 2C, so that the sum's last bits are the
    significand rounded to nearest even, an integer.  Where taking C away again gives more than |x| it is one too
    large for the floor; of the floor and what is left over, every directed mode follows.  Needs subnormals, precision
    2 or more, and for every clamped |x| a normal, finite C.
    """
    one, none = like(x, 1), like(x, 0)
    magnitude = like(x, x & like(x, ~grid.sign))
    lanes = sign_lanes(x, grid)
    clamped = magnitude
    if not calm:
        clamped = magnitude if magnitude < grid.top else grid.top
    binade = like(x, clamped & grid.infinity)
    binade = binade if binade > grid.emin else grid.emin
    adder = like(x, binade + grid.lift)
    total = bits_of(float_of(clamped) + float_of(adder))
    if how == DIRECTED:
        back = float_of(total) - float_of(adder)
        inexact = one if back != float_of(clamped) else none
        floor = like(x, total - (one if back > float_of(clamped) else none))
        up = like(x, inexact & chosen(grid.up, grid.up_flip, lanes))
        total = like(x, like(x, floor + up) | like(x, inexact & grid.odd))
    if codes:
        below = shifted_right(like(x, binade - grid.emin), grid.shift)
        result = like(x, like(x, total - adder) + below)
    else:
        result = bits_of(float_of(total) - float_of(adder))
    return finish(result, magnitude, lanes, codes, False, calm, grid)


@core
def increment(mask, odd, lanes, how, grid):
    """What to add to a magnitude before its cut bits are dropped, so that it carries where it rounds up."""
    one = like(mask, 1)
    if how == EVEN:
        return like(mask, shifted_right(mask, one) + odd)
    if how == NEAREST:
        tie = like(mask, chosen(grid.tie, grid.tie_flip, lanes) | like(mask, odd & grid.even))
        return like(mask, shifted_right(mask, one) + tie)
    up = like(mask, chosen(grid.up, grid.up_flip, lanes) | like(mask, grid.odd & like(mask, odd - one)))
    return like(mask, mask & up)


@core
def by_uniform_shift(x, random, codes, how, gap, calm, grid):
    """Any rounding where every normal binade is cut at the same bit of the source; pure integers.

    For formats with the source's own exponent range, with precision 1, or without subnormals: the gap below the
    smallest normal is a choice of two.  The last bit kept, corrected by the offset, is the code's parity.
    """
    one = like(x, 1)
    magnitude = like(x, x & like(x, ~grid.sign))
    lanes = sign_lanes(x, grid)
    mask = like(x, shifted_left(one, grid.shift) - one)
    if how == STOCHASTIC:
        add = shifted_right(like(x, random & grid.drawn), like(x, like(x, 32) - grid.shift))
    else:
        odd = like(x, like(x, shifted_right(magnitude, grid.shift) ^ grid.offset) & one)
        add = increment(mask, odd, lanes, how, grid)
    rounded = like(x, magnitude + add)
    result = like(x, shifted_right(rounded, grid.shift) - grid.offset) if codes else like(x, rounded & like(x, ~mask))
    if gap:
        choice = grid.gap_high if magnitude > chosen(grid.gap_cut, grid.gap_cut_flip, lanes) else grid.gap_low
        result = choice if magnitude < grid.gap else result
    return finish(result, magnitude, lanes, codes, gap, calm, grid)


@core
def stochastic_increment(significand, deep, mask, random, grid):
    """What to add to a significand so that it carries where floor(nu 2^N) + R >= 2^N (variant A; 32-bit lanes).

    The cut-off part, `deep` bits, is scaled to 32 bits: up to M + 1 = 24 bits move up; deeper ones move down again.
    """
    none, bits, most, all_ = uint32(0), uint32(32), uint32(31), uint32(24)
    drawn = uint32(random & grid.drawn)
    near = deep if deep < all_ else all_
    right = uint32((deep if deep > all_ else all_) - all_)
    right = right if right < most else most
    rest = uint32(significand & mask)
    steps = uint32(shifted_right(shifted_left(rest, uint32(bits - near)), right) & grid.drawn)
    # The carry out of steps + drawn, bit by bit: a comparison becomes an instruction that LLVM does not vectorise.
    total = uint32(steps + drawn)
    carry = uint32(uint32(steps & drawn) | uint32(uint32(steps | drawn) & uint32(~total))) >> most
    return uint32(mask & uint32(none - uint32(carry)))


@core
def by_shift(x, random, codes, how, calm, grid):
    """Any rounding into a format with subnormals: the cut grows below emin; pure integers.

    Where the cut reaches beyond the implicit bit nothing is kept, and a carry gives the smallest quantum.
    """
    one = like(x, 1)
    none = like(x, 0)
    magnitude = like(x, x & like(x, ~grid.sign))
    lanes = sign_lanes(x, grid)
    binade = like(x, magnitude & grid.infinity)
    field = binade if binade < grid.emin else grid.emin
    clamped = field if field > grid.field_low else grid.field_low
    cut = like(x, grid.cut_from - shifted_right(clamped, grid.fraction_bits))
    unit = shifted_left(one, cut)
    mask = like(x, unit - one)
    significand = like(x, like(x, magnitude & grid.fraction) | grid.hidden)
    significand = significand if magnitude != none else none
    if how == STOCHASTIC:
        deep = like(x, grid.cut_from - shifted_right(field, grid.fraction_bits))
        add = stochastic_increment(significand, deep, mask, random, grid)
    else:
        odd = like(x, shifted_right(significand, cut) & one)
        add = increment(mask, odd, lanes, how, grid)
    total = like(x, significand + add)
    if codes:
        above = binade if binade > grid.emin else grid.emin
        result = like(x, shifted_right(total, cut) + shifted_right(like(x, above - grid.emin), grid.shift))
    else:
        result = like(x, like(x, magnitude + add) & like(x, ~mask))
        bottom = grid.quantum if total > mask else none
        result = bottom if unit > grid.hidden else result
    return finish(result, magnitude, lanes, codes, False, calm, grid)


BLOCK = 2048  # elements that are looked over before they are rounded: they stay in the first cache


@core
def add_block(x, codes, how, calm, grid, out):
    """One block by addition."""
    for i in range(x.size):
        out[i] = by_addition(x[i], codes, how, calm, grid)


@core
def shift_block(x, codes, how, calm, grid, out):
    """One block by shifts."""
    for i in range(x.size):
        out[i] = by_shift(x[i], x[i], codes, how, calm, grid)


@core
def uniform_block(x, codes, how, gap, calm, grid, out):
    """One block by one shift."""
    for i in range(x.size):
        out[i] = by_uniform_shift(x[i], x[i], codes, how, gap, calm, grid)


@core
def stochastic_block(x, codes, uniform, calm, keys, low, grid, out):
    """One block of stochastic rounding; `low`: the lower word of element 0's place in the stream."""
    for i in range(x.size):
        random = word(uint32(low + uint32(i)), keys[0], keys[1])
        if uniform:
            out[i] = by_uniform_shift(x[i], random, codes, STOCHASTIC, False, calm, grid)
        else:
            out[i] = by_shift(x[i], random, codes, STOCHASTIC, calm, grid)


@loop
def addition_values(x, words, how, probe, out):
    """Nearest even or directed rounding to values, by addition; False, and nothing done, where the FPU is unfit."""
    if not float_environment_is_standard(probe):
        return False
    grid = grid_of(words)
    for start in range(0, x.size, BLOCK):
        block, to = x[start : start + BLOCK], out[start : start + BLOCK]
        calm = is_calm(block, grid)
        if how == EVEN and calm:
            add_block(block, False, EVEN, True, grid, to)
        elif how == EVEN:
            add_block(block, False, EVEN, False, grid, to)
        elif calm:
            add_block(block, False, DIRECTED, True, grid, to)
        else:
            add_block(block, False, DIRECTED, False, grid, to)
    return True


@loop
def shift_values(x, words, how, out):
    """Any deterministic rounding to values, by shifts."""
    grid = grid_of(words)
    for start in range(0, x.size, BLOCK):
        block, to = x[start : start + BLOCK], out[start : start + BLOCK]
        calm = is_calm(block, grid)
        if how == DIRECTED:
            shift_block(block, False, DIRECTED, False, grid, to)
        elif calm:
            shift_block(block, False, NEAREST, True, grid, to)
        else:
            shift_block(block, False, NEAREST, False, grid, to)


@loop
def uniform_values(x, words, how, out):
    """Any deterministic rounding to values, by one shift; EVEN is for formats without a gap."""
    grid = grid_of(words)
    for start in range(0, x.size, BLOCK):
        block, to = x[start : start + BLOCK], out[start : start + BLOCK]
        calm = is_calm(block, grid)
        if how == EVEN and calm:
            uniform_block(block, False, EVEN, False, True, grid, to)
        elif how == EVEN:
            uniform_block(block, False, EVEN, False, False, grid, to)
        elif how == DIRECTED and calm:
            uniform_block(block, False, DIRECTED, True, True, grid, to)
        elif how == DIRECTED:
            uniform_block(block, False, DIRECTED, True, False, grid, to)
        elif calm:
            uniform_block(block, False, NEAREST, True, True, grid, to)
        else:
            uniform_block(block, False, NEAREST, True, False, grid, to)


@loop
def stochastic_values(x, words, uniform, key, first, out):
    """Stochastic rounding (variant A) to values, from the stream of `key`; float32 only.

    The elements' indices have one upper word: `first` + x.size does not pass a multiple of 2^32.
    """
    grid = grid_of(words)
    keys = subkey(key, first >> uint64(32))
    low = uint32(first)
    for start in range(0, x.size, BLOCK):
        block, to = x[start : start + BLOCK], out[start : start + BLOCK]
        calm = is_calm(block, grid)
        if uniform:
            stochastic_block(block, False, True, False, keys, uint32(low + uint32(start)), grid, to)
        elif calm:
            stochastic_block(block, False, False, True, keys, uint32(low + uint32(start)), grid, to)
        else:
            stochastic_block(block, False, False, False, keys, uint32(low + uint32(start)), grid, to)


@loop
def addition_codes(x, words, how, probe, out):
    """Nearest even or directed rounding to codes, by addition; False, and nothing done, where the FPU is unfit."""
    if not float_environment_is_standard(probe):
        return False
    grid = grid_of(words)
    for start in range(0, x.size, BLOCK):
        block, to = x[start : start + BLOCK], out[start : start + BLOCK]
        calm = is_calm(block, grid)
        if how == EVEN and calm:
            add_block(block, True, EVEN, True, grid, to)
        elif how == EVEN:
            add_block(block, True, EVEN, False, grid, to)
        elif calm:
            add_block(block, True, DIRECTED, True, grid, to)
        else:
            add_block(block, True, DIRECTED, False, grid, to)
    return True


@loop
def shift_codes(x, words, how, out):
    """Any deterministic rounding to codes, by shifts."""
    grid = grid_of(words)
    for start in range(0, x.size, BLOCK):
        block, to = x[start : start + BLOCK], out[start : start + BLOCK]
        calm = is_calm(block, grid)
        if how == DIRECTED:
            shift_block(block, True, DIRECTED, False, grid, to)
        elif calm:
            shift_block(block, True, NEAREST, True, grid, to)
        else:
            shift_block(block, True, NEAREST, False, grid, to)


@loop
def uniform_codes(x, words, how, out):
    """Any deterministic rounding to codes, by one shift; EVEN is for formats without a gap."""
    grid = grid_of(words)
    for start in range(0, x.size, BLOCK):
        block, to = x[start : start + BLOCK], out[start : start + BLOCK]
        calm = is_calm(block, grid)
        if how == EVEN and calm:
            uniform_block(block, True, EVEN, False, True, grid, to)
        elif how == EVEN:
            uniform_block(block, True, EVEN, False, False, grid, to)
        elif how == DIRECTED and calm:
            uniform_block(block, True, DIRECTED, True, True, grid, to)
        elif how == DIRECTED:
            uniform_block(block, True, DIRECTED, True, False, grid, to)
        elif calm:
            uniform_block(block, True, NEAREST, True, True, grid, to)
        else:
            uniform_block(block, True, NEAREST, True, False, grid, to)


@loop
def stochastic_codes(x, words, uniform, key, first, out):
    """Stochastic rounding (variant A) to codes, from the stream of `key`; float32 only.

    The elements' indices have one upper word: `first` + x.size does not pass a multiple of 2^32.
    """
    grid = grid_of(words)
    keys = subkey(key, first >> uint64(32))
    low = uint32(first)
    for start in range(0, x.size, BLOCK):
        block, to = x[start : start + BLOCK], out[start : start + BLOCK]
        calm = is_calm(block, grid)
        if uniform:
            stochastic_block(block, True, True, False, keys, uint32(low + uint32(start)), grid, to)
        elif calm:
            stochastic_block(block, True, False, True, keys, uint32(low + uint32(start)), grid, to)
        else:
            stochastic_block(block, True, False, False, keys, uint32(low + uint32(start)), grid, to)
