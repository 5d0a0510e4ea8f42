"""The same bits whatever surrounds a cast: threads, chunks, forks, the FPU's modes, the state of the kernels' cache."""

from __future__ import annotations

import concurrent.futures
import contextlib
import os
import shutil
import subprocess
import sys
import textwrap
import threading
import tracemalloc
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

import fpemu as fe
from fpemu.kernels import threads
from tests.cases import float_environment

ROOT = Path(__file__).parents[2]
STOCHASTIC = fe.Stochastic("A", 12)


def bits(x):
    """An array's bits, so that NaNs and signs of zeros count."""
    return np.ascontiguousarray(x).view(f"u{x.dtype.itemsize}")


def assert_same_bits(actual, expected):
    assert actual.dtype == expected.dtype
    np.testing.assert_array_equal(bits(actual), bits(expected))


def floats(count, dtype=np.float32, seed=1):
    """Random bits: every exponent, NaNs, infinities, subnormals."""
    raw = np.random.default_rng(seed).integers(0, 256, count * np.dtype(dtype).itemsize, dtype=np.uint8)
    return raw.view(dtype)


# One cast for each kind of plan: by addition, by shifts, uniform, by chance, general, by table, codebook, in two steps.
CASTS = {
    "addition": lambda x: fe.encode(x, "float8_e4m3fn"),
    "addition_values": lambda x: fe.cast(x, "bfloat16"),
    "directed": lambda x: fe.encode(x, "float16", rounding="toward_positive"),
    "shift": lambda x: fe.encode(x, "float8_e5m2", rounding="nearest_away"),
    "uniform": lambda x: fe.cast(x, "float8_e8m0fnu"),
    "stochastic": lambda x: fe.encode(x, "bfloat16", rounding=STOCHASTIC, rng=7),
    "stochastic_values": lambda x: fe.cast(x, "float8_e4m3fn", rounding=STOCHASTIC, rng=7),
    "general": lambda x: fe.encode(x, "float8_e4m3fn", rounding=fe.Stochastic("C", 9), rng=7),
    "daz": lambda x: fe.encode(x, "float16", profile=fe.profile("ieee").replace(subnormals_in="zero")),
    "table": lambda x: fe.encode(x.view(np.uint16)[: x.size], "float6_e2m3fn", source="float16"),
    "codebook": lambda x: fe.cast(x, "nf4"),
    "through": lambda x: fe.encode(x, "float8_e4m3fn", profile=fe.profile("ieee").replace(through="float32")),
    "decode": lambda x: fe.decode(x.view(np.uint8)[: x.size], "float8_e4m3fn"),
    "decode_wide": lambda x: fe.decode(x.view(np.uint32)[: x.size], "float32"),
    "integers": lambda x: fe.encode(x.view(np.int32)[: x.size], "float16"),
}


# -- threads ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def thread_count():
    before = fe.get_num_threads()
    yield
    fe.set_num_threads(before)


@pytest.mark.usefixtures("thread_count")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", CASTS)
def test_any_number_of_threads_and_size_of_chunks(name, dtype, monkeypatch):
    x = floats(150_001, dtype)
    fe.set_num_threads(1)
    expected = CASTS[name](x)
    for count, chunk in [(1, 1_000), (2, 4_096), (3, 77_777), (7, 1_001), (2, 150_000), (2, 1 << 20)]:
        fe.set_num_threads(count)
        monkeypatch.setattr(threads, "CHUNK", chunk)
        assert_same_bits(CASTS[name](x), expected)


@pytest.mark.usefixtures("thread_count")
def test_more_than_the_real_chunk():
    """Unpatched: more than a million elements on several threads."""
    x = floats(2_500_000)
    for name in ("addition", "stochastic"):
        fe.set_num_threads(1)
        expected = CASTS[name](x)
        fe.set_num_threads(3)
        assert_same_bits(CASTS[name](x), expected)


@pytest.mark.parametrize("rounding", [STOCHASTIC, fe.Stochastic("B", 5), fe.Stochastic("C", 32)], ids=str)
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16])
def test_stochastic_rounding_in_parts(rounding, dtype, monkeypatch):
    """A seed's bits belong to places: one call, several with rng_offset, any layout."""
    monkeypatch.setattr(threads, "CHUNK", 10_000)
    x = floats(90_000, dtype).reshape(300, 300)
    for start in (0, (1 << 32) - 40_000):
        whole = fe.encode(x, "float8_e4m3fn", rounding=rounding, rng=3, rng_offset=start)
        for rows in (1, 77, 299):
            parts = [
                fe.encode(x[i : i + rows], "float8_e4m3fn", rounding=rounding, rng=3, rng_offset=start + 300 * i)
                for i in range(0, 300, rows)
            ]
            assert_same_bits(np.concatenate(parts), whole)
        for same in (np.asfortranarray(x), x.astype(x.dtype.newbyteorder()), np.repeat(x, 2, axis=1)[:, ::2]):
            assert_same_bits(fe.encode(same, "float8_e4m3fn", rounding=rounding, rng=3, rng_offset=start), whole)
    again = fe.encode(x, "float8_e4m3fn", rounding=rounding, rng=4)
    assert (again != whole).any()


def test_generators():
    """One draw from a Generator, the same as the integer's that seeds an equal one."""
    x = floats(1_000)
    generator = np.random.default_rng(5)
    first = fe.encode(x, "bfloat16", rounding="stochastic", rng=generator)
    assert_same_bits(first, fe.encode(x, "bfloat16", rounding="stochastic", rng=5))
    other = np.random.default_rng(5)
    other.integers(0, 1 << 64, dtype=np.uint64)
    assert generator.integers(1 << 60) == other.integers(1 << 60)


@pytest.mark.usefixtures("thread_count")
def test_many_python_threads_at_once(monkeypatch):
    """Different casts from many threads, while others change the number of threads."""
    monkeypatch.setattr(threads, "CHUNK", 5_000)
    x = floats(100_000)
    expected = {name: cast(x) for name, cast in CASTS.items()}
    done = threading.Event()

    def change():
        n = 0
        while not done.wait(0.001):
            fe.set_num_threads(n % 5 + 1)
            n += 1

    def call(name):
        for _ in range(4):
            assert_same_bits(CASTS[name](x), expected[name])
        return name

    with concurrent.futures.ThreadPoolExecutor(10) as pool:
        changing = pool.submit(change)
        try:
            names = list(pool.map(call, [*CASTS, *CASTS]))
        finally:
            done.set()
        changing.result()
    assert names == [*CASTS, *CASTS]


# -- subprocesses -----------------------------------------------------------------------------------------------------


def run(code, cwd=ROOT, **environment):
    """What a Python program prints, run in a folder that holds a fpemu package."""
    unset = {"NUMBA_CACHE_DIR", "XDG_CACHE_HOME", "FPEMU_NUM_THREADS", "PYTHONPATH"}
    kept = {name: value for name, value in os.environ.items() if name not in unset}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        cwd=cwd,
        env={**kept, **{name: str(value) for name, value in environment.items()}},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


FORK = """
    import multiprocessing, os, threading, warnings
    import numpy as np
    import fpemu as fe
    from fpemu.kernels import threads

    warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns of forks beside threads
    threads.CHUNK = 10_000
    fe.set_num_threads(3)
    x = np.random.default_rng(0).normal(size=200_000).astype(np.float32)

    def cast(_=None):
        return fe.encode(x, "float8_e4m3fn").tobytes()

    expected = cast()
    assert threads._pool is not None
    stop = threading.Event()

    def busy():
        while not stop.is_set():
            cast()
            fe.set_num_threads(2)
            cast()
            fe.set_num_threads(3)

    worker = threading.Thread(target=busy)
    worker.start()
    for _ in range(20):
        child = os.fork()
        if not child:
            same = cast() == expected and cast() == expected
            os._exit(0 if same else 1)
        assert os.waitpid(child, 0)[1] == 0
    stop.set()
    worker.join()
    with multiprocessing.get_context("fork").Pool(2) as pool:
        assert pool.map(cast, range(6)) == [expected] * 6
    assert cast() == expected
    print("same")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_after_fork():
    """Children of a process whose pool is at work make their own."""
    assert run(FORK) == "same"


def test_first_calls_from_many_threads(tmp_path):
    """Kernels that several threads compile at once."""
    code = """
        import threading
        import numpy as np
        import fpemu as fe
        x = np.random.default_rng(0).normal(size=1000).astype(np.float32)
        found, start = [], threading.Barrier(6)
        def call():
            start.wait()
            found.append(fe.encode(x, "float8_e4m3fn").tobytes())
        workers = [threading.Thread(target=call) for _ in range(6)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        assert len(found) == 6
        print(found == [fe.encode(x, "float8_e4m3fn").tobytes()] * 6)
    """
    assert run(code, NUMBA_CACHE_DIR=tmp_path) == "True"


# -- the FPU's modes --------------------------------------------------------------------------------------------------

SOURCES = {
    np.float32: np.concatenate(
        [floats(3_000), np.arange(1, 1 << 23, 9_973, dtype=np.uint32).view(np.float32), np.float32([0, -0.0, 1, 3e-40])]
    ),
    np.float64: np.concatenate(
        [floats(3_000, np.float64), np.geomspace(1e-320, 1e300, 3_000), -np.geomspace(1e-46, 1e39, 3_000)]
    ),
    np.float16: np.arange(1 << 16, dtype=np.uint16).view(np.float16),
}
TARGETS = [
    *["float8_e4m3fn", "float8_e5m2", "float8_e8m0fnu", "float4_e2m1fn", "bfloat16", "float16", "float32", "tfloat32"],
    *["int8", "q3.12", "nf4", "binary8p1se", "float8_e4m3fnuz", "e8m3", "tiny_table", "small_exponents"],
]
OWN = {
    "tiny_table": fe.TableFormat("tiny_table", [0, 1e-40, 1.5e-39, -2e-45, 5e-324, 3e-310, 1, -1]),
    "small_exponents": fe.FloatFormat("small_exponents", 8, 4, bias=140),
}
MODES = ["nearest_even", "nearest_away", "toward_positive", "to_odd"]


def forget():
    """Empty all of fpemu's caches of plans and what they need."""
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] == "fpemu":
            for member in vars(module).values():
                if hasattr(member, "cache_clear"):
                    member.cache_clear()


def everything(dtype, name):
    """Codes, values and decoded codes, from plans made anew."""
    forget()
    x, fmt, found = SOURCES[dtype], OWN.get(name, name), []
    for mode in MODES:
        codes = fe.encode(x, fmt, rounding=mode)
        found += [codes, fe.cast(x, fmt, rounding=mode), fe.decode(codes, fmt)]
    if not isinstance(fe.dtype(fmt), fe.TableFormat):
        found.append(fe.encode(x, fmt, rounding="stochastic", rng=1))
    return [bits(array) for array in found]


@float_environment.needed
@pytest.mark.parametrize("dtype", SOURCES)
@pytest.mark.parametrize("name", TARGETS)
def test_modes_left_set(name, dtype):
    """Plans made and carried out under each rounding and flush mode of the FPU."""
    expected = everything(dtype, name)
    wrong = []
    for mode in float_environment.CHANGED:
        with float_environment.changed(mode):
            found = everything(dtype, name)
        if any((a != b).any() for a, b in zip(found, expected, strict=True)):
            wrong.append(mode)
    forget()
    assert not wrong


@float_environment.needed
@pytest.mark.parametrize("scheme", ["nf4_64", "bnb_fp4_64", "bnb_nf4"])
def test_modes_of_the_first_call(scheme):
    """What bitsandbytes' profile keeps of a codebook is the same whatever the modes were when it was made."""
    values = np.unique(np.float32(fe.scheme(scheme).element.entries))
    marks = (values[1:] + values[:-1]) / np.float32(2)
    beside = [np.nextafter(marks, np.float32(end)) for end in (-2, 2)]
    row = np.concatenate([[1], marks, *beside, np.zeros(30)])[:64]
    x = np.ldexp(row, np.arange(-40, 40)[:, None]).astype(np.float32)
    found = {}
    for mode in (None, "toward_positive", "both_toward_zero", None):
        forget()
        with float_environment.changed(mode) if mode else contextlib.nullcontext():
            fe.quantize(x[:1], scheme, profile="bitsandbytes")
        q = fe.quantize(x, scheme, profile="bitsandbytes")
        found[mode] = q.codes.tobytes() + q.scales.tobytes()
    assert len(set(found.values())) == 1


@float_environment.needed
@pytest.mark.usefixtures("thread_count")
def test_modes_that_the_pool_inherits(monkeypatch):
    """Threads that started under another mode keep it."""
    monkeypatch.setattr(threads, "CHUNK", 10_000)
    x = floats(100_000)
    expected = {name: cast(x) for name, cast in CASTS.items()}
    for mode in float_environment.CHANGED:
        fe.set_num_threads(5)
        CASTS["addition"](x)
        fe.set_num_threads(4)
        with float_environment.changed(mode):
            CASTS["addition"](x)  # makes the pool
        for name, cast in CASTS.items():
            assert_same_bits(cast(x), expected[name])
    fe.set_num_threads(2)
    CASTS["addition"](x)


# -- the kernels' cache -----------------------------------------------------------------------------------------------

TIE = 1.0625  # between 1 and 1.125 in float8_e4m3fn: codes 0x38 and 0x39
PRINT_CODES = """
    import numpy as np, fpemu as fe
    x = np.array([1.0625, -3.3], np.{dtype})
    print(fe.__file__, *fe.encode(x, "float8_e4m3fn", rounding="{mode}"))
"""


@pytest.fixture
def package(tmp_path):
    """A copy of the package, without any cache."""
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "fpemu", tmp_path / "fpemu", ignore=ignored)
    return tmp_path


def codes_of(package, dtype="float16", mode="nearest_even", **environment):
    """The codes of the tie and of -3.3, cast by a copied package in a process of its own."""
    file, *codes = run(PRINT_CODES.format(dtype=dtype, mode=mode), package, **environment).split()
    assert Path(file).parents[1] == package
    return [int(code) for code in codes]


def cached(folder):
    """The kernels kept below a folder."""
    return sorted(folder.rglob("*.kernel"))


@pytest.mark.parametrize(
    ("dtype", "file", "before", "after", "expected"),
    [
        (
            "float16",
            "scalar/rounding.py",
            "rounding == NEAREST_EVEN and odd",
            "rounding == NEAREST_EVEN and not odd",
            0x39,
        ),
        ("float32", "cpu/fast_casts.py", "shifted_right(mask, one) + tie", "mask + tie", 0x39),
    ],
)
def test_an_edited_core_is_compiled_anew(package, dtype, file, before, after, expected):
    """Numba's cache looks only at a loop's own file; a core elsewhere must count too."""
    mode = "nearest_even" if dtype == "float16" else "nearest_toward_zero"
    assert codes_of(package, dtype, mode)[0] == 0x38
    first = cached(package)
    assert first
    assert codes_of(package, dtype, mode)[0] == 0x38
    assert cached(package) == first  # the second run found it
    path = package / "fpemu" / "kernels" / file
    text = path.read_text()
    assert text.count(before) == 1 or file == "cpu/fast_casts.py"
    path.write_text(text.replace(before, after))
    assert codes_of(package, dtype, mode)[0] == expected
    assert len(cached(package)) > len(first)
    path.write_text(text)
    assert codes_of(package, dtype, mode)[0] == 0x38


def test_cache_of_the_user(package, tmp_path):
    """NUMBA_CACHE_DIR, and nothing beside it."""
    assert codes_of(package, NUMBA_CACHE_DIR=tmp_path / "mine")[0] == 0x38
    assert cached(tmp_path / "mine")
    assert cached(tmp_path) == cached(tmp_path / "mine")


def test_a_package_that_cannot_be_written(package, tmp_path):
    """Then the user's own cache folder; without one every process compiles."""
    (package / "fpemu" / "kernels" / "__pycache__").write_text("a file, no folder")
    assert codes_of(package, HOME=tmp_path / "home")[0] == 0x38
    assert cached(tmp_path / "home" / ".cache" / "fpemu")
    (tmp_path / "nowhere").write_text("")
    assert codes_of(package, HOME=tmp_path / "nowhere")[0] == 0x38
    assert codes_of(package, HOME=tmp_path / "home", NUMBA_CACHE_DIR=tmp_path / "nowhere" / "below")[0] == 0x38
    assert len(cached(tmp_path)) == len(cached(tmp_path / "home"))


@pytest.mark.parametrize("then", ["shutil.rmtree(folder)", "shutil.rmtree(folder); folder.write_text('')"])
def test_a_cache_that_goes_away(package, then):
    """Between the import and the first cast."""
    code = f"""
        import pathlib, shutil
        import numpy as np
        import fpemu as fe
        from fpemu.kernels import cache
        folder = pathlib.Path(cache.folder)
        {then}
        print(*fe.encode(np.array([1.0625], np.float16), "float8_e4m3fn"))
    """
    assert run(code, package) == "56"


# -- memory -----------------------------------------------------------------------------------------------------------

MEMORY = {
    "cast": (np.float32, lambda x, out: fe.cast(x, "bfloat16", out=out), np.float32),
    "encode": (np.float32, lambda x, out: fe.encode(x, "float8_e4m3fn", out=out), np.uint8),
    "stochastic": (np.float32, lambda x, out: fe.encode(x, "bfloat16", rounding=STOCHASTIC, rng=1, out=out), np.uint16),
    "codebook": (np.float32, lambda x, out: fe.cast(x, "nf4", out=out), np.float32),
    "float64": (np.float64, lambda x, out: fe.cast(x, "float16", out=out), np.float64),
    "to_float32": (np.float64, lambda x, out: fe.cast(x, "float16", out=out, dtype=np.float32), np.float32),
    "float16": (np.float16, lambda x, out: fe.encode(x, "float8_e5m2", out=out), np.uint8),
    "integers": (np.int64, lambda x, out: fe.encode(x, "float8_e5m2", out=out), np.uint8),
    "decode": (np.uint16, lambda x, out: fe.decode(x, "float16", out=out), np.float32),
    "strided": (np.float32, lambda x, out: fe.encode(x[::-1], "float8_e4m3fn", out=out), np.uint8),
    "nan_error": (
        np.float32,
        lambda x, out: fe.encode(x, "int8", profile=fe.profile("ieee").replace(nan="error"), out=out),
        np.uint8,
    ),
    "through": (
        np.float64,
        lambda x, out: fe.encode(x, "int8", profile=fe.profile("ieee").replace(through="float32"), out=out),
        np.uint8,
    ),
    "to_itself": (np.float32, lambda x, out: fe.cast(x, "float32", out=out), np.float32),
}


@pytest.mark.parametrize("name", MEMORY)
def test_memory_beyond_input_and_output(name):
    """Under 32 MiB for an input of 64 MiB."""
    dtype, cast, result = MEMORY[name]
    x = np.zeros((64 << 20) // np.dtype(dtype).itemsize, dtype)
    out = np.empty(x.size, result)
    cast(x[:70_000], out[:70_000])  # compiles
    tracemalloc.start()
    try:
        cast(x, out)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 32 << 20


def test_an_overlapping_out_costs_one_temporary():
    x = np.zeros(16 << 20, np.float32)
    fe.cast(x[:-1], "bfloat16", out=x[1:])
    tracemalloc.start()
    try:
        fe.cast(x[:-1], "bfloat16", out=x[1:])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < (64 + 32) << 20


def test_ml_dtypes_come_in_without_copies():
    x = np.zeros(32 << 20, ml_dtypes.bfloat16)
    out = np.empty(x.size, np.uint8)
    tracemalloc.start()
    try:
        fe.encode(x, "float8_e4m3fn", out=out)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 32 << 20
