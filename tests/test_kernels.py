"""Every core and loop of fpemu.kernels by itself, beside plain integers and the specification.

Few sources, chosen where cores decide: `tests.mutants` runs this module once for every mutant of a kernel.
"""

from __future__ import annotations

import functools
import itertools
import os
import warnings
from pathlib import Path

import numba
import numpy as np
import pytest

import fpemu as fe
from fpemu.codebooks import codebook
from fpemu.grids import route
from fpemu.kernels import bits, convert, jit, lanes, rounding, stream, tables, threads
from fpemu.outcomes import ROUNDING_NUMBERS, kernel_rules
from fpemu.plans import plan
from tests import float_environment, grids, sources, spec
from tests.compare import DETERMINISTIC, MODES, Sources, assert_same_codes, profile
from tests.test_cast_loops import FORMATS, OUTCOMES, exact_bits

ONES = (1 << 64) - 1
WORDS = [0, 1, 2, 3, 5, (1 << 63) - 1, 1 << 63, (1 << 63) + 1, ONES, 0x0123456789ABCDEF, 0xF000000000000001, 6 << 60]


# -- rounding: plain Python, exact ------------------------------------------------------------------------------------


@pytest.mark.parametrize("shift", [*range(0, 132)])
def test_split(shift):
    for word in WORDS:
        kept, rest = divmod(word, 1 << shift)
        expected = kept, (rest << 64) >> shift, (rest << 64) % (1 << shift) != 0
        for split in (rounding.split.py_func, rounding.split):  # as plain Python, and compiled
            assert split(np.uint64(word), shift) == expected


FRACTIONS = [*WORDS, (1 << 63) + 2, 1 << 62, 1 << 31, (1 << 32) - 1, 1 << 32, 3 << 31, 3 << 62, ONES - 1]


@pytest.mark.parametrize("negative", [False, True])
@pytest.mark.parametrize("mode", DETERMINISTIC)
def test_rounds_up(mode, negative):
    fmt = fe.dtype("float8_e4m3fn")
    into = spec.target(fmt, profile(fmt, rounding=mode))
    for fraction, sticky, odd in itertools.product(FRACTIONS, (False, True), (False, True)):
        part, half = 2 * fraction + sticky, 1 << 64
        place = spec.EXACT if not part else spec.TIE if part == half else spec.BELOW if part < half else spec.ABOVE
        expected = into.goes_up(spec.Case("finite", negative, 1 if odd else 2, place))
        number = ROUNDING_NUMBERS[fe.Rounding(mode)]
        actual = rounding.rounds_up.py_func(odd, np.uint64(fraction), sticky, negative, number, 0, np.uint64(0))
        assert bool(actual) == expected, (fraction, sticky, odd)


@pytest.mark.parametrize("count", [1, 2, 5, 8, 31, 32])
@pytest.mark.parametrize("variant", "ABC")
def test_rounds_up_by_chance(variant, count):
    mode = fe.Stochastic(variant, count)
    fmt = fe.dtype("float8_e4m3fn")
    number = kernel_rules(fmt, profile(fmt, rounding=mode), False)[0]
    steps = {(n << 64 >> count) + d & ONES for n in (0, 1, 2, 3, (1 << count) - 1) for d in (-1, 0, 1, 1 << 63 - count)}
    for fraction, sticky in itertools.product([*FRACTIONS, *steps], (False, True)):
        if not fraction and not sticky:
            continue
        least = (1 << count) - (fraction >> 64 - count)
        tried = {0, 1, 2, (1 << count) - 1, (1 << count) - 2, least, least - 1, least - 2}
        for random in (n for n in tried if 0 <= n < 1 << count):
            part = (fraction << 1 | sticky), 1 << 65
            actual = rounding.rounds_up.py_func(
                False, np.uint64(fraction), sticky, False, number, count, np.uint64(random)
            )
            assert bool(actual) == spec.stochastic_up(*part, mode, random), (fraction, sticky, random)


# -- bits and the stream ----------------------------------------------------------------------------------------------


def test_bit_length():
    for word in [*WORDS, *(1 << n for n in range(64))]:
        assert bits.bit_length(np.uint64(word)) == word.bit_length()


@numba.njit
def bit_helpers(x, count, out):
    out[0] = bits.shifted_left(x, count)
    out[1] = bits.shifted_right(x, count)
    out[2] = bits.like(x, x + x)
    out[3] = bits.leading_zeros(x)
    out[4] = bits.bits_of(-bits.float_of(x))


@pytest.mark.parametrize("width", [32, 64])
def test_bit_helpers(width):
    dtype = np.dtype(f"u{width // 8}")
    mask = (1 << width) - 1
    for word, count in itertools.product([1, 3, 0x12345678, mask >> 4, 0x3F800000], [0, 1, width - 1]):
        out = np.zeros(5, dtype)
        bit_helpers(dtype.type(word), dtype.type(count), out)
        sign = 1 << (width - 1)
        expected = [word << count & mask, word >> count, 2 * word & mask, width - word.bit_length(), word ^ sign]
        assert out.tolist() == expected


def expected_word(key, index):
    """splitmix64's finaliser gives two keys of 32 bits; triple32 is keyed with them."""
    high, x = divmod(index, 1 << 32)
    z = (key + (high + 1) * 0x9E3779B97F4A7C15) & ONES
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        z = (z ^ z >> shift) * factor & ONES
    z ^= z >> 31
    x ^= z & 0xFFFFFFFF
    for shift, factor, added in ((17, 0xED5AD4BB, z >> 32), (11, 0xAC4C1B51, 0), (15, 0x31848BAB, 0)):
        x = (x ^ x >> shift) * factor + added & 0xFFFFFFFF
    return x ^ x >> 14


@functools.lru_cache(maxsize=8)
def words(key, first, size):
    """The stream's words from a place on."""
    return np.array([expected_word(key, first + i) for i in range(size)], np.uint32)


INDICES = [0, 1, 2, 0xFFFFFFFF, 1 << 32, (1 << 32) + 1, (5 << 32) + 77, (1 << 63) - 1]


def test_random_words():
    for key, index in itertools.product([0, 1, ONES, 0x0123456789ABCDEF], INDICES):
        assert stream.random_word(np.uint64(key), np.uint64(index)) == expected_word(key, index)


# -- the general kernel -----------------------------------------------------------------------------------------------

NONE = np.empty(0, np.uint32)


def general(codes, source, target, rules, randoms=NONE, key=0, first=0):
    """Codes to codes by `convert_array`, all in uint64, so that it is compiled once."""
    out = np.empty(codes.size, np.uint64)
    numbers = kernel_rules(target, rules.for_codes(target.codes_key), getattr(source, "nan", "") == "ieee")
    convert.convert_array(
        codes.astype(np.uint64), source.spec, target.spec, numbers, randoms, np.uint64(key), np.uint64(first), out
    )
    return out


def assert_converts(given, rules):
    """The general kernel's codes are the specification's."""
    random = given.random_bits(rules)
    actual = general(given.x, given.source, given.fmt, rules, NONE if random is None else random)
    assert_same_codes(actual, given.codes(rules), given.x, given.fmt, rules)


PLAIN = [
    *map(fe.dtype, ["float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e8m0fnu", "float4_e2m1fn", "float32"]),
    *map(fe.dtype, ["int8", "uint8", "uint1", "int64", "uint64", "q3.12", "binary8p1se", "binary8p1uf", "float64"]),
    *(fmt for fmt in grids.ODD_FORMATS if fmt.kind != "table"),
]


FLOAT64 = fe.dtype("float64")


def doubles(fmt, x):
    """The codes of float64 numbers, to be cast to a format."""
    return Sources(x.view(np.uint64), fmt, FLOAT64)


def near(fmt, count, seed):
    """Codes of float64 about the values of a format."""
    return doubles(fmt, grids.near(fmt, np.random.default_rng(seed), count))


@pytest.mark.parametrize("fmt", PLAIN, ids=str)
def test_general_kernel(fmt):
    """Every mode near the values of the format."""
    x = near(fmt, 40, 1)
    for mode in MODES:
        assert_converts(x, profile(fmt, rounding=mode))


@pytest.mark.parametrize("fmt", PLAIN, ids=str)
def test_general_kernel_knobs(fmt):
    x = near(fmt, 24, 2)
    modes = ("nearest_even", "away_from_zero", "toward_negative")
    knobs = [{knob: word} for knob, words in grids.KNOBS.items() if knob != "through" for word in words]
    for mode, turned in itertools.product(modes, knobs):
        rules = profile(fmt, rounding=mode, **turned)
        if rules is not None:
            assert_converts(x, rules)


@pytest.mark.parametrize("fmt", PLAIN, ids=str)
def test_general_kernel_from_codes(fmt):
    """Every kind of source: into itself, into float64 and into integers."""
    codes = grids.codes(fmt, np.random.default_rng(3), 80)
    for target in (fmt, fe.dtype("float64"), fe.dtype("float8_e5m2"), fe.dtype("int8")):
        zero = {"subnormals_in": "zero"} if fmt.kind == "float" else {}  # plans never ask it of integers
        given = Sources(codes, target, fmt)
        for knobs in ({}, zero, {"rounding": "to_odd"}):
            assert_converts(given, profile(target, **knobs))


@pytest.mark.parametrize("target", ["float8_e5m2", "bfloat16", "float64", "float8_e3m4"])
def test_general_kernel_nan_payloads(target):
    fmt = fe.dtype(target)
    for name in ("float64", "float16", "float8_e5m2"):
        source = fe.dtype(name)
        field = ((1 << source.exponent_bits) - 1) << source.trailing_bits
        payloads = [0, *(1 << i for i in range(source.trailing_bits)), (1 << source.trailing_bits) - 1]
        codes = [field | payload | sign for payload in payloads for sign in (0, source.sign_mask)]
        given = Sources(np.array(codes, np.uint64), fmt, source)
        for knob in ("drop", "quiet", "keep"):
            assert_converts(given, profile(fmt, nan_payload=knob))


@pytest.mark.parametrize("fmt", [*grids.formats_of_little_precision()][::5], ids=str)
def test_general_kernel_little_precision(fmt):
    """Eighths of the steps between values of formats with precision 1 and 2."""
    edges = np.array([s * 2.0**e for s, e in sources.magnitudes(fmt)])
    x = (edges[:-1, None] + (edges[1:] - edges[:-1])[:, None] * np.arange(8) / 8).ravel()
    x = doubles(fmt, np.concatenate([x, -x]))
    for mode in (*DETERMINISTIC, fe.Stochastic("A", 2), fe.Stochastic("C", 2)):
        assert_converts(x, profile(fmt, rounding=mode))


@pytest.mark.parametrize("name", ["int4", "uint8", "int64", "uint64", "q3.12"])
def test_general_kernel_wraps(name):
    fmt = fe.dtype(name)
    powers = np.array([2.0**n * f for n in range(-3, 70) for f in (1, 1.25, 1.5, 1.96875)])
    x = doubles(fmt, np.concatenate([powers, -powers]))
    for mode, rule in itertools.product(("toward_zero", "nearest_even"), ("standard", "zero", "magnitude")):
        rules = profile(fmt, rounding=mode, overflow="wrap", unsigned_negative=rule)
        if rules is not None:
            assert_converts(x, rules)


@pytest.mark.parametrize("mode", [fe.Stochastic("A", 8), fe.Stochastic("B", 32), fe.Stochastic("C", 1)], ids=str)
def test_general_kernel_draws_the_stream(mode):
    """Element i's integer is the top of the stream's word first + i."""
    fmt = fe.dtype("float8_e4m3fn")
    rules = profile(fmt, rounding=mode)
    x = near(fmt, 60, 4).x
    first = (1 << 32) - 50
    handed = general(x, FLOAT64, fmt, rules, words(9, first, x.size) >> (32 - mode.bits))
    np.testing.assert_array_equal(general(x, FLOAT64, fmt, rules, NONE, 9, first), handed)


# -- tables and codebooks ---------------------------------------------------------------------------------------------


def test_take():
    table, codes = np.array([7, 8, 9], np.uint8), np.array([2, 0, 1, 2], np.uint16)
    out = np.zeros(5, np.uint8)
    tables.take_array(table, codes, out)
    assert out.tolist() == [9, 7, 8, 9, 0]


BOOKS = [fmt for fmt in [*grids.ODD_FORMATS, fe.dtype("nf4")] if fmt.kind == "table"]


@pytest.mark.parametrize("fmt", BOOKS, ids=str)
def test_codebooks(fmt):
    given = near(fmt, 60, 5)
    x = given.x
    for mode in DETERMINISTIC:
        for knobs in ({}, {"subnormals_in": "zero"}, {"nan": "max"}, {"nan": "min"}):
            rules = profile(fmt, rounding=mode, **knobs)
            book, out = codebook(fmt, rules), np.empty(x.size, np.uint64)
            specials = np.array(book.specials, np.uint16)
            daz = rules.subnormals_in.value == "zero"
            tables.codebook_array(
                x, FLOAT64.spec, daz, book.binades, book.digits, book.inclusive, book.codes, specials, out
            )
            assert_same_codes(out, given.codes(rules), x, fmt, rules)


def test_codebook_specials():
    """Each special source has a place of its own."""
    fmt = fe.TableFormat("two", [0, 1])
    book, out = codebook(fmt, profile(fmt)), np.empty(4, np.uint64)
    x = np.array([np.nan, -np.nan, np.inf, -np.inf]).view(np.uint64)
    specials = np.array([10, 11, 12, 13], np.uint16)
    tables.codebook_array(x, FLOAT64.spec, False, book.binades, book.digits, book.inclusive, book.codes, specials, out)
    assert out.tolist() == [10, 11, 12, 13]


# -- fast loops -------------------------------------------------------------------------------------------------------


def loop_rules(fmt):
    """All deterministic modes, and other outcomes."""
    rules = [profile(fmt, rounding=mode) for mode in DETERMINISTIC]
    if fmt.bits <= 16:
        modes = ("nearest_even", "toward_positive", "nearest_toward_negative")
        rules += [profile(fmt, rounding=mode, **knobs) for knobs in OUTCOMES for mode in modes]
    return [these for these in rules if these is not None]


def loop_sources(fmt, dtype):
    """Each exponent field with a few significands, and what is about the format's values."""
    few = sources.float32_few()[1::24] if dtype == "float32" else sources.float64_few()[2::31]
    special = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, -np.nan], dtype)
    return np.concatenate([grids.near(fmt, np.random.default_rng(6), 60, dtype), few, special])


def run_loop(fmt, rules, x, kind, first=0, key=0):
    """The words that a fast loop gives, as its plan calls it."""
    source = fe.dtype(x.dtype)
    work = plan(source, fmt, rules, source if kind == "values" else None)
    out = np.empty(x.size, work.out_dtype)
    work(x.view(f"u{x.itemsize}"), out, first, NONE, key)
    return out.astype(np.uint64)


def expected_words(codes, fmt, kind, dtype):
    """Codes, or the bits of their values."""
    if kind == "codes":
        return codes
    distinct, places = np.unique(codes, return_inverse=True)
    found = [exact_bits(spec.decode(code, fmt), dtype) for code in distinct.tolist()]
    return np.array(found, np.uint64)[places]


def calm_first(fmt, x):
    """The places of x by magnitude, and how many of them neither overflow nor are special."""
    order = np.argsort(np.abs(x), kind="stable")
    largest = fmt.value(fmt.max_int if fmt.kind == "int" else fmt.max_code)
    return order, int((np.abs(x) <= largest).sum())


def pieces(fmt, x):
    """Places of x that a loop gets at a time: loops may take whole blocks, or arrays, for harmless."""
    order, calm = calm_first(fmt, x)
    harmless = order[:calm]
    yield np.arange(x.size)
    yield harmless
    yield harmless[~np.signbit(x[harmless])]
    yield np.concatenate([np.resize(harmless, 5_000), order, np.resize(harmless, 5_000), order[calm:], harmless])
    for i in range(max(calm - 5, 0), min(calm + 5, x.size)):  # one by one about the limit
        yield order[i : i + 1]


@pytest.mark.parametrize("kind", ["codes", "values"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("loop", ["addition", "shift", "uniform"])
def test_fast_loop(loop, dtype, kind):
    """What a loop gives under every rule that it takes is what the specification says."""
    tried = 0
    for fmt in FORMATS:
        given = None
        for rules in loop_rules(fmt):
            found = route(fmt, kernel_rules(fmt, rules, True), dtype, kind == "codes")
            if found is None or found.loop != loop:
                continue
            given = given or Sources(loop_sources(fmt, dtype), fmt)
            expected = expected_words(given.codes(rules), fmt, kind, dtype)
            for places in pieces(fmt, given.x):
                x = given.x[places]
                assert_same_codes(run_loop(fmt, rules, x, kind), expected[places], x, fmt, rules)
            tried += 1
    assert tried > 30


@float_environment.needed
@pytest.mark.parametrize("kind", ["codes", "values"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_addition_leaves_it_to_others(dtype, kind):
    """Where the FPU is unfit."""
    fmt = fe.dtype("float8_e4m3fn")
    rules, x = profile(fmt), loop_sources(fmt, dtype)
    expected = run_loop(fmt, rules, x, kind)
    for name in float_environment.CHANGED:
        with float_environment.changed(name):
            found = run_loop(fmt, rules, x, kind)
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("kind", ["codes", "values"])
@pytest.mark.parametrize("uniform", [False, True])
def test_stochastic_loop(uniform, kind):
    tried = 0
    for fmt, count in itertools.product(FORMATS, (1, 8, 23, 32)):
        rules = profile(fmt, rounding=fe.Stochastic("A", count))
        found = route(fmt, kernel_rules(fmt, rules, True), "float32", kind == "codes")
        if found is None or (found.loop == "uniform") != uniform:
            continue
        x = loop_sources(fmt, "float32")[::2]
        order, calm = calm_first(fmt, x)
        x = x[np.concatenate([np.resize(order[:calm], 2_100), order])]
        known = spec.classify(spec.numbers(x), spec.target(fmt, rules))
        for first in (0, (3 << 32) - x.size):
            random = words(5, first, x.size) >> (32 - count)
            expected = expected_words(spec.encode(known, fmt, rules, random), fmt, kind, "float32")
            assert_same_codes(run_loop(fmt, rules, x, kind, first, 5), expected, x, fmt, rules)
        tried += 1
    assert tried >= 4


PROBE = np.array([1, 2**-24, 1 + 2**-23, 1 + 2**-22, 2**-126, 0.5, 2], np.float32)


def test_float_environment_is_standard():
    assert lanes.float_environment_is_standard(PROBE)
    for place, value in enumerate([2**-30, 2**-20, 1, 1, 2**-149, 0.3, 3]):  # each makes one answer wrong
        wrong = PROBE.copy()
        wrong[place] = value
        assert not lanes.float_environment_is_standard(wrong)


@float_environment.needed
@pytest.mark.parametrize("name", float_environment.CHANGED)
def test_float_environment_is_not_standard(name):
    lanes.float_environment_is_standard(PROBE)
    with float_environment.changed(name):
        found = lanes.float_environment_is_standard(PROBE)
    assert not found


# -- threads and where loops are cached -------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("size", [0, 1, 9, 10, 11, 20, 21, 35])
def test_pieces_cover_an_array(size, count, monkeypatch):
    monkeypatch.setattr(threads, "CHUNK", 10)
    monkeypatch.setattr(threads, "_count", count)
    pieces = []
    threads.run(lambda start, stop: pieces.append((start, stop)), size)
    assert sorted(pieces) == [(start, min(start + 10, size)) for start in range(0, size, 10)]


def test_a_piece_that_fails(monkeypatch):
    monkeypatch.setattr(threads, "CHUNK", 10)

    def work(start, stop):
        if start == 10:
            raise KeyError("the second")

    for count in (1, 2):
        monkeypatch.setattr(threads, "_count", count)
        with pytest.raises(KeyError, match="the second"):
            threads.run(work, 30)


def test_the_pool_has_as_many_threads(monkeypatch):
    monkeypatch.setattr(threads, "CHUNK", 1)
    for count in (2, 3, 3, 2):
        monkeypatch.setattr(threads, "_count", count)
        threads.run(lambda start, stop: None, 5)
        assert threads._pool._max_workers == count
    monkeypatch.setattr(threads, "_count", 50)
    threads.run(lambda start, stop: None, 4)
    assert threads._pool._max_workers == 4
    before = threads._executor(4)
    assert threads._executor(4) is before


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_the_pool_after_a_fork(monkeypatch):
    """A child has no threads: it forgets the pool, and the lock that another thread may hold."""
    monkeypatch.setattr(threads, "CHUNK", 1)
    monkeypatch.setattr(threads, "_count", 2)
    threads.run(lambda start, stop: None, 5)
    with warnings.catch_warnings(), threads._lock:
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12: of forks beside threads
        child = os.fork()
        if not child:
            forgotten = threads._pool is None and threads._lock.acquire(blocking=False)
            os._exit(0 if forgotten else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_the_number_of_threads(monkeypatch):
    monkeypatch.setattr(threads, "available_cpus", lambda: 5)
    for wish, expected in (("", 5), ("3", 3), ("1", 1), ("12", 12)):
        monkeypatch.setattr(threads, "_count", None)
        monkeypatch.setenv("FPEMU_NUM_THREADS", wish)
        assert threads.get_count() == expected
        monkeypatch.setenv("FPEMU_NUM_THREADS", "9")
        assert threads.get_count() == expected
    for wish in ("0", "-1", "two", "1.5", "\N{SUPERSCRIPT TWO}", "\N{ARABIC-INDIC DIGIT TWO}"):
        monkeypatch.setattr(threads, "_count", None)
        monkeypatch.setenv("FPEMU_NUM_THREADS", wish)
        with pytest.raises(ValueError, match="FPEMU_NUM_THREADS"):
            threads.get_count()


def test_available_cpus(monkeypatch):
    monkeypatch.setattr(threads.os, "sched_getaffinity", lambda pid: {0, 2, 5} if pid == 0 else {1}, raising=False)
    assert threads.available_cpus() == 3
    monkeypatch.delattr(threads.os, "sched_getaffinity")
    for count, expected in ((7, 7), (None, 1)):
        monkeypatch.setattr(threads.os, "cpu_count", lambda count=count: count)
        assert threads.available_cpus() == expected


def test_cache_folders(monkeypatch, tmp_path):
    """The user's folder alone where there is one; else the package's, else the user's cache."""
    kernels = Path(jit.__file__).parent
    monkeypatch.setattr(numba.config, "CACHE_DIR", "")
    monkeypatch.setattr(jit.sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert list(jit._candidates()) == [kernels / "__pycache__", tmp_path / "xdg" / "fpemu"]
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert list(jit._candidates()) == [kernels / "__pycache__", tmp_path / ".cache" / "fpemu"]
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert list(jit._candidates()) == [kernels / "__pycache__"]
    monkeypatch.setattr(jit.sys, "platform", "win32")
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "local"))
    assert list(jit._candidates()) == [kernels / "__pycache__", tmp_path / "local" / "fpemu"]
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "own"))
    assert list(jit._candidates()) == [tmp_path / "own"]
    assert jit._cache_folder() == str(tmp_path / "own" / f"fpemu-{jit.digest()}")
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "file"))
    assert jit._cache_folder() is None


def test_digest(monkeypatch, tmp_path):
    """Another digest for another byte, name or file; the same for the same."""
    monkeypatch.setattr(jit, "_sources", tmp_path)
    found = [jit.digest()]
    for name, text in (("a.py", "1"), ("a.py", "2"), ("b.py", ""), ("b.py", "\n")):
        (tmp_path / name).write_text(text)
        found.append(jit.digest())
    (tmp_path / "b.py").rename(tmp_path / "c.py")
    found.append(jit.digest())
    assert len(set(found)) == len(found)
    (tmp_path / "note.txt").write_text("no kernel")
    assert jit.digest() == found[-1]
    assert len(found[-1]) == 16


def test_loops_are_cached_in_the_digests_folder(monkeypatch, tmp_path):
    users = numba.config.CACHE_DIR
    monkeypatch.setattr(jit, "_folder", str(tmp_path))
    kept = jit.loop(tables.take_array.py_func)
    assert users == numba.config.CACHE_DIR
    assert Path(kept._cache.cache_path).parent == tmp_path
    assert kept.targetoptions["nogil"]  # else threads would wait for each other
    monkeypatch.setattr(jit, "_folder", None)
    assert not hasattr(jit.loop(tables.take_array.py_func)._cache, "_impl")
