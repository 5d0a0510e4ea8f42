"""The executable specification of a cast: exact integers, no code shared with fpemu, slow and plain.

It reads the numbers and words of formats and profiles (bits, precision, bias, flags, knobs) and works out values
(`tests.oracle.spec_values`), special codes, rounding and outcomes itself.  One source goes through

    Number --classify--> Case (where it lies between two neighbours of the target) --up or down--> outcome: a code

Only the middle step knows the rounding mode.  A case is small and hashable, so thousands of sources share one, and
`encode` works each out once.  A cast is `decode(encode(x))`.
"""

from __future__ import annotations

import bisect
import dataclasses
import functools
from typing import NamedTuple

import numpy as np

from tests.oracle.spec_machines import compiled
from tests.oracle.spec_values import Number, aligned, as_float, decode, magnitude_value, numbers, order_key, read, top

__all__ = ["Classified", "Number", "as_float", "classify", "decode", "encode", "numbers", "target"]

TABLE_BITS = 16  # float formats to here are looked up in a sorted table; wider ones are computed

# -- classify: where a source lies between two neighbours -------------------------------------------------------------

EXACT, BELOW, TIE, ABOVE = range(4)  # at the lower neighbour; nearer to it; in the middle; nearer to the upper one
NO_ZERO = -1  # the "code" below the smallest value of a format that has no zero


class Case(NamedTuple):
    """All that the outcome of a cast can depend on, but for random bits."""

    kind: str  # "finite" (never zero), "zero", "infinite", "nan"
    negative: bool
    low: int = 0  # the neighbour below: a magnitude's code, counted on above the largest; a codebook's rank
    position: int = EXACT
    payload: tuple[int, int] | None = None
    near_normal: int | None = None  # floats that flush what is tiny after rounding: see `Float.classify`


def position(x, low, high):
    """Where x lies between two neighbours: all three as (significand, exponent)."""
    x, low, high = aligned(x, low, high)
    if x == low:
        return EXACT
    return TIE if 2 * x == low + high else BELOW if 2 * x < low + high else ABOVE


def through_float32(number):
    """A finite number rounded to binary32, to nearest even: 24 digits, but none below 2^-149."""
    significand, exponent = number.significand, number.exponent
    if significand == 0:
        return number
    quantum = max(exponent + significand.bit_length() - 24, -149)
    if exponent < quantum:
        kept, rest = divmod(significand, 1 << (quantum - exponent))
        half = 1 << (quantum - exponent - 1)
        significand, exponent = kept + (rest > half or (rest == half and kept % 2 == 1)), quantum
    if significand and exponent + significand.bit_length() > 128:
        return Number("infinite", number.negative)
    return number._replace(significand=significand, exponent=exponent)


class Target:
    """A format and the rules of a cast into it: what a case becomes, rounded up or down."""

    def __init__(self, fmt, rules):
        self.fmt = fmt
        self.rules = rules.for_codes(fmt.codes_key)
        knobs = {field.name: getattr(self.rules, field.name) for field in dataclasses.fields(self.rules)}
        self.words = {name: value.value for name, value in knobs.items() if hasattr(value, "value")}

    def knob(self, name):
        """The word a knob is set to."""
        return self.words[name]

    def classify(self, number):
        """The case of a source."""
        if number.kind == "nan":
            return Case("nan", number.negative, payload=number.payload)
        number = read(number, self.knob("subnormals_in"))
        if number.kind == "finite" and self.knob("through") == "float32":
            number = through_float32(number)
        negative = number.negative and not self.drops_sign()
        if number.kind == "infinite":
            return Case("infinite", negative)
        if number.significand == 0:
            return Case("zero", negative)
        low = self.below(number)
        return Case("finite", negative, low, position(self.measure(number), *self.neighbours(low)))

    def drops_sign(self):
        return False

    def measure(self, number):
        """What is compared with neighbours: a magnitude (a signed value in codebooks)."""
        return number.significand, number.exponent

    def below(self, number):
        """The largest neighbour that is not above the source."""
        raise NotImplementedError

    def neighbours(self, low):
        """The (significand, exponent) of a neighbour and the next one up."""
        raise NotImplementedError

    def odd(self, low):
        """Whether the magnitude below has an odd code; nothing is as even as zero."""
        return low > 0 and low % 2 == 1

    def goes_up(self, case):
        """Whether a magnitude goes to the neighbour above, under a rounding that needs no random bits."""
        if case.position == EXACT:
            return False
        odd, mode = self.odd(case.low), self.knob("rounding")
        directed = {
            "toward_zero": False,
            "away_from_zero": True,
            "toward_positive": not case.negative,
            "toward_negative": case.negative,
            "to_odd": not odd,
        }
        if mode in directed:
            return directed[mode]
        tie_goes_up = {
            "nearest_even": odd,
            "nearest_away": True,
            "nearest_toward_zero": False,
            "nearest_toward_positive": not case.negative,
            "nearest_toward_negative": case.negative,
        }
        return tie_goes_up[mode] if case.position == TIE else case.position == ABOVE

    def stochastic_up(self, number, case, random):
        """Whether a magnitude goes up with this random integer (P3109 interim report 4.0, StochasticA, B, C)."""
        if case.kind != "finite" or case.position == EXACT:
            return False
        if self.knob("through") == "float32":
            number = through_float32(number)
        x, low, high = aligned(self.measure(number), *self.neighbours(case.low))
        return stochastic_up(x - low, high - low, self.rules.rounding, random)

    def outcome(self, case, up):
        """The code of a case that was rounded up, or not."""
        raise NotImplementedError


def stochastic_up(part, quantum, mode, random):
    """Whether nu = part/quantum goes up: variants A, B, C with N bits."""
    one = 1 << mode.bits
    if mode.variant == "A":
        return part * one // quantum + random >= one
    if mode.variant == "equal":
        return part > 0 and random == 1
    if mode.variant == "B":
        return part * 2 * one // quantum + 2 * random + 1 >= 2 * one
    floor, rest = divmod(part * one, quantum)
    nearest = floor + (2 * rest > quantum or (2 * rest == quantum and floor % 2 == 1))
    return nearest + random >= one


# -- floats and integers: a sign and a magnitude ----------------------------------------------------------------------


class SignMagnitude(Target):
    """What floats and integers share: the order of the rules."""

    nan = infinity = None
    nan_has_sign = False
    smallest_normal = 0
    has_zero = True

    def drops_sign(self):
        return not self.fmt.signed and self.knob("unsigned_negative") == "magnitude"

    def outcome(self, case, up):
        if case.kind == "nan":
            return self.of_nan(case)
        if case.kind == "infinite":
            return self.of_infinity(case.negative)
        if case.kind == "zero":
            return self.zero(case.negative, exact=True)
        if case.negative and not self.fmt.signed and not self.has_zero:  # nothing it could round to
            return self.below_unsigned(NO_ZERO)
        rounded = case.low + up
        if self.flushes(case, up) or rounded == (0 if self.has_zero else NO_ZERO):
            return self.zero(case.negative)
        if case.negative and not self.fmt.signed:
            return self.below_unsigned(rounded)
        if rounded > self.largest(case.negative):
            return self.of_overflow(case.negative, rounded)
        return self.code(case.negative, rounded)

    def flushes(self, case, up):
        """Whether a finite number, not zero, becomes zero for being small."""
        return False

    def largest(self, negative):
        """The largest finite magnitude's code."""
        raise NotImplementedError

    def code(self, negative, magnitude):
        """The code of a finite value that is not zero."""
        raise NotImplementedError

    def limit(self, negative):
        """The code of the largest finite value of this sign; unsigned formats end at zero (or the smallest) below."""
        return 0 if negative and not self.fmt.signed else self.code(negative, self.largest(negative))

    def zero(self, negative, exact=False):
        """The code for zero, or for what became zero."""
        if self.has_zero:
            keeps = self.negative_zero is not None and self.knob("negative_zero") == "keep"
            return self.negative_zero if negative and keeps else 0
        rule = self.knob("missing_zero")
        if self.nan is not None and (rule == "nan" or (rule == "standard" and exact)):
            return self.of_nan_result(negative)
        return self.code(negative, 0)

    def of_nan_result(self, negative):
        """The code of a NaN that a number became, with its sign."""
        code = self.nan if self.rules.nan_code is None else self.rules.nan_code
        signed = negative and self.nan_has_sign
        return code | 1 << (self.fmt.bits - 1) if signed else code

    def of_nan(self, case):
        rule = self.knob("nan")
        if rule == "error":
            raise ValueError("NaN")
        if rule == "max":
            return self.limit(False)
        if rule == "min":
            return self.limit(True)
        if rule == "zero":
            return 0
        if rule == "negative_zero":
            return self.negative_zero
        flips = self.knob("nan_sign") == "flip"
        if self.nan is None:
            return self.zero(self.fmt.kind == "float" and self.has_zero and not (flips and case.negative))
        negative = not case.negative if flips else case.negative and self.knob("nan_sign") == "keep"
        code = self.of_nan_result(negative)
        if self.knob("nan_payload") == "drop" or case.payload is None or self.fmt.nan != "ieee":
            return code
        if self.rules.nan_code is not None:
            return code
        (trailing, width), own = case.payload, self.fmt.precision - 1
        quiet = 1 << (own - 1)
        kept = trailing >> (width - own) if width >= own else trailing << (own - width)
        kept = kept | quiet if self.knob("nan_payload") == "quiet" else kept or 1
        return code - quiet + kept  # the canonical NaN is the quiet bit alone

    def of_infinity(self, negative):
        rule = self.knob("infinity")
        if rule == "zero":
            return self.zero(negative)
        if rule == "nan":
            return self.of_nan_result(negative)
        if negative and not self.fmt.signed:
            nan = rule == "p3109" or (rule == "standard" and self.knob("unsigned_negative") != "zero")
            return self.of_nan_result(True) if nan and self.nan is not None else self.limit(True)
        if rule == "saturate":
            return self.limit(negative)
        if self.infinity is not None:
            return self.code(negative, self.infinity)
        if rule == "standard" and self.nan is not None:
            return self.of_nan_result(negative)
        return self.limit(negative)

    def of_overflow(self, negative, rounded):
        rule, rounding = self.knob("overflow"), self.rules.rounding
        if rule == "wrap":
            return self.wrapped(negative, rounded)
        if rule == "nan":
            return self.of_nan_result(negative)
        # The modes that stop at the largest finite value: IEEE 754 clause 7.4, with to_odd as SoftFloat and as P3109
        mode = getattr(rounding, "value", "stochastic")
        stops = mode in ("toward_zero", "toward_positive" if negative else "toward_negative")
        if mode == "to_odd":
            stops = rule == "standard" or not self.fmt.signed
        if rule == "saturate" or (stops and rule in ("standard", "p3109")):
            return self.limit(negative)
        if self.infinity is not None:
            return self.code(negative, self.infinity)
        if rule == "standard" and self.nan is not None:
            return self.of_nan_result(negative)
        return self.limit(negative)

    def below_unsigned(self, rounded):
        """A negative number that did not round to zero, in an unsigned format."""
        rule, rounding = self.knob("unsigned_negative"), self.rules.rounding
        if rule == "standard" and self.knob("overflow") == "wrap":
            return self.wrapped(True, rounded)
        to_zero = getattr(rounding, "value", "stochastic") in ("toward_zero", "toward_positive")
        if rule == "zero" or self.nan is None or (rule == "p3109" and to_zero):
            return self.limit(True)
        return self.of_nan_result(True)

    def wrapped(self, negative, rounded):
        return (-rounded if negative else rounded) % (1 << self.fmt.bits)


@functools.lru_cache(maxsize=64)
def magnitude_table(fmt, count):
    """Order keys of a float format's first magnitudes, and (significand, exponent) of each."""
    values = [magnitude_value(code, fmt) for code in range(count)]
    return [order_key(*value) for value in values], values


class Float(SignMagnitude):
    """Magnitudes are codes; a code above the largest counts on as if more exponents followed."""

    def __init__(self, fmt, rules):
        super().__init__(fmt, rules)
        self.has_zero = fmt.zero
        self.smallest = 1 if fmt.zero else 0
        self.smallest_normal = 1 << (fmt.precision - 1) if fmt.subnormals else self.smallest
        tiny, before = self.knob("subnormals_out") == "flush_tiny", self.knob("tininess") == "before"
        self.flushes_tiny = tiny and not before
        self.flushes_unrounded = (tiny and before) or self.knob("subnormals_out") == "flush_before"
        significand, exponent = magnitude_value(self.smallest_normal, fmt)
        if fmt.zero and not fmt.subnormals:  # one quantum, of the same binade or (precision 1) of the one below
            last = (significand - 1, exponent) if fmt.precision > 1 else (significand, exponent - 1)
        else:
            last = 2 * significand - 1, exponent - 1
        self.last_two = last, (significand, exponent)
        self.max_code = top(fmt) - (fmt.nan == "all_ones") - fmt.infinities
        sign = 1 << (fmt.bits - 1)
        if fmt.nan == "ieee":
            trailing_bits = fmt.precision - 1
            self.infinity = top(fmt) >> trailing_bits << trailing_bits
            self.max_code = self.infinity - 1
            self.nan = self.infinity + (1 << (trailing_bits - 1))
        elif fmt.nan == "all_ones":
            self.nan = top(fmt)
        elif fmt.nan == "negative_zero":
            self.nan = sign
        if fmt.infinities and fmt.nan != "ieee":
            self.infinity = self.max_code + 1
        self.nan_has_sign = fmt.signed and fmt.nan in ("ieee", "all_ones")
        self.negative_zero = sign if fmt.signed and fmt.zero and fmt.nan != "negative_zero" else None
        self.table = magnitude_table(fmt, self.max_code + 2) if fmt.bits <= TABLE_BITS else None

    def largest(self, negative):
        return self.max_code

    def flushes(self, case, up):
        """By the unrounded magnitude, by the rounded one, or by one that is rounded with unbounded exponents.

        That one reaches the smallest normal or stays below it; `goes_up` and `stochastic_up` say which.
        """
        rule = self.knob("subnormals_out")
        if self.flushes_unrounded:
            return case.low < self.smallest_normal
        if self.flushes_tiny or (rule == "flush_after" and self.fmt.subnormals):
            return case.low + up < self.smallest_normal
        return False

    def classify(self, number):
        """Where tiny numbers are flushed, also the place between the smallest normal and what precedes it.

        With unbounded exponents that is half a quantum below; where zero has the code of 2^emin, it is 2^emin.
        """
        case = super().classify(number)
        if case.kind != "finite" or not self.flushes_tiny or case.low >= self.smallest_normal:
            return case
        number = through_float32(number) if self.knob("through") == "float32" else number
        last, smallest, x = aligned(*self.last_two, self.measure(number))
        return case._replace(near_normal=position((x, 0), (last, 0), (smallest, 0)) if x >= last else EXACT)

    def goes_up(self, case):
        if case.near_normal is None:
            return super().goes_up(case)
        parity = (self.smallest_normal - 1) % 2
        return super().goes_up(Case("finite", case.negative, parity, case.near_normal))

    def stochastic_up(self, number, case, random):
        if case.near_normal is None:
            return super().stochastic_up(number, case, random)
        number = through_float32(number) if self.knob("through") == "float32" else number
        last, smallest, x = aligned(*self.last_two, self.measure(number))
        return x > last and stochastic_up(x - last, smallest - last, self.rules.rounding, random)

    def code(self, negative, magnitude):
        return magnitude + (1 << (self.fmt.bits - 1) if negative and self.fmt.signed else 0)

    def neighbours(self, low):
        return (0, 0) if low == NO_ZERO else self.value(low), self.value(low + 1)

    def value(self, magnitude):
        in_table = self.table is not None and magnitude < len(self.table[1])
        return self.table[1][magnitude] if in_table else magnitude_value(magnitude, self.fmt)

    def below(self, number):
        if self.table is None:
            return self.computed_below(number)
        return bisect.bisect_right(self.table[0], order_key(number.significand, number.exponent)) - 1

    def computed_below(self, number):
        """The code below by arithmetic: as many digits as the precision has, none below the smallest quantum."""
        fmt = self.fmt
        smallest, x = aligned(magnitude_value(self.smallest, fmt), self.measure(number))
        if x < smallest:
            return self.smallest - 1
        trailing_bits = fmt.precision - 1
        lowest = (1 if fmt.subnormals else 0) - fmt.bias
        log2 = max(number.exponent + number.significand.bit_length() - 1, lowest)
        quantum = log2 - trailing_bits
        shift = quantum - number.exponent
        digits = number.significand >> shift if shift >= 0 else number.significand << -shift
        if digits < 1 << trailing_bits:  # subnormal: the code counts quanta
            return digits
        return (log2 + fmt.bias << trailing_bits) + digits - (1 << trailing_bits)


class Integer(SignMagnitude):
    """Magnitudes are integers, counted in quanta of 2^-fraction_bits."""

    def __init__(self, fmt, rules):
        super().__init__(fmt, rules)
        self.negative_zero = 1 << (fmt.bits - 1) if fmt.encoding == "sign_magnitude" else None

    def largest(self, negative):
        largest = (1 << (self.fmt.bits - self.fmt.signed)) - 1
        twos_complement = self.fmt.encoding == "twos_complement" and not self.fmt.symmetric
        return largest + (negative and twos_complement)

    def code(self, negative, magnitude):
        if self.fmt.encoding == "sign_magnitude":
            return magnitude + (1 << (self.fmt.bits - 1) if negative else 0)
        return self.wrapped(negative, magnitude)

    def neighbours(self, low):
        return (low, -self.fmt.fraction_bits), (low + 1, -self.fmt.fraction_bits)

    def outcome(self, case, up):
        """Under a machine's own rule for floats that are no integer here (sources are floats wherever it is set)."""
        rule = self.knob("float_to_int_invalid")
        if rule == "standard":
            return super().outcome(case, up)
        rounded = case.low + up if case.kind == "finite" else 0
        if rule.startswith("c_x86_64"):
            return compiled(case, rounded, self.fmt.bits, self.fmt.signed, rule)
        below = case.negative and not self.fmt.signed and rounded > 0
        if case.kind == "zero" or (case.kind == "finite" and not below and rounded <= self.largest(case.negative)):
            return super().outcome(case, up)
        if rule == "x86":
            return self.limit(self.fmt.signed)
        if case.kind == "nan":
            return self.limit(False) if rule == "riscv" else 0
        return self.limit(case.negative)

    def below(self, number):
        quanta = number.exponent + self.fmt.fraction_bits
        return number.significand << quanta if quanta >= 0 else number.significand >> -quanta


# -- codebooks --------------------------------------------------------------------------------------------------------


class Codebook(Target):
    """Ranks in the sorted list of distinct values; -1 below the first."""

    def __init__(self, fmt, rules):
        super().__init__(fmt, rules)
        self.values = sorted(set(fmt.entries))  # -0.0 == 0.0
        self.codes = [fmt.entries.index(value) for value in self.values]
        self.keys = [order_key(*self.signed(value)) for value in self.values]

    @staticmethod
    def signed(value):
        numerator, denominator = value.as_integer_ratio()
        return numerator, 1 - denominator.bit_length()

    def measure(self, number):
        return -number.significand if number.negative else number.significand, number.exponent

    def below(self, number):
        return bisect.bisect_right(self.keys, order_key(*self.measure(number))) - 1

    def neighbours(self, low):
        if low in (-1, len(self.values) - 1):  # beyond an end: as good as at it
            end = self.signed(self.values[max(low, 0)])
            return end, end
        return self.signed(self.values[low]), self.signed(self.values[low + 1])

    def classify(self, number):
        case = super().classify(number)
        if case.kind != "zero":
            return case
        low = self.below(Number("finite", False))
        return Case("zero", False, low, position((0, 0), *self.neighbours(low)))

    def goes_up(self, case):
        return False  # the outcome depends on the values on both sides: see there

    def outcome(self, case, up):
        first, last = self.codes[0], self.codes[-1]
        if case.kind == "nan":
            rule = self.knob("nan")
            if rule == "error":
                raise ValueError("NaN")
            if rule in ("max", "min"):
                return last if rule == "max" else first
            return self.outcome(self.classify(Number("finite", False)), up)
        if case.kind == "infinite":
            if self.knob("infinity") == "zero":
                return self.codes[self.values.index(0)]
            return first if case.negative else last
        if case.low == -1 or case.low == len(self.codes) - 1:
            return first if case.low == -1 else last
        low, high = self.codes[case.low : case.low + 2]
        if case.position == EXACT:
            return low
        sign = 0 if case.kind == "zero" else -1 if case.negative else 1
        return self.between(low, high, sign, case.position)

    def between(self, low, high, sign, where):
        """The code of a value of this sign between two entries, given by their codes."""
        mode, lower_code = self.knob("rounding"), min(low, high)
        nearer = {BELOW: low, TIE: lower_code, ABOVE: high}[where]
        outward = {1: high, 0: lower_code, -1: low}[sign]
        inward = {1: low, 0: lower_code, -1: high}[sign]
        straddles = self.fmt.entries[low] < 0 < self.fmt.entries[high]
        if mode.startswith("nearest"):
            ties = {
                "nearest_even": lower_code,
                "nearest_away": outward,
                "nearest_toward_zero": inward,
                "nearest_toward_positive": high,
                "nearest_toward_negative": low,
            }
            return ties[mode] if where == TIE else nearer
        if mode == "to_odd":
            return nearer if (low + high) % 2 == 0 else low if low % 2 else high
        directed = {
            "toward_positive": high,
            "toward_negative": low,
            "away_from_zero": outward,
            "toward_zero": nearer if straddles else inward,
        }
        return directed[mode]


# -- encode -----------------------------------------------------------------------------------------------------------


def target(fmt, rules):
    """The rules of a cast into a format, as an object that classifies numbers and gives outcomes."""
    return {"float": Float, "int": Integer, "table": Codebook}[fmt.kind](fmt, rules)


class Classified(NamedTuple):
    """Many sources and where each lies on one target's grid: shared by all rounding modes and most knobs."""

    numbers: list[Number]
    cases: list[Case]  # without repetition
    index: np.ndarray  # the place of each source's case


def classify(sources, into):
    """Classify many numbers once."""
    places = {}
    index = [places.setdefault(into.classify(number), len(places)) for number in sources]
    return Classified(sources, list(places), np.array(index, np.intp))


def directions(known, into, random_bits):
    """Whether each source's magnitude goes up under a stochastic rounding with these random integers."""
    up = [
        into.stochastic_up(number, known.cases[place], random)
        for number, place, random in zip(known.numbers, known.index, random_bits.ravel().tolist(), strict=True)
    ]
    return np.array(up, np.intp)


def encode(sources, fmt, rules, random_bits=None, up=None):
    """The codes (uint64) of numbers, or of what `classify` made of them under the same grid.

    `random_bits` are the random integers of a stochastic rounding, one for each source; or `up`: what `directions`
    made of them.
    """
    into = target(fmt, rules)
    known = sources if isinstance(sources, Classified) else classify(sources, into)
    if random_bits is None and up is None:
        codes = [into.outcome(case, into.goes_up(case)) for case in known.cases]
        return np.array(codes, np.uint64)[known.index]
    if up is None:
        up = directions(known, into, random_bits)
    both = np.array([[into.outcome(case, way) for way in (False, True)] for case in known.cases], np.uint64)
    return both[known.index, up]
