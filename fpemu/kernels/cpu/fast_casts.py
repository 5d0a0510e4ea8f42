"""Fast casts: float32 (float64) to a narrow format's values or codes, in loops that LLVM vectorises.

Everything here is branch-free on integers of the float's width.  The constants of a format and a profile are a
`Grid`, computed by `fpemu.casting.fast_paths`.  The results are those of `fpemu.kernels.scalar.convert`.

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

# All fields have one unsigned type.  `..._flip`: the bits that a negative source flips in the field before it.
# Outcomes are the bits of values in loops to values, and codes in loops to codes.
FIELDS = (
    "sign",  # the source: its sign bit, infinity, fraction mask, implicit bit, number of fraction bits
    "infinity",
    "fraction",
    "hidden",
    "fraction_bits",
    "keep_sign",  # all bits; 0 where a negative source counts as positive
    "shift",  # bits cut off in normal binades
    "emin",  # bits of 2^emin
    "field_low",  # lower exponent fields (in place) round as this one: no bit is retained
    "cut_from",  # bits cut off at exponent field 0
    "lift",  # added to the exponent field of 2^e: the float whose ulp is the quantum at 2^e
    "top",  # bits of 2^(emax + 1): larger magnitudes are clamped to it
    "quantum",  # bits of the smallest quantum
    "offset",  # the source's shifted bits minus the code, for normal values
    "limit",  # one more than the largest finite value's bits or code
    "limit_flip",
    "overflow",
    "overflow_flip",
    "infinite",
    "infinite_flip",
    "nan",
    "nan_flip",
    "zero",
    "zero_flip",
    "negative_flip",  # the bits that a negative sign flips in a finite result
    "complement",  # all bits: negative codes are two's complement
    "code_mask",
    "zero_less",  # all bits if the format has no zero
    "gap",  # formats without subnormals: magnitudes below give `gap_low` or, above `gap_cut`, `gap_high`
    "gap_cut",
    "gap_cut_flip",
    "gap_low",
    "gap_high",
    "up",  # directed modes: all bits if magnitudes go up
    "up_flip",
    "odd",  # to odd: all bits
    "tie",  # modes to nearest: 1 if ties go up
    "tie_flip",
    "even",  # nearest even: 1
    "drawn",  # stochastic: the random bits in use, at the top of 32
    "normal_below",  # magnitudes below these bits neither overflow nor are special
    "abnormal_sign",  # the sign bit in formats for which every negative source is special
    "sign_shift",  # plain formats: from a source's sign bit to its result's
)
Grid = namedtuple("Grid", FIELDS)

# Classes of roundings, for which loops are specialised
EVEN = 0
NEAREST = 1  # any tie rule
DIRECTED = 2  # up or down by the sign; in shift loops any directed mode, and to odd
DOWN = 3  # toward zero
UP = 4  # away from zero
ODD = 5
STOCHASTIC = 6

# Levels of a block: the special cases that it needs beside rounding
ALL_NORMAL = 0  # signs and zeros
ALL_FINITE = 1  # overflow too
ANY = 2  # infinities and NaN too


@core
def grid_of(words):
    """The Grid with these words as its fields, in order."""
    return Grid(
        words[0], words[1], words[2], words[3], words[4], words[5], words[6], words[7], words[8], words[9],
        words[10], words[11], words[12], words[13], words[14], words[15], words[16], words[17], words[18], words[19],
        words[20], words[21], words[22], words[23], words[24], words[25], words[26], words[27], words[28], words[29],
        words[30], words[31], words[32], words[33], words[34], words[35], words[36], words[37], words[38], words[39],
        words[40], words[41], words[42],
    )  # fmt: skip


@core
def negative_mask(x, grid):
    """All bits if the source is negative and its sign counts, else 0."""
    is_negative = like(x, x & grid.sign) != like(x, 0)
    return like(x, (like(x, ~like(x, 0)) if is_negative else like(x, 0)) & grid.keep_sign)


@core
def flip_if_negative(value, flip, negative):
    """`value`, with the bits of `flip` flipped for a negative source; `negative`: see `negative_mask`."""
    return like(value, value ^ like(value, flip & negative))


@core
def apply_specials(result, x, negative, codes, gap, plain, level, grid):
    """Apply signs, overflow, zeros, infinities and NaN to a rounded magnitude, as far as the block's level requires.

    `plain`: all results but infinities and NaN are the magnitude, zero included, with the source's sign.
    """
    if plain and level == ALL_NORMAL:
        return like(x, result | shifted_right(like(x, x & grid.sign), grid.sign_shift))
    magnitude = like(x, x & like(x, ~grid.sign))
    outcome = result
    if codes and not plain:
        complement = like(x, negative & grid.complement)
        outcome = like(x, like(x, result ^ complement) - complement)
    flip = grid.negative_flip
    if level != ALL_NORMAL:
        overflowed = result >= (grid.limit if plain else flip_if_negative(grid.limit, grid.limit_flip, negative))
        outcome = grid.overflow if overflowed else outcome
        if not plain:
            flip = grid.overflow_flip if overflowed else flip
    if not plain:
        zero = flip_if_negative(result, like(x, result ^ magnitude), grid.zero_less) if gap else result
        outcome = grid.zero if zero == like(zero, 0) else outcome
        flip = grid.zero_flip if zero == like(zero, 0) else flip
    if level == ANY:
        outcome = grid.infinite if magnitude >= grid.infinity else outcome
        flip = grid.infinite_flip if magnitude >= grid.infinity else flip
        outcome = grid.nan if magnitude > grid.infinity else outcome
        flip = grid.nan_flip if magnitude > grid.infinity else flip
    outcome = flip_if_negative(outcome, flip, negative)
    return like(x, outcome & grid.code_mask) if codes else outcome


@core
def block_level(x, grid):
    """The level of a block: ALL_NORMAL, ALL_FINITE or ANY."""
    largest, all_bits = like(grid.normal_below, 0), like(grid.normal_below, 0)
    for i in range(x.size):
        magnitude = like(grid.normal_below, x[i] & like(grid.normal_below, ~grid.sign))
        largest = magnitude if magnitude > largest else largest
        all_bits = like(grid.normal_below, all_bits | x[i])
    if largest < grid.normal_below and all_bits & grid.abnormal_sign == 0:
        return ALL_NORMAL
    return ALL_FINITE if largest < grid.infinity else ANY


@core
def by_addition(x, codes, rounding_class, plain, level, grid):
    """Nearest even or directed rounding by the FPU: |x| + C, where C's ulp is the quantum at |x|.

    C = 2^(max(e, emin) + M - m) has an even last bit and the sum stays below 2C, so that the sum's last bits are the
    significand rounded to nearest even, an integer.  Subtracting C again is exact and shows the side on which |x| was
    rounded.  If a directed mode needs the other side, that neighbour is one integer away.
    Requires subnormals, precision 2 or more, and for every clamped |x| a normal, finite C.
    """
    zero, one = like(x, 0), like(x, 1)
    magnitude = like(x, x & like(x, ~grid.sign))
    negative = negative_mask(x, grid)
    clamped = magnitude
    if level != ALL_NORMAL:
        clamped = magnitude if magnitude < grid.top else grid.top
    binade = like(x, clamped & grid.infinity)
    binade = binade if binade > grid.emin else grid.emin
    adder = like(x, binade + grid.lift)
    total = bits_of(float_of(clamped) + float_of(adder))
    rounded = float_of(bits_of(float_of(total) - float_of(adder)))
    if rounding_class == DOWN:
        total = like(x, total - (one if rounded > float_of(clamped) else zero))
    if rounding_class == UP:
        total = like(x, total + (one if rounded < float_of(clamped) else zero))
    if rounding_class == DIRECTED:
        upward = like(x, like(x, like(x, x & grid.keep_sign) ^ grid.up) & grid.sign)
        raised = like(x, total + (one if rounded < float_of(clamped) else zero))
        lowered = like(x, total - (one if rounded > float_of(clamped) else zero))
        total = raised if upward != zero else lowered
    if rounding_class == ODD:
        even_and_inexact = rounded != float_of(clamped) and like(x, total & one) == zero
        step = one if rounded < float_of(clamped) else like(x, ~zero)
        total = like(x, total + (step if even_and_inexact else zero))
    if codes:
        below = shifted_right(like(x, binade - grid.emin), grid.shift)
        result = like(x, like(x, total - adder) + below)
    else:
        result = bits_of(float_of(total) - float_of(adder))
    return apply_specials(result, x, negative, codes, False, plain, level, grid)


@core
def increment(mask, odd, negative, rounding_class, grid):
    """The addend to a magnitude that carries out of the cut bits exactly if the magnitude rounds up."""
    one = like(mask, 1)
    if rounding_class == EVEN:
        return like(mask, shifted_right(mask, one) + odd)
    if rounding_class == NEAREST:
        tie = like(mask, flip_if_negative(grid.tie, grid.tie_flip, negative) | like(mask, odd & grid.even))
        return like(mask, shifted_right(mask, one) + tie)
    up = like(mask, flip_if_negative(grid.up, grid.up_flip, negative) | like(mask, grid.odd & like(mask, odd - one)))
    return like(mask, mask & up)


@core
def by_uniform_shift(x, random, codes, rounding_class, gap, plain, level, grid):
    """Any rounding where every normal binade is cut at the same bit of the source; pure integers.

    For formats with the source's exponent range, with precision 1, or without subnormals: in the gap below the smallest
    normal number there are two results.  The last retained bit, corrected by the offset, is the code's parity.  In
    plain formats without a gap the offset is 0, and ALL_NORMAL blocks shift the sign with the rest.
    """
    one = like(x, 1)
    sign_rides = plain and level == ALL_NORMAL and not gap
    magnitude = like(x, x & like(x, ~grid.sign))
    negative = negative_mask(x, grid)
    mask = like(x, shifted_left(one, grid.shift) - one)
    offset = like(x, 0) if sign_rides else grid.offset
    moving = x if sign_rides else magnitude
    if rounding_class == STOCHASTIC:
        add = shifted_right(like(x, random & grid.drawn), like(x, like(x, 32) - grid.shift))
    else:
        odd = like(x, like(x, shifted_right(moving, grid.shift) ^ offset) & one)
        add = increment(mask, odd, negative, rounding_class, grid)
    rounded = like(x, moving + add)
    result = like(x, shifted_right(rounded, grid.shift) - offset) if codes else like(x, rounded & like(x, ~mask))
    if sign_rides:
        return result
    if gap:
        cut = flip_if_negative(grid.gap_cut, grid.gap_cut_flip, negative)
        choice = grid.gap_high if magnitude > cut else grid.gap_low
        result = choice if magnitude < grid.gap else result
    return apply_specials(result, x, negative, codes, gap, plain, level, grid)


@core
def stochastic_increment(significand, deep, mask, random, grid):
    """The addend to a significand that carries if floor(nu 2^N) + R >= 2^N (variant A; 32 bits).

    The cut-off part, `deep` bits, is scaled to 32 bits: up to M + 1 = 24 bits are shifted up, deeper ones down again.
    """
    zero, bits, most, width = uint32(0), uint32(32), uint32(31), uint32(24)
    drawn = uint32(random & grid.drawn)
    up = deep if deep < width else width
    down = uint32((deep if deep > width else width) - width)
    down = down if down < most else most
    cut_bits = uint32(significand & mask)
    steps = uint32(shifted_right(shifted_left(cut_bits, uint32(bits - up)), down) & grid.drawn)
    # The carry of steps + drawn by bit operations: LLVM does not vectorise the comparison.
    total = uint32(steps + drawn)
    carry = uint32(uint32(steps & drawn) | uint32(uint32(steps | drawn) & uint32(~total))) >> most
    return uint32(mask & uint32(zero - uint32(carry)))


@core
def by_shift(x, random, codes, rounding_class, plain, level, grid):
    """Any rounding into a format with subnormals: the cut grows below emin; pure integers.

    If the cut reaches beyond the implicit bit, no bit is retained, and a carry is the smallest quantum.
    """
    one = like(x, 1)
    zero = like(x, 0)
    magnitude = like(x, x & like(x, ~grid.sign))
    negative = negative_mask(x, grid)
    binade = like(x, magnitude & grid.infinity)
    field = binade if binade < grid.emin else grid.emin
    clamped = field if field > grid.field_low else grid.field_low
    cut = like(x, grid.cut_from - shifted_right(clamped, grid.fraction_bits))
    unit = shifted_left(one, cut)
    mask = like(x, unit - one)
    significand = like(x, like(x, magnitude & grid.fraction) | grid.hidden)
    significand = significand if magnitude != zero else zero
    if rounding_class == STOCHASTIC:
        deep = like(x, grid.cut_from - shifted_right(field, grid.fraction_bits))
        add = stochastic_increment(significand, deep, mask, random, grid)
    else:
        odd = like(x, shifted_right(significand, cut) & one)
        add = increment(mask, odd, negative, rounding_class, grid)
    total = like(x, significand + add)
    if codes:
        above = binade if binade > grid.emin else grid.emin
        result = like(x, shifted_right(total, cut) + shifted_right(like(x, above - grid.emin), grid.shift))
    else:
        result = like(x, like(x, magnitude + add) & like(x, ~mask))
        bottom = grid.quantum if total > mask else zero
        result = bottom if unit > grid.hidden else result
    return apply_specials(result, x, negative, codes, False, plain, level, grid)


BLOCK_SIZE = 512  # elements scanned for specials and then rounded: they stay in the first-level cache


@core
def half_block(x, out):
    """One block to float16 codes by the CPU's conversion."""
    for i in range(x.size):
        out[i] = half_of(float_of(x[i]))


@core
def add_block(x, codes, rounding_class, plain, level, grid, out):
    """One block by addition."""
    for i in range(x.size):
        out[i] = by_addition(x[i], codes, rounding_class, plain, level, grid)


@core
def shift_block(x, codes, rounding_class, plain, level, grid, out):
    """One block by shifts."""
    for i in range(x.size):
        out[i] = by_shift(x[i], x[i], codes, rounding_class, plain, level, grid)


@core
def uniform_block(x, codes, rounding_class, gap, plain, level, grid, out):
    """One block by one shift."""
    for i in range(x.size):
        out[i] = by_uniform_shift(x[i], x[i], codes, rounding_class, gap, plain, level, grid)


@core
def stochastic_block(x, codes, uniform, plain, level, keys, low, grid, out):
    """One block of stochastic rounding; `low`: the lower word of element 0's index in the stream."""
    for i in range(x.size):
        random = word(uint32(low + uint32(i)), keys[0], keys[1])
        if uniform:
            out[i] = by_uniform_shift(x[i], random, codes, STOCHASTIC, False, plain, level, grid)
        else:
            out[i] = by_shift(x[i], random, codes, STOCHASTIC, plain, level, grid)


# The loops: their specialisation is frozen into a closure, so that a first call compiles only what it needs.


@functools.cache
def addition_loop(codes, rounding_class, plain, halves):
    """Nearest even or directed rounding, by addition; `halves`: the CPU converts ALL_NORMAL blocks to float16."""

    @loop
    def addition(x, words, probe, out):
        """Do nothing and return False if the FPU is unfit."""
        if not float_environment_is_standard(probe):
            return False
        grid = grid_of(words)
        for start in range(0, x.size, BLOCK_SIZE):
            block, to = x[start : start + BLOCK_SIZE], out[start : start + BLOCK_SIZE]
            level = block_level(block, grid)
            if level == ALL_NORMAL and halves:
                half_block(block, to)
            elif level == ALL_NORMAL:
                add_block(block, codes, rounding_class, plain, ALL_NORMAL, grid, to)
            elif level == ALL_FINITE:
                add_block(block, codes, rounding_class, plain, ALL_FINITE, grid, to)
            else:
                add_block(block, codes, rounding_class, plain, ANY, grid, to)
        return True

    return addition


@functools.cache
def shift_loop(codes, rounding_class, plain):
    """Any deterministic rounding, by shifts."""

    @loop
    def shift(x, words, out):
        grid = grid_of(words)
        for start in range(0, x.size, BLOCK_SIZE):
            block, to = x[start : start + BLOCK_SIZE], out[start : start + BLOCK_SIZE]
            level = block_level(block, grid)
            if level == ALL_NORMAL:
                shift_block(block, codes, rounding_class, plain, ALL_NORMAL, grid, to)
            elif level == ALL_FINITE:
                shift_block(block, codes, rounding_class, plain, ALL_FINITE, grid, to)
            else:
                shift_block(block, codes, rounding_class, plain, ANY, grid, to)

    return shift


@functools.cache
def uniform_loop(codes, rounding_class, plain, gap):
    """Any deterministic rounding, by one shift."""

    @loop
    def uniform(x, words, out):
        grid = grid_of(words)
        for start in range(0, x.size, BLOCK_SIZE):
            block, to = x[start : start + BLOCK_SIZE], out[start : start + BLOCK_SIZE]
            level = block_level(block, grid)
            if level == ALL_NORMAL:
                uniform_block(block, codes, rounding_class, gap, plain, ALL_NORMAL, grid, to)
            elif level == ALL_FINITE:
                uniform_block(block, codes, rounding_class, gap, plain, ALL_FINITE, grid, to)
            else:
                uniform_block(block, codes, rounding_class, gap, plain, ANY, grid, to)

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
        for start in range(0, x.size, BLOCK_SIZE):
            block, to = x[start : start + BLOCK_SIZE], out[start : start + BLOCK_SIZE]
            position = uint32(low + uint32(start))
            if block_level(block, grid) == ALL_NORMAL:
                stochastic_block(block, codes, uniform, plain, ALL_NORMAL, keys, position, grid, to)
            else:
                stochastic_block(block, codes, uniform, plain, ANY, keys, position, grid, to)

    return stochastic


@core
def widened(code, magnitude_mask, special, shift, sign_shift, rebias, respecial, normal, smallest):
    """The float32 bits of a narrower format's code: exact, NaN payloads kept.

    `rebias` is added to finite numbers, `respecial` to infinities and NaN, which start at code `special`.  A subnormal,
    shifted, is below `normal`: it becomes the fraction of a number in the binade of `smallest`, 2^emin, which is then
    subtracted; the sign of a difference of 0 depends on the FPU's mode, and is dropped.
    """
    magnitude = uint32(code & magnitude_mask)
    shifted = shifted_left(magnitude, shift)
    result = uint32(shifted + rebias)
    subnormal = bits_of(float_of(uint32(shifted + smallest)) - float_of(smallest)) & uint32(0x7FFFFFFF)
    result = uint32(subnormal) if shifted < normal else result
    result = uint32(shifted + respecial) if magnitude >= special else result
    return uint32(result | shifted_left(uint32(code & uint32(~magnitude_mask)), sign_shift))


@loop
def widen_array(codes, words, out):
    """Codes of a format of up to 16 bits to float32 bits; `words`: the arguments of `widened`."""
    for i in range(codes.size):
        out[i] = widened(
            uint32(codes[i]), words[0], words[1], words[2], words[3], words[4], words[5], words[6], words[7]
        )


FRACTION_GAP = 52 - 23  # float64 has this many more fraction bits than float32


@core
def is_special(word, infinity):
    """Whether these are the bits of an infinity or a NaN."""
    one = like(infinity, 1)
    return shifted_left(word, one) >= shifted_left(infinity, one)


@loop
def native_array(x, sign, infinity, outcomes, probe, out):
    """Convert bits of float32 to float64 or back, to nearest even; do nothing and return False if the FPU is unfit.

    `sign`: the sign bit of sources; `infinity`: the bits of the results' infinity.  `outcomes`: the results of
    overflows, infinities and NaN, each for both signs; then the payload bits that a NaN retains from float32 to
    float64, 0 in the other direction.
    """
    if not float_environment_is_standard(probe):
        return False
    overflow, minus_overflow, infinite = outcomes[0], outcomes[1], outcomes[2]
    minus_infinite, nan, minus_nan, retained = outcomes[3], outcomes[4], outcomes[5], outcomes[6]
    for start in range(0, x.size, BLOCK_SIZE):
        block, to = x[start : start + BLOCK_SIZE], out[start : start + BLOCK_SIZE]
        special = like(infinity, 0)
        for i in range(block.size):
            word = bits_of(like(float_of(infinity), float_of(block[i])))
            to[i] = word
            special |= like(infinity, 1) if is_special(word, infinity) else like(infinity, 0)
        if special == like(infinity, 0):
            continue
        for i in range(block.size):
            number, negative = float_of(block[i]), block[i] & sign != 0
            result = minus_infinite if negative else infinite
            result = (minus_overflow if negative else overflow) if number - number == 0 else result
            payload = like(infinity, shifted_left(like(infinity, block[i]), like(infinity, FRACTION_GAP)) & retained)
            result = result if number == number else like(infinity, (minus_nan if negative else nan) | payload)
            to[i] = result if is_special(to[i], infinity) else to[i]
    return True
