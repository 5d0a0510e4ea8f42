"""fpemu under each peer's profile against that peer: live where it is installed, else by tests/peers/witness."""

import numpy as np
import pytest

import fpemu as fe
from tests.peers.tools import PEERS
from tests.peers.witness.records import file_of, libraries, load
from tests.peers.witness.sources import digest, midpoints, source

RECORDED = [(name, fmt) for peers in libraries().values() for name, peer in peers.items() for fmt in peer.formats]
LIVE = [
    (name, fmt)
    for name, peer in PEERS.items()
    if peer.rules is not None and not peer.recorded and peer.available()
    for fmt in peer.formats
]


@pytest.fixture(scope="module")
def recorded():
    """Every library's recorded answers, and what its file says about them."""
    return {library: load(library) for library in libraries()}


def assert_codes_agree(name, fmt, kind, x, theirs):
    """Our codes are the peer's, but for the sources that its row of the table leaves out; NaN as the row says."""
    peer = PEERS[name]
    kept = ~peer.differs(x, fmt)
    x, theirs = x[kept], theirs[kept]
    ours = fe.encode(x, fmt, **peer.rules)
    assert ours.dtype == theirs.dtype
    differ = ours != theirs
    if peer.compared_nan(fmt) == "class":
        nan = np.isnan(fe.dtype(fmt).values())
        differ &= ~(nan[ours] & nan[theirs])
    first = np.flatnonzero(differ)[:5]
    wrong = [f"{x[i]!r}: ours {ours[i]:#x}, theirs {theirs[i]:#x}" for i in first]
    assert not wrong, f"{name}, {kind} to {fmt}: {differ.sum()} of {x.size} differ: {'; '.join(wrong)}"


def assert_values_agree(name, fmt, theirs):
    """Our value of every code is the peer's float32: zeros' signs too, NaN as NaN."""
    codes = np.arange(fe.dtype(fmt).code_count).astype(fe.dtype(fmt).code_dtype)
    ours = fe.decode(codes, fmt)
    np.testing.assert_array_equal(ours, theirs, err_msg=f"{name}, values of {fmt}")
    number = ~np.isnan(theirs)
    np.testing.assert_array_equal(np.signbit(ours)[number], np.signbit(theirs)[number])


@pytest.mark.parametrize(("name", "fmt"), RECORDED, ids=lambda word: word)
def test_recorded_codes(recorded, name, fmt):
    """Big peers' codes, as recorded."""
    peer = PEERS[name]
    answers, about = recorded[peer.library]
    for kind in peer.sources:
        x = source(kind, fmt)
        assert digest(x) == about["sources"][f"{fmt}|{kind}"], f"other sources than recorded: {about['command']}"
        assert_codes_agree(name, fmt, kind, x, answers[f"{name}|{fmt}|{kind}"])


def test_recorded_values(recorded):
    """Big peers' values of every code, as recorded."""
    keys = [(library, key) for library, (answers, _) in recorded.items() for key in answers if key.endswith("|values")]
    assert len(keys) >= 7
    for library, key in keys:
        name, fmt, _ = key.split("|")
        assert_values_agree(name, fmt, recorded[library][0][key].view(np.float32))


def test_records_are_whole_and_small(recorded):
    """Each file says what made it, has an answer for every row of the table and no others, and is small."""
    for library, (answers, about) in recorded.items():
        assert about["library"] == library
        assert about["version"]
        assert about["command"].replace(".peers", "").startswith("python -m tests.witness record")
        asked = {f"{name}|{fmt}|{kind}" for name, peer in libraries()[library].items()
                 for fmt in peer.formats for kind in peer.sources}  # fmt: skip
        assert {key for key in answers if not key.endswith("|values")} == asked
    assert sum(file_of(library).stat().st_size for library in recorded) < 1_000_000


@pytest.mark.parametrize(("name", "fmt"), LIVE, ids=lambda word: word)
def test_live_codes(name, fmt):
    """Small peers: every float16 and bfloat16, float32 and float64 about every midpoint, int64."""
    peer = PEERS[name]
    for kind in peer.sources:
        x = source(kind, fmt, everything=True)
        if peer.nan == "none" and x.dtype.kind == "f":
            x = x[~np.isnan(x)]
        assert_codes_agree(name, fmt, kind, x, peer.encode(x, fmt))


DECODED = [(name, fmt) for name, fmt in LIVE if PEERS[name].decode_into and fe.dtype(fmt).bits <= 16]


@pytest.mark.parametrize(("name", "fmt"), DECODED, ids=lambda word: word)
def test_live_values(name, fmt):
    """Small peers: the value of every code, and cast as decode of encode."""
    codes = np.arange(fe.dtype(fmt).code_count).astype(fe.dtype(fmt).code_dtype)
    assert_values_agree(name, fmt, PEERS[name].decode(codes, fmt))


@pytest.mark.parametrize("fmt", PEERS["ml_dtypes"].formats)
def test_live_cast(fmt):
    """ml_dtypes there and back: the values that a cast gives, in float32."""
    peer = PEERS["ml_dtypes"]
    x = source("float32", fmt, everything=True)
    x = x[~peer.differs(x, fmt)]
    theirs = peer.decode(peer.encode(x, fmt), fmt)
    ours = fe.cast(x, fmt, **peer.rules)
    assert ours.dtype == np.float32
    np.testing.assert_array_equal(ours, theirs)
    number = ~np.isnan(theirs)
    np.testing.assert_array_equal(np.signbit(ours)[number], np.signbit(theirs)[number])


GFLOAT_STOCHASTIC = {"A": "StochasticFastest", "B": "StochasticFast", "C": "Stochastic"}


@pytest.mark.parametrize("variant", GFLOAT_STOCHASTIC)
@pytest.mark.parametrize("fmt", ["float16", "bfloat16", "float8_e4m3fn", "float8_e5m2"])
def test_gfloat_stochastic(variant, fmt):
    """P3109's stochastic variants with eight given bits: every float16, and what lies about every midpoint."""
    import gfloat

    from tests.peers.calls import gfloat_info

    x = source("float16", fmt)
    x = np.concatenate([x[np.isfinite(x)], midpoints(fmt, everything=False)])
    bits = np.random.default_rng(7).integers(0, 256, x.size)
    mode = gfloat.RoundMode[GFLOAT_STOCHASTIC[variant]]
    with np.errstate(all="ignore"):  # theirs, on the way
        theirs = gfloat.round_ndarray(gfloat_info(fmt), x, mode, srbits=bits, srnumbits=8)
    ours = fe.cast(x, fmt, rounding=fe.Stochastic(variant, bits=8), random_bits=bits)
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("k", range(3, 11))
def test_p3109_decode(k):
    """Every code of every P3109 format of K bits, as gfloat decodes it (float64 holds all of them to K = 10)."""
    import gfloat
    from gfloat.formats import format_info_p3109
    from gfloat.types import Domain, Signedness

    codes = np.arange(1 << k)
    for sign, signedness in (("s", Signedness.Signed), ("u", Signedness.Unsigned)):
        for end, domain in (("e", Domain.Extended), ("f", Domain.Finite)):
            for p in range(1, k + (sign == "u")):
                fmt = fe.dtype(f"binary{k}p{p}{sign}{end}")
                with np.errstate(over="ignore", under="ignore"):  # theirs, on the way
                    theirs = gfloat.decode_ndarray(format_info_p3109(k, p, signedness, domain), codes)
                ours = fe.decode(codes.astype(fmt.code_dtype), fmt, dtype=np.float64)
                np.testing.assert_array_equal(ours, theirs, err_msg=str(fmt))
                assert not np.signbit(ours[ours == 0]).any()
