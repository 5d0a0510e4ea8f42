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

from fpemu.kernels.bits import bits_of, float_of, like
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
def finish(result, magnitude, lanes, codes, gap, grid):
    """Signs, overflow, zeros, infinities and NaN around a rounded magnitude."""
    outcome = result
    if codes:
        turned = like(result, lanes & grid.complement)
        outcome = like(result, like(result, result ^ turned) - turned)
    flip = grid.negative_flip
    over = result >= chosen(grid.limit, grid.limit_flip, lanes)
    outcome = grid.overflow if over else outcome
    flip = grid.overflow_flip if over else flip
    zero = result
    if gap:
        zero = chosen(result, like(result, result ^ magnitude), grid.zero_less)
    outcome = grid.zero if zero == like(zero, 0) else outcome
    flip = grid.zero_flip if zero == like(zero, 0) else flip
    outcome = grid.infinite if magnitude >= grid.infinity else outcome
    flip = grid.infinite_flip if magnitude >= grid.infinity else flip
    outcome = grid.nan if magnitude > grid.infinity else outcome
    flip = grid.nan_flip if magnitude > grid.infinity else flip
    outcome = chosen(outcome, flip, lanes)
    return like(result, outcome & grid.code_mask) if codes else outcome


@core
def nearest_even_by_addition(x, codes, grid):
    """Nearest even by the FPU: (|x| + C) - C, where C's ulp is the quantum at |x|.

    C = 2^(max(e, emin) + M - m) has an even last bit, the sum stays below 2C, and of the two steps only the first
    rounds.  The sum's last bits are the rounded significand as an integer.  Needs subnormals, precision 2 or more,
    and for every clamped |x| a normal, finite C.
    """
    magnitude = like(x, x & like(x, ~grid.sign))
    lanes = sign_lanes(x, grid)
    clamped = magnitude if magnitude < grid.top else grid.top
    binade = like(x, clamped & grid.infinity)
    binade = binade if binade > grid.emin else grid.emin
    adder = like(x, binade + grid.lift)
    total = float_of(clamped) + float_of(adder)
    if codes:
        below = like(x, like(x, binade - grid.emin) >> grid.shift)
        result = like(x, like(x, bits_of(total) - adder) + below)
    else:
        result = bits_of(total - float_of(adder))
    return finish(result, magnitude, lanes, codes, False, grid)


@core
def increment(mask, odd, lanes, how, grid):
    """What to add to a magnitude before its cut bits are dropped, so that it carries where it rounds up."""
    one = like(mask, 1)
    if how == EVEN:
        return like(mask, like(mask, mask >> one) + odd)
    if how == NEAREST:
        tie = like(mask, chosen(grid.tie, grid.tie_flip, lanes) | like(mask, odd & grid.even))
        return like(mask, like(mask, mask >> one) + tie)
    up = chosen(grid.up, grid.up_flip, lanes)
    stay = like(mask, grid.odd & like(mask, like(mask, 0) - odd))
    return like(mask, mask & like(mask, up & like(mask, ~stay)))


@core
def by_uniform_shift(x, random, codes, how, gap, grid):
    """Any rounding where every normal binade is cut at the same bit of the source; pure integers.

    For formats with the source's own exponent range, with precision 1, or without subnormals: the gap below the
    smallest normal is a choice of two.  The last bit kept, corrected by the offset, is the code's parity.
    """
    one = like(x, 1)
    magnitude = like(x, x & like(x, ~grid.sign))
    lanes = sign_lanes(x, grid)
    mask = like(x, like(x, one << grid.shift) - one)
    if how == STOCHASTIC:
        add = like(x, like(x, random & grid.drawn) >> like(x, like(x, 32) - grid.shift))
    else:
        odd = like(x, like(x, like(x, magnitude >> grid.shift) ^ grid.offset) & one)
        add = increment(mask, odd, lanes, how, grid)
    rounded = like(x, magnitude + add)
    if codes:
        result = like(x, like(x, rounded >> grid.shift) - grid.offset)
    else:
        result = like(x, rounded & like(x, ~mask))
    if gap:
        choice = grid.gap_high if magnitude > chosen(grid.gap_cut, grid.gap_cut_flip, lanes) else grid.gap_low
        result = choice if magnitude < grid.gap else result
    return finish(result, magnitude, lanes, codes, gap, grid)


@core
def stochastic_increment(significand, cut, deep, mask, random, grid):
    """What to add to a significand so that it carries where floor(nu 2^N) + R >= 2^N (variant A; 32-bit lanes).

    Down to cut = 24 bits the random integer is scaled to the cut; deeper, nothing is kept, and the significand is
    scaled to 2^32.
    """
    none, bits, most = uint32(0), uint32(32), uint32(31)
    drawn = uint32(random & grid.drawn)
    left = uint32(bits - deep) if deep < bits else none
    right = uint32(deep - bits) if deep > bits else none
    steps = uint32(uint32(significand << left) >> (right if right < most else most))
    carries = uint32(uint32(steps & grid.drawn) + drawn) < uint32(steps & grid.drawn)
    return (mask if carries else none) if cut > uint32(24) else uint32(drawn >> uint32(bits - cut))


@core
def by_shift(x, random, codes, how, grid):
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
    cut = like(x, grid.cut_from - like(x, clamped >> grid.fraction_bits))
    unit = like(x, one << cut)
    mask = like(x, unit - one)
    significand = like(x, like(x, magnitude & grid.fraction) | grid.hidden)
    significand = significand if magnitude != none else none
    if how == STOCHASTIC:
        deep = like(x, grid.cut_from - like(x, field >> grid.fraction_bits))
        add = stochastic_increment(significand, cut, deep, mask, random, grid)
    else:
        odd = like(x, like(x, significand >> cut) & one)
        add = increment(mask, odd, lanes, how, grid)
    total = like(x, significand + add)
    if codes:
        above = binade if binade > grid.emin else grid.emin
        result = like(x, like(x, total >> cut) + like(x, like(x, above - grid.emin) >> grid.shift))
    else:
        result = like(x, like(x, magnitude + add) & like(x, ~mask))
        bottom = grid.quantum if total > mask else none
        result = bottom if unit > grid.hidden else result
    return finish(result, magnitude, lanes, codes, False, grid)


@loop
def addition_values(x, words, out):
    """Nearest even to values, by addition."""
    grid = grid_of(words)
    for i in range(x.size):
        out[i] = nearest_even_by_addition(x[i], False, grid)


@loop
def addition_codes(x, words, out):
    """Nearest even to codes, by addition."""
    grid = grid_of(words)
    for i in range(x.size):
        out[i] = nearest_even_by_addition(x[i], True, grid)


@loop
def shift_values(x, words, how, out):
    """Any deterministic rounding to values, by shifts."""
    grid = grid_of(words)
    if how == DIRECTED:
        for i in range(x.size):
            out[i] = by_shift(x[i], x[i], False, DIRECTED, grid)
    else:
        for i in range(x.size):
            out[i] = by_shift(x[i], x[i], False, NEAREST, grid)


@loop
def shift_codes(x, words, how, out):
    """Any deterministic rounding to codes, by shifts."""
    grid = grid_of(words)
    if how == DIRECTED:
        for i in range(x.size):
            out[i] = by_shift(x[i], x[i], True, DIRECTED, grid)
    else:
        for i in range(x.size):
            out[i] = by_shift(x[i], x[i], True, NEAREST, grid)


@loop
def uniform_values(x, words, how, out):
    """Any deterministic rounding to values, by one shift; EVEN is for formats without a gap."""
    grid = grid_of(words)
    if how == EVEN:
        for i in range(x.size):
            out[i] = by_uniform_shift(x[i], x[i], False, EVEN, False, grid)
    elif how == DIRECTED:
        for i in range(x.size):
            out[i] = by_uniform_shift(x[i], x[i], False, DIRECTED, True, grid)
    else:
        for i in range(x.size):
            out[i] = by_uniform_shift(x[i], x[i], False, NEAREST, True, grid)


@loop
def uniform_codes(x, words, how, out):
    """Any deterministic rounding to codes, by one shift; EVEN is for formats without a gap."""
    grid = grid_of(words)
    if how == EVEN:
        for i in range(x.size):
            out[i] = by_uniform_shift(x[i], x[i], True, EVEN, False, grid)
    elif how == DIRECTED:
        for i in range(x.size):
            out[i] = by_uniform_shift(x[i], x[i], True, DIRECTED, True, grid)
    else:
        for i in range(x.size):
            out[i] = by_uniform_shift(x[i], x[i], True, NEAREST, True, grid)


@core
def lane_words(key, first, low):
    """The random word of the element `low` places (below 2^32) after element `first`; `first` may cross 2^32."""
    start = uint32(first)
    position = uint32(start + low)
    high = first >> uint64(32)
    here = subkey(key, high)
    after = subkey(key, high + uint64(1))
    crossed = position < start
    return word(position, after[0] if crossed else here[0], after[1] if crossed else here[1])


@loop
def stochastic_values(x, words, uniform, key, first, out):
    """Stochastic rounding (variant A) to values, from the stream of `key`; float32 only."""
    grid = grid_of(words)
    if uniform:
        for i in range(x.size):
            out[i] = by_uniform_shift(x[i], lane_words(key, first, uint32(i)), False, STOCHASTIC, False, grid)
    else:
        for i in range(x.size):
            out[i] = by_shift(x[i], lane_words(key, first, uint32(i)), False, STOCHASTIC, grid)


@loop
def stochastic_codes(x, words, uniform, key, first, out):
    """Stochastic rounding (variant A) to codes, from the stream of `key`; float32 only."""
    grid = grid_of(words)
    if uniform:
        for i in range(x.size):
            out[i] = by_uniform_shift(x[i], lane_words(key, first, uint32(i)), True, STOCHASTIC, False, grid)
    else:
        for i in range(x.size):
            out[i] = by_shift(x[i], lane_words(key, first, uint32(i)), True, STOCHASTIC, grid)


@loop
def float_environment_is_standard(probe):
    """Whether the FPU rounds to nearest even and keeps subnormals.

    Other libraries can leave other modes set (a shared object built with -ffast-math flushes subnormals to zero).
    `probe` holds 1, 2^-24, 1 + 2^-23, 1 + 2^-22, the smallest normal, 0.5 and 2, so that nothing is computed ahead.
    """
    one, tiny, odd, even, normal, half, two = probe[0], probe[1], probe[2], probe[3], probe[4], probe[5], probe[6]
    nearest = one + tiny == one and -one - tiny == -one and odd + tiny == even
    return nearest and (normal * half) * two == normal
