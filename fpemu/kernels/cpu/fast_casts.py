"""Fast loops: float32 (float64) straight to a narrow format's values or codes, many elements at once.

Everything here is branch-free on integers of the float's width, so that LLVM turns it into vector instructions.  The
numbers that make it one format and one profile rather than another come as a `Grid`, worked out by
`fpemu.casting.fast_paths`; what these loops give is what `fpemu.kernels.scalar.convert` gives.

Drawn for float32 to a format with a 4-bit significand (m = 3), in a normal binade:

    s eeee eeee fff ffff ffff ffff ffff ffff     s: sign, e: exponent field, f: fraction (M = 23 bits)
                --- kept
                    ^^^^^^^^^^^^^^^^^^^^^^^^ mask, the cut: shift = M - m bits; unit is its carry
"""

import functools
from collections import namedtuple

from numpy import uint32, uint64

from fpemu.kernels.cpu.float_environment import float_environment_is_standard
from fpemu.kernels.jit import core, loop
from fpemu.kernels.scalar.bits import bits_of, float_of, half_of, like, shifted_left, shifted_right
from fpemu.kernels.scalar.random_bits import subkey, word

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
    "calm",  # magnitudes below these bits neither overflow nor are special
    "calm_sign",  # the sign bit in formats where no negative source is calm
    "sign_shift",  # plain formats: from a source's sign bit to its result's
)
Grid = namedtuple("Grid", FIELDS)

# How a magnitude is rounded: what a loop is specialised for.
EVEN = 0
NEAREST = 1  # any tie rule
DIRECTED = 2  # up or down by the sign; in loops of shifts any directed mode, and to odd
DOWN = 3  # toward zero
UP = 4  # away from zero
ODD = 5
STOCHASTIC = 6

# What a block of sources asks for beyond rounding.
CALM = 0  # signs and zeros
FINITE = 1  # overflow too
ANY = 2  # infinities and NaN too


@core
def grid_of(words):
    """The Grid whose fields are these words, in order."""
    return Grid(
        words[0], words[1], words[2], words[3], words[4], words[5], words[6], words[7], words[8], words[9],
        words[10], words[11], words[12], words[13], words[14], words[15], words[16], words[17], words[18], words[19],
        words[20], words[21], words[22], words[23], words[24], words[25], words[26], words[27], words[28], words[29],
        words[30], words[31], words[32], words[33], words[34], words[35], words[36], words[37], words[38], words[39],
        words[40], words[41], words[42],
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
def finish(result, x, lanes, codes, gap, plain, level, grid):
    """Signs, overflow, zeros, infinities and NaN around a rounded magnitude, as far as the block's level asks.

    `plain`: all results but infinities and NaN are a magnitude, zero as it is, and the source's sign.
    """
    if plain and level == CALM:
        return like(x, result | shifted_right(like(x, x & grid.sign), grid.sign_shift))
    magnitude = like(x, x & like(x, ~grid.sign))
    outcome = result
    if codes and not plain:
        turned = like(x, lanes & grid.complement)
        outcome = like(x, like(x, result ^ turned) - turned)
    flip = grid.negative_flip
    if level != CALM:
        over = result >= (grid.limit if plain else chosen(grid.limit, grid.limit_flip, lanes))
        outcome = grid.overflow if over else outcome
        if not plain:
            flip = grid.overflow_flip if over else flip
    if not plain:
        zero = chosen(result, like(x, result ^ magnitude), grid.zero_less) if gap else result
        outcome = grid.zero if zero == like(zero, 0) else outcome
        flip = grid.zero_flip if zero == like(zero, 0) else flip
    if level == ANY:
        outcome = grid.infinite if magnitude >= grid.infinity else outcome
        flip = grid.infinite_flip if magnitude >= grid.infinity else flip
        outcome = grid.nan if magnitude > grid.infinity else outcome
        flip = grid.nan_flip if magnitude > grid.infinity else flip
    outcome = chosen(outcome, flip, lanes)
    return like(x, outcome & grid.code_mask) if codes else outcome


@core
def level_of(x, grid):
    """What a block asks for beyond rounding."""
    largest, seen = like(grid.calm, 0), like(grid.calm, 0)
    for i in range(x.size):
        magnitude = like(grid.calm, x[i] & like(grid.calm, ~grid.sign))
        largest = magnitude if magnitude > largest else largest
        seen = like(grid.calm, seen | x[i])
    if largest < grid.calm and seen & grid.calm_sign == 0:
        return CALM
    return FINITE if largest < grid.infinity else ANY


@core
def by_addition(x, codes, how, plain, level, grid):
    """Nearest even or directed rounding by the FPU: |x| + C, where C's ulp is the quantum at |x|.

    C = 2^(max(e, emin) + M - m) has an even last bit and the sum stays below 2C, so that the sum's last bits are the
    significand rounded to nearest even, an integer.  Taking C away again shows what the rounding has added, exactly:
    where that is on the wrong side for a directed mode, the neighbour on the other side of |x| is one integer away.
    Needs subnormals, precision 2 or more, and for every clamped |x| a normal, finite C.
    """
    none, one = like(x, 0), like(x, 1)
    magnitude = like(x, x & like(x, ~grid.sign))
    lanes = sign_lanes(x, grid)
    clamped = magnitude
    if level != CALM:
        clamped = magnitude if magnitude < grid.top else grid.top
    binade = like(x, clamped & grid.infinity)
    binade = binade if binade > grid.emin else grid.emin
    adder = like(x, binade + grid.lift)
    total = bits_of(float_of(clamped) + float_of(adder))
    back = float_of(bits_of(float_of(total) - float_of(adder)))
    if how == DOWN:
        total = like(x, total - (one if back > float_of(clamped) else none))
    if how == UP:
        total = like(x, total + (one if back < float_of(clamped) else none))
    if how == DIRECTED:
        turn = like(x, like(x, like(x, x & grid.keep_sign) ^ grid.up) & grid.sign)
        raised = like(x, total + (one if back < float_of(clamped) else none))
        lowered = like(x, total - (one if back > float_of(clamped) else none))
        total = raised if turn != none else lowered
    if how == ODD:
        wrong = back != float_of(clamped) and like(x, total & one) == none
        step = one if back < float_of(clamped) else like(x, ~none)
        total = like(x, total + (step if wrong else none))
    if codes:
        below = shifted_right(like(x, binade - grid.emin), grid.shift)
        result = like(x, like(x, total - adder) + below)
    else:
        result = bits_of(float_of(total) - float_of(adder))
    return finish(result, x, lanes, codes, False, plain, level, grid)


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
def by_uniform_shift(x, random, codes, how, gap, plain, level, grid):
    """Any rounding where every normal binade is cut at the same bit of the source; pure integers.

    For formats with the source's own exponent range, with precision 1, or without subnormals: the gap below the
    smallest normal is a choice of two.  The last bit kept, corrected by the offset, is the code's parity.  In plain
    formats without a gap the offset is 0, and the sign rides along in calm blocks.
    """
    one = like(x, 1)
    rides = plain and level == CALM and not gap
    magnitude = like(x, x & like(x, ~grid.sign))
    lanes = sign_lanes(x, grid)
    mask = like(x, shifted_left(one, grid.shift) - one)
    offset = like(x, 0) if rides else grid.offset
    moving = x if rides else magnitude
    if how == STOCHASTIC:
        add = shifted_right(like(x, random & grid.drawn), like(x, like(x, 32) - grid.shift))
    else:
        odd = like(x, like(x, shifted_right(moving, grid.shift) ^ offset) & one)
        add = increment(mask, odd, lanes, how, grid)
    rounded = like(x, moving + add)
    result = like(x, shifted_right(rounded, grid.shift) - offset) if codes else like(x, rounded & like(x, ~mask))
    if rides:
        return result
    if gap:
        choice = grid.gap_high if magnitude > chosen(grid.gap_cut, grid.gap_cut_flip, lanes) else grid.gap_low
        result = choice if magnitude < grid.gap else result
    return finish(result, x, lanes, codes, gap, plain, level, grid)


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
def by_shift(x, random, codes, how, plain, level, grid):
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
    return finish(result, x, lanes, codes, False, plain, level, grid)


BLOCK = 512  # elements that are looked over before they are rounded: they stay in the first cache


@core
def half_block(x, out):
    """One block to float16's codes by the CPU's own conversion."""
    for i in range(x.size):
        out[i] = half_of(float_of(x[i]))


@core
def add_block(x, codes, how, plain, level, grid, out):
    """One block by addition."""
    for i in range(x.size):
        out[i] = by_addition(x[i], codes, how, plain, level, grid)


@core
def shift_block(x, codes, how, plain, level, grid, out):
    """One block by shifts."""
    for i in range(x.size):
        out[i] = by_shift(x[i], x[i], codes, how, plain, level, grid)


@core
def uniform_block(x, codes, how, gap, plain, level, grid, out):
    """One block by one shift."""
    for i in range(x.size):
        out[i] = by_uniform_shift(x[i], x[i], codes, how, gap, plain, level, grid)


@core
def stochastic_block(x, codes, uniform, plain, level, keys, low, grid, out):
    """One block of stochastic rounding; `low`: the lower word of element 0's place in the stream."""
    for i in range(x.size):
        random = word(uint32(low + uint32(i)), keys[0], keys[1])
        if uniform:
            out[i] = by_uniform_shift(x[i], random, codes, STOCHASTIC, False, plain, level, grid)
        else:
            out[i] = by_shift(x[i], random, codes, STOCHASTIC, plain, level, grid)


# The loops: what they are specialised for is frozen into each, so that a first call compiles no more than it needs.


@functools.cache
def addition_loop(codes, how, plain, halves):
    """Nearest even or directed rounding, by addition; `halves`: calm blocks by the CPU's conversion to float16."""

    @loop
    def addition(x, words, probe, out):
        """False, and nothing done, where the FPU is unfit."""
        if not float_environment_is_standard(probe):
            return False
        grid = grid_of(words)
        for start in range(0, x.size, BLOCK):
            block, to = x[start : start + BLOCK], out[start : start + BLOCK]
            level = level_of(block, grid)
            if level == CALM and halves:
                half_block(block, to)
            elif level == CALM:
                add_block(block, codes, how, plain, CALM, grid, to)
            elif level == FINITE:
                add_block(block, codes, how, plain, FINITE, grid, to)
            else:
                add_block(block, codes, how, plain, ANY, grid, to)
        return True

    return addition


@functools.cache
def shift_loop(codes, how, plain):
    """Any deterministic rounding, by shifts."""

    @loop
    def shift(x, words, out):
        grid = grid_of(words)
        for start in range(0, x.size, BLOCK):
            block, to = x[start : start + BLOCK], out[start : start + BLOCK]
            level = level_of(block, grid)
            if level == CALM:
                shift_block(block, codes, how, plain, CALM, grid, to)
            elif level == FINITE:
                shift_block(block, codes, how, plain, FINITE, grid, to)
            else:
                shift_block(block, codes, how, plain, ANY, grid, to)

    return shift


@functools.cache
def uniform_loop(codes, how, plain, gap):
    """Any deterministic rounding, by one shift."""

    @loop
    def uniform(x, words, out):
        grid = grid_of(words)
        for start in range(0, x.size, BLOCK):
            block, to = x[start : start + BLOCK], out[start : start + BLOCK]
            level = level_of(block, grid)
            if level == CALM:
                uniform_block(block, codes, how, gap, plain, CALM, grid, to)
            elif level == FINITE:
                uniform_block(block, codes, how, gap, plain, FINITE, grid, to)
            else:
                uniform_block(block, codes, how, gap, plain, ANY, grid, to)

    return uniform


@functools.cache
def stochastic_loop(codes, uniform, plain):
    """Stochastic rounding (variant A) from the stream of a key; float32 only."""

    @loop
    def stochastic(x, words, key, first, out):
        """The elements' indices have one upper word: `first` + x.size does not pass a multiple of 2^32."""
        grid = grid_of(words)
        keys = subkey(key, first >> uint64(32))
        low = uint32(first)
        for start in range(0, x.size, BLOCK):
            block, to = x[start : start + BLOCK], out[start : start + BLOCK]
            place = uint32(low + uint32(start))
            if level_of(block, grid) == CALM:
                stochastic_block(block, codes, uniform, plain, CALM, keys, place, grid, to)
            else:
                stochastic_block(block, codes, uniform, plain, ANY, keys, place, grid, to)

    return stochastic


@core
def widened(code, magnitude_mask, special, shift, sign_shift, rebias, respecial, normal, smallest):
    """The float32 bits of a narrower format's code: exact, NaN payloads kept.

    `rebias` and `respecial` are added to finite numbers and to the others, those from code `special` on.  What is below
    `normal` are those of subnormals: the fraction of a number in the binade of `smallest`, 2^emin, which is then taken
    away; the sign of a difference of 0 is the FPU's business, and dropped.
    """
    magnitude = uint32(code & magnitude_mask)
    moved = shifted_left(magnitude, shift)
    result = uint32(moved + rebias)
    subnormal = bits_of(float_of(uint32(moved + smallest)) - float_of(smallest)) & uint32(0x7FFFFFFF)
    result = uint32(subnormal) if moved < normal else result
    result = uint32(moved + respecial) if magnitude >= special else result
    return uint32(result | shifted_left(uint32(code & uint32(~magnitude_mask)), sign_shift))


@loop
def widen_array(codes, words, out):
    """Codes of a format of up to 16 bits to float32's bits; `words` as `widened` takes them."""
    for i in range(codes.size):
        out[i] = widened(
            uint32(codes[i]), words[0], words[1], words[2], words[3], words[4], words[5], words[6], words[7]
        )


GAP = 52 - 23  # bits that a float64's fraction has more


@core
def is_special(word, infinity):
    """Whether these are the bits of an infinity or a NaN."""
    one = like(infinity, 1)
    return shifted_left(word, one) >= shifted_left(infinity, one)


@loop
def native_array(x, sign, infinity, outcomes, probe, out):
    """Bits of floats to those of the other type, to nearest even: False, and nothing done, where the FPU is unfit.

    `sign`: the sources' sign bit; `infinity`: the results'.  `outcomes`: what overflows, infinities and NaN give, each
    for both signs; then the bits that float32's NaN keep as they become float64's, none the other way.
    """
    if not float_environment_is_standard(probe):
        return False
    over, below, infinite = outcomes[0], outcomes[1], outcomes[2]
    minus_infinite, nan, minus_nan, kept = outcomes[3], outcomes[4], outcomes[5], outcomes[6]
    for start in range(0, x.size, BLOCK):
        block, to = x[start : start + BLOCK], out[start : start + BLOCK]
        special = like(infinity, 0)
        for i in range(block.size):
            word = bits_of(like(float_of(infinity), float_of(block[i])))
            to[i] = word
            special |= like(infinity, 1) if is_special(word, infinity) else like(infinity, 0)
        if special == like(infinity, 0):
            continue
        for i in range(block.size):
            number, negative = float_of(block[i]), block[i] & sign != 0
            found = minus_infinite if negative else infinite
            found = (below if negative else over) if number - number == 0 else found
            payload = like(infinity, shifted_left(like(infinity, block[i]), like(infinity, GAP)) & kept)
            found = found if number == number else like(infinity, (minus_nan if negative else nan) | payload)
            to[i] = found if is_special(to[i], infinity) else to[i]
    return True
