"""What profiles promise: integers as machines have them, nothing beyond what was asked, names that tell the truth."""

import dataclasses
import itertools
import pickle
import re
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

import fpemu as fe
from fpemu.formats.rules import RULE_TYPES
from fpemu.verification.claims import Claim
from tests.oracle import compare, spec
from tests.peers import asked
from tests.peers.tools import PEERS, X86

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "profiles.md"
NAMED = fe.profile_names()
IEEE = fe.profile("ieee")
COMPILED = ("c_x86_64", "c_x86_64_long")


def edges():
    """Float64 numbers about the ends of integer formats."""
    found = [0.0, 0.3, 0.5, 0.7, 1.5, 2.5, 1e10, 3e9, 1e300, np.inf, np.nan]
    for power in (1, 7, 8, 15, 16, 17, 30, 31, 32, 33, 40, 52, 53, 62, 63, 64, 65, 127):
        end = 2.0**power
        found += [
            end,
            np.nextafter(end, 0),
            np.nextafter(end, np.inf),
            end - 0.5,
            end + 0.5,
            end - 1,
            end + 1,
            1.5 * end,
        ]
        found += [end + 3 * end / 4 + 2.0 ** min(power - 1, 50) + 1]
    return np.array([*found, *(-x for x in found)])


# -- integers ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", COMPILED)
@pytest.mark.parametrize("bits", [1, 2, 4, 8, 15, 16, 17, 31, 32, 33, 53, 63, 64])
def test_integers_as_compiled(bits, rule):
    """Every width against the specification, which converts as cvttss2si does."""
    x = edges()
    for signed, rounding in itertools.product((True, False), ("toward_zero", "nearest_even", "away_from_zero")):
        fmt = fe.IntFormat("i", bits, signed=signed)
        rules = fmt.check_profile(IEEE.replace(rounding=rounding, float_to_int_invalid=rule))
        compare.assert_encodes(x, fmt, rules)


@pytest.mark.parametrize("name", ["numpy", "torch"])
def test_listed_integers(name):
    """What the issue lists: each answer is the tool's own."""
    low = {"int32": 1 << 31, "int64": 1 << 63, "uint32": 0, "uint64": 1 << 63}
    for fmt, code in low.items():
        assert fe.encode(np.nan, fmt, profile=name) == code
        assert fe.encode(-np.inf, fmt, profile=name) == code
        assert fe.encode(np.inf, fmt, profile=name) == (0 if fmt == "uint64" else code)
    assert fe.encode([3e9, -3e9, np.nan], "int16", profile=name).tolist() == [0, 0, 0]
    assert fe.encode([3e9, 1e10], "uint32", profile=name).tolist() == [3000000000, 1410065408]
    assert fe.encode([2.0**31, -(2.0**31) - 1], "int32", profile=name).tolist() == [1 << 31, 1 << 31]
    assert fe.encode(np.int64([3000000000, -1]), "int16", profile=name).tolist() == [3000000000 % (1 << 16), 0xFFFF]


def test_a_keyword_goes_before_the_machine():
    """Whoever says overflow=, infinity= or nan= has that, also where float_to_int_invalid would go before them."""
    for name in ("numpy", "torch", "ml_dtypes", "x86-sse", "riscv", "arm"):
        assert fe.encode(300.0, "int8", profile=name, overflow="saturate") == 127
        rules = fe.profile(name).replace(nan="max")
        assert fe.encode(np.float32(np.nan), "int8", profile=rules) == 127
        assert fe.profile(name).replace(nan="max", float_to_int_invalid="arm").for_codes(
            fe.dtype("int8").codes_key
        ).float_to_int_invalid.value in ("arm", "c_x86_64")
    with pytest.raises(ValueError, match="does not apply"):
        fe.IntFormat("s", 8, symmetric=True).check_profile(IEEE.replace(float_to_int_invalid="c_x86_64"))


def test_all_quanta_overflow():
    """2^64 quanta, which come of rounding up, overflow in every rounding that gets there."""
    big = np.uint64(2**64 - 1)
    for rounding in ("nearest_even", "nearest_away", "away_from_zero", "toward_positive"):
        code, flags = fe.add(big, 0.5, result="uint64", rounding=rounding, return_flags=True)
        assert (int(code.codes if hasattr(code, "codes") else code), flags.overflow.item()) == (2**64 - 1, True)
    assert int(fe.add(big, 0.25, result="uint64")) == 2**64 - 1


# -- NaN --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("payload", ["drop", "quiet", "keep"])
def test_nan_sign_flip(payload):
    """Every registered format against the specification."""
    signs = np.uint64([0x7FF0000000000001, 0xFFF0000000000001, 0x7FF8000000001000, 0xFFF8100000001000]).view(np.float64)
    x = np.concatenate([signs, [1.0, -1.0, 0.0, -0.0, np.nan, -np.nan]])
    for fmt in fe.dtypes():
        rules = fmt.check_profile(IEEE.replace(nan_sign="flip", nan_payload=payload))
        compare.assert_encodes(x, fmt, rules)


def test_listed_nans():
    """ml_dtypes' fp4 and fp6; numpy's payloads, big-endian too."""
    assert fe.encode([np.nan, -np.nan], "float4_e2m1fn", profile="ml_dtypes").tolist() == [8, 0]
    for fmt in ("float6_e2m3fn", "float6_e3m2fn"):
        assert fe.encode([np.nan, -np.nan], fmt, profile="ml_dtypes").tolist() == [0x20, 0]
    for wide, narrow in ((">f8", ">f4"), ("<f8", "<f4")):
        x = np.array([0x7FF8AAAA00000001, 0xFFF0000000000001], wide.replace("f", "u")).view(wide)
        assert fe.encode(x, "float32", profile="numpy").tolist() == [0x7FC55550, 0xFFC00000]
        y = np.array([0x7F800001, 0xFFC12345], narrow.replace("f", "u")).view(narrow)
        assert fe.encode(y, "float64", profile="numpy").tolist() == [0x7FF8000020000000, 0xFFF82468A0000000]


NUMPY_FLOATS = ("float16", "float32", "float64")


@pytest.mark.skipif(not X86, reason="what becomes of a signalling NaN is the CPU's")
@pytest.mark.parametrize("pair", list(itertools.product(NUMPY_FLOATS, repeat=2)), ids="-".join)
def test_numpy_nans(pair):
    """Every pair of numpy's floats and both byte orders: the codes of NaN are numpy's own."""
    source, target = map(np.dtype, pair)
    infinity = fe.dtype(source).infinity_code
    bits = 8 * source.itemsize
    rng = np.random.default_rng(1)
    low = rng.integers(1, fe.dtype(source).magnitude_mask - infinity, 2000, dtype=np.uint64, endpoint=True)
    codes = (low + infinity) | rng.integers(0, 2, 2000, dtype=np.uint64) << np.uint64(bits - 1)
    for order in "<>":
        x = codes.astype(f"{order}u{source.itemsize}").view(f"{order}f{source.itemsize}")
        with np.errstate(all="ignore"):
            theirs = x.astype(target).view(f"u{target.itemsize}")
        np.testing.assert_array_equal(fe.encode(x, target, profile="numpy"), theirs)


# -- nothing beyond what was asked ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMED)
def test_rules_reach_what_was_asked(name):
    """Into a format that the tool was never asked about nothing is rounded twice, and no NaN has a tool's own code."""
    known = {fmt for peer in PEERS.values() for fmt in peer.formats if (asked.profile_of(peer) or IEEE).name == name}
    if name == "torch-2.11":  # read, not asked: the formats of the newer one
        known = set(PEERS["torch"].formats)
    for fmt in fe.dtypes():
        rules = fe.profile(name).for_codes(fmt.codes_key, fe.dtype("float64").codes_key)
        if fmt.name not in known:
            assert (rules.through.value, rules.nan_code, rules.nan_payload.value) in (
                ("none", None, "drop"),
                ("none", None, fe.profile(name).nan_payload.value),
            )


@pytest.mark.parametrize("name", ["torch", "torch-2.11", "ml_dtypes", "onnx"])
def test_float64_is_exact(name):
    x = np.array([0.1, 1e300, -1e-310, 2.0**-1074, 1 + 2.0**-52])
    np.testing.assert_array_equal(fe.cast(x, "float64", profile=name), x)
    a = fe.array(x, "float64", profile=name)
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal((a + a).values, x + x)
        np.testing.assert_array_equal((a * a).values, x * x)


def test_page_tells_every_mask():
    """docs/reference/profiles.md has the tests' own tables, line by line."""
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    tables = asked.tables()
    start = lines.index(tables[0])
    assert lines[start : start + len(tables)] == tables
    text = "\n".join(lines)
    for peer in PEERS.values():
        for mask in peer.masks if peer.rules is not None else ():
            assert mask.what in text
            assert mask.why in text
            assert mask.example_text() in text


@pytest.mark.parametrize("name", [n for n, p in PEERS.items() if p.masks and not p.recorded and p.available()])
def test_masks_are_needed(name):
    """Each mask's example is what the tool gives here, and is not what we give."""
    peer = PEERS[name]
    for mask in peer.masks:
        x, dtype, count, codes = mask.example
        theirs = peer.shown(mask)
        assert theirs <= set(codes)
        ours = int(fe.encode(np.full(1, x, dtype), mask.formats[0], **peer.rules)[0])
        assert {ours} != set(codes), mask
        assert count > 1 or ours not in theirs


@pytest.mark.skipif(not X86, reason="the profile has what x86-64 gives")
@pytest.mark.parametrize("fmt", PEERS["numpy"].formats)
def test_numpy_at_every_place(fmt):
    """What no mask leaves out depends on no place, length or stride."""
    found = PEERS["numpy"].of_places(fmt, shifts=3)
    assert {kind: unmasked for kind, (_, unmasked) in found.items()} == dict.fromkeys(found, 0)


# -- names ------------------------------------------------------------------------------------------------------------


def changed():
    """Profiles with a knob or two changed, for every knob and value."""
    for knob, kind in RULE_TYPES.items():
        for value in kind:
            yield IEEE.replace(**{knob: value}), {knob: value}
    for knobs in (
        {"rounding": "toward_zero"},
        {"rounding": fe.Stochastic("B", 5)},
        {"nan_code": 0x7F},
        {"overflow": "saturate", "rounding": "RTZ"},
    ):
        yield IEEE.replace(**knobs), knobs
        yield fe.profile("torch").replace(**knobs), knobs


def test_changed_profiles_tell_so():
    for profile, knobs in changed():
        again = eval(repr(profile), {"Profile": fe.Profile, "Stochastic": fe.Stochastic})
        assert (again, again.name) == (profile, profile.name)
        assert fe.profile(profile.name) == profile
        assert pickle.loads(pickle.dumps(profile)).name == profile.name
        assert (profile.name in NAMED) == any(profile == fe.profile(name) for name in ("ieee", "torch-2.14"))
        if profile.name not in NAMED:
            assert all(knob in profile.name for knob in knobs)


@pytest.mark.parametrize("name", NAMED)
def test_named_profiles_evaluate(name):
    profile = fe.profile(name)
    assert eval(repr(profile), vars(fe)) == profile
    assert profile.spelled == repr(name)
    resolved = profile.for_codes(fe.dtype("float8_e5m2").codes_key)
    assert eval(repr(resolved), vars(fe)) == resolved
    assert fe.profile(name).replace().name == name


@pytest.mark.parametrize(
    "rounding", [*(fe.Stochastic(v, n) for v in "ABC" for n in (1, 8, 32)), fe.Stochastic("equal")]
)
def test_roundings_are_read_as_they_are_printed(rounding):
    """In a profile's name, a call and the command line the same word means the same."""
    printed = fe.profile("ieee").replace(rounding=rounding).name.partition("rounding=")[2]
    assert fe.rounding_mode(printed) == rounding
    assert fe.profile(f"ieee, rounding={printed}").rounding == rounding
    x = np.linspace(1, 2, 50)
    found = fe.encode(x, "e4m3", rounding=printed, rng=1)
    assert np.array_equal(found, fe.encode(x, "e4m3", rounding=rounding, rng=1))


@pytest.mark.parametrize(
    "word", ["StochasticA/", "StochasticA/x", "StochasticA/-1", "Stochastic/8/8", "RTZ/8", "StochasticA/8.0"]
)
def test_words_of_roundings_that_are_none(word):
    for call in (lambda: fe.rounding_mode(word), lambda: fe.profile(f"ieee, rounding={word}")):
        with pytest.raises(ValueError, match="unknown rounding"):
            call()
    for bits in (0, 33, 10**30):
        with pytest.raises(ValueError, match="bits must be 1 to 32"):
            fe.rounding_mode(f"StochasticA/{bits}")


@pytest.mark.parametrize("knob", [field.name for field in dataclasses.fields(fe.Profile) if field.name != "name"])
def test_knobs_of_wrong_kinds_have_their_article(knob):
    with pytest.raises(TypeError) as caught:
        fe.profile("ieee").replace(**{knob: 3.5})
    assert not re.search(r"\ba [AEIOU]\w", str(caught.value))


def test_back_to_the_named_one():
    assert IEEE.replace(overflow="nan").replace(overflow="standard").name == "ieee"
    twice = IEEE.replace(overflow="nan").replace(nan_sign="flip").replace(overflow="saturate")
    assert twice.name == "ieee, overflow=saturate, nan_sign=flip"
    assert IEEE.replace(name="mine", overflow="saturate").replace(nan="max").name == "mine, nan=max"


@pytest.mark.parametrize("fmt", [*fe.dtypes(), fe.dtype("q3.4"), fe.dtype("binary8p4se")], ids=str)
def test_formats_evaluate(fmt):
    assert eval(repr(fmt), vars(fe)) == fmt
    for rules in (IEEE.replace(rounding="toward_zero"), fe.Profile("ieee", rounding="to_odd"), fe.Profile("mine")):
        text = repr(fmt).replace(f"profile={fmt.profile.spelled}", f"profile={rules!r}")
        other = eval(text, vars(fe))
        assert other.profile == rules
        assert eval(repr(other), vars(fe)) == other


def test_arrays_and_messages_tell_profiles_apart(tmp_path):
    one, other = (IEEE.replace(overflow=word) for word in ("nan", "saturate"))
    a, b = (fe.array([1.0], "bfloat16", profile=rules) for rules in (one, other))
    assert repr(a).endswith("profile='ieee, overflow=nan')")
    with pytest.raises(ValueError, match="ieee, overflow=nan and ieee, overflow=saturate, differ"):
        a + b
    mine, too = (fe.Profile("mine", overflow=word) for word in ("infinity", "saturate"))
    with pytest.raises(ValueError, match=r"mine \(overflow=infinity\) and mine \(overflow=saturate\), differ"):
        np.concatenate([a.with_profile(mine), b.with_profile(too)])
    assert "Profile(name='mine', overflow='saturate')" in repr(b.with_profile(too))
    fe.save(tmp_path / "a.npz", a=a)
    back = fe.load(tmp_path / "a.npz")["a"]
    assert (back.profile, back.profile.name) == (one, one.name)
    claim = Claim.of("cast", "bfloat16", profile=one)
    assert claim.described()["profile"] == one.name
    assert Claim.from_description(claim.described()) == claim
    for wrong in (
        "iee, overflow=nan",
        "ieee, overflw=nan",
        "ieee, overflow=max",
        "ieee, rounding=RTZ/3",
        "a=b",
        "=",
        "ieee,=",
    ):
        with pytest.raises(ValueError, match="unknown"):
            fe.profile(wrong)


def test_scale_profiles_tell_so():
    scheme = fe.scheme("mxfp4").replace(profile="torchao")
    turned = scheme.profile.replace(rounding="toward_zero")
    assert turned.name == "torchao-0.18, rounding=toward_zero"
    assert scheme.profile.replace(name="mine", rounding="toward_zero").name == "mine"
    assert "toward_zero" in repr(scheme.replace(profile=turned))


# -- an Array as numpy's and ml_dtypes' arrays ------------------------------------------------------------------------

ARRAYS = [
    fe.array(
        [1 + 2.0**-8 + 2.0**-40, 1 + 2.0**-11 + 2.0**-50, 464.0001, 1e300, -1e-300, np.inf, -np.inf, np.nan], "float64"
    ),
    fe.array([2**63 - 1, -(2**63), 2**60 + 2**52 + 1, 16973823, -1, 0], "int64"),
    fe.Array.from_codes([2**63 - 1, 2**53 + 1, 0, 5 << 56, (1 << 62) + 1], fe.FloatFormat("wide", 64, 56)),
    fe.Array.from_codes(np.arange(256), "float8_e5m2"),
    fe.Array.from_codes(np.arange(16), "float4_e2m1fn"),
    fe.Array.from_codes(np.arange(256), "q3.4"),
]
FLOAT_TYPES = [
    *("float16", "float32", "float64", ">f2", ">f4", ">f8"),
    *(name for name in PEERS["ml_dtypes"].formats if "float" in name),
]


@pytest.mark.parametrize("name", FLOAT_TYPES)
@pytest.mark.parametrize("a", ARRAYS, ids=lambda a: a.format.name)
def test_array_protocol_rounds_once(a, name):
    """Every float dtype, by every way that numpy asks: the exact value rounded once, specials as the type has them."""
    dtype = np.dtype(getattr(ml_dtypes, name, name))
    fmt = fe.dtype(dtype)
    rules = fe.profile("numpy" if name in NUMPY_FLOATS or ">" in name else "ml_dtypes").replace(through="none")
    number = [spec.decode(code, a.format) for code in a.codes.tolist()]
    expected = spec.encode(number, fmt, rules)
    nan = np.array([n.kind == "nan" for n in number])
    empty = np.zeros(a.shape, dtype)
    empty[:] = a
    ways = [
        np.asarray(a, dtype=dtype),
        np.array(a, dtype=dtype),
        np.array([a, a], dtype=dtype)[1],
        np.require(a, dtype),
        empty,
    ]
    for made in ways:
        assert made.dtype == dtype
        codes = made.astype(dtype.newbyteorder("=")).view(f"u{dtype.itemsize}")
        if fmt.bits < 8:
            codes = codes & np.uint8(fmt.code_count - 1)
        np.testing.assert_array_equal(codes[~nan], expected[~nan])
        if fmt.has("nan"):
            with np.errstate(invalid="ignore"):  # a signalling one
                assert np.isnan(made.astype(np.float64))[nan].all()


def test_listed_array_protocol():
    a = fe.array([1 + 2.0**-8 + 2.0**-40], "float64")
    assert float(np.asarray(a, dtype=ml_dtypes.bfloat16)[0]) == 1 + 2.0**-7
    assert np.asarray(fe.array(2.5, "bfloat16"), dtype=ml_dtypes.bfloat16).shape == ()
    assert np.asarray(fe.array([], "int4"), dtype=ml_dtypes.float8_e4m3fn).shape == (0,)


@pytest.mark.parametrize("name", ["?", "i1", "u8", ">i4", "g", "F", "D", "G", "O", "U8", "S5"])
@pytest.mark.parametrize("a", [a for a in ARRAYS if a.format.name != "wide"], ids=lambda a: a.format.name)
def test_array_protocol_is_numpys(a, name):
    """Other dtypes: numpy converts the exact values, which no type on the way has rounded."""
    with np.errstate(all="ignore"):
        made, expected = np.asarray(a, dtype=name), np.asarray(a.values, dtype=name)
    assert (made.dtype, str(made.tolist())) == (expected.dtype, str(expected.tolist()))


def test_rows_select_formats_that_there_are():
    """Profiles write the keys of formats themselves, as they stand below formats: each is a registered format's."""
    known = {key for fmt in fe.dtypes() for key in (fmt.codes_key, fmt.codes_key[0])}
    selectors = [selector for name in fe.profile_names() for selector, _ in fe.profile(name).rows]
    for selector in selectors:
        assert known.issuperset(selector[1:] if selector[0] == "from" else [selector]), selector
    assert len(selectors) > 50
