"""The named profiles of scaled formats against what the tools themselves answered, and against the specification."""

import collections
from fractions import Fraction

import numpy as np
import pytest

import fpemu as fe
import fpemu.quantization.blocks
from fpemu.quantization.definition.codebooks import DYNAMIC, FP4
from fpemu.quantization.definition.tool_profiles import PROFILES, scale_profile
from tests.cases import float_environment
from tests.oracle import spec_scaled as spec
from tests.oracle.scaled_comparison import DIFFERENCES, EPS, RANGES, just_above, signed
from tests.peers.witness.blocks import blocks
from tests.peers.witness.scaled import recorded, values_digest
from tests.peers.witness.scaled_calls import as_type

# What the profiles are not for.
ANSWERS = {"torchao": 113, "torch": 58, "onnx": 69, "onnxruntime": 51, "bitsandbytes": 14}
LEFT_OUT = {"affine_uint4": ("float", "int_no_zero")}

# Where a profile does not do what the library does, beside DIFFERENCES: rows of all sources together.
MORE = {"onnx": {"float4: a NaN's code by ml_dtypes, of either sign the other zero's": 2}}


class Answer:
    """One recorded answer beside fpemu's."""

    def __init__(self, found, scheme, x=None, **given):
        self.found, self.words = found, found.scheme
        self.x = found.x if x is None else x
        self.q = fe.quantize(self.x, scheme, pad=True, **given)
        self.rows, self.differences = 0, collections.Counter()

    def count(self, agree, reasons=None):
        """Rows that agree; the others by reason: a function of a row's place, which gives None for none."""
        agree = np.asarray(agree)
        self.rows += agree.size
        for at in np.flatnonzero(~agree):
            reason = reasons(at) if reasons else None
            assert reason, f"{self.words}: row {at}"
            self.differences[reason] += 1

    def values(self, codes, scales=None, zeros=None, kind="float32"):
        """What the library's own codes and scales decode to."""
        q = self.q
        scales = q.scales if scales is None else scales
        zeros = q.zero_points if zeros is None else zeros
        decoded = fe.Quantized(
            q.scheme, codes.reshape(q.codes.shape), scales, zeros, q.second_scale, q.layout, q.offset
        )
        return fe.cast(decoded.dequantize(), kind, dtype=np.float32)


def same_numbers(ours, theirs):
    """Equal with zeros' signs, or both NaN."""
    return np.array_equal(ours, theirs, equal_nan=True) and same_signs(ours, theirs)


def same_signs(ours, theirs):
    return bool((np.isnan(ours) | (np.signbit(ours) == np.signbit(theirs))).all())


def rows_agree(ours, theirs):
    return ((ours == theirs) | (np.isnan(ours) & np.isnan(theirs))).all(axis=-1)


def same_codes(ours, theirs, element, nans=None):
    """Rows with the same codes; of NaN without its sign, which is the machine's, and among `nans` where it has none."""
    sign = 1 << (element.bits - 1)
    ours_kept, theirs_kept = ours & (sign - 1), theirs & (sign - 1)
    if nans is None:
        lost = ours_kept == element.nan
        good = ours_kept == theirs_kept
    else:
        lost, allowed = nans
        good = np.where(lost, np.isin(theirs_kept, allowed), ours_kept == theirs_kept)
    return (good & (lost | (ours == theirs))).all(axis=-1)


def torchao_mx(found):
    element, rule = spec.ELEMENTS[found.scheme["element"]], found.scheme["rule"]
    scheme = fe.ScaledFormat(found.scheme["element"], 32, "e8m0", rule, profile="torchao")
    to = Answer(found, scheme)
    nans = None
    if element.nan is None:
        codes = [spec.torchao_mx(row, element, rule)[0] for row in found.x.tolist()]
        nans = np.array([[c is None for c in row] for row in codes]), [spec.TORCHAO_NAN[found.scheme["element"]]]
    same = same_codes(to.q.codes, found.codes, element, nans) & (to.q.scales == found.scales).all(axis=-1)

    def reason(at):
        low = found.scales[at, 0] == int(to.q.scales[at, 0]) - 1
        above = just_above(spec.largest_of(found.x[at].tolist()) / element.largest)
        return "rceil: ceil(log2(x)) in float32" if rule == "rceil" and low and above else None

    to.count(same, reason)
    return to, to.values(found.codes, found.scales)


def torchao_nvfp4(found):
    if found.scheme["levels"] == 1:
        parts = [slice(None)]
    else:
        parts = [slice(start, start + 8) for start in range(0, len(found.x), 8)]
    name = "nvfp4" if found.scheme["levels"] == 2 else "nvfp4_one_level"
    values, total = [], None
    for i, part in enumerate(parts):
        to = Answer(found, name, found.x[part], profile="torchao")
        if found.scheme["levels"] == 2:
            assert same_numbers(np.float32(to.q.second_scale), found.zero_points[i])
        theirs, scales = found.codes[part], found.scales[part].reshape(to.q.scales.shape)
        factors = np.repeat(scale_factor(to.q), 16, axis=1)
        with np.errstate(all="ignore"):
            lost = np.isnan(found.x[part] * factors)
        agree = same_codes(to.q.codes, theirs, spec.E2M1, (lost, [3, 4]))
        to.count(agree & same_codes(to.q.scales, scales, spec.E4M3))
        values.append(to.values(theirs, scales))
        total = to if total is None else total
        if total is not to:
            total.rows += to.rows
    return total, np.concatenate(values)


def scale_factor(q):
    """What torchao multiplies by."""
    with np.errstate(all="ignore"):
        whole = np.float32(1) if q.second_scale is None else np.float32(1) / np.float32(q.second_scale)
        return whole / q.scale_values


def torchao_affine(found):
    words = found.scheme
    element = {bounds: name for name, bounds in RANGES.items()}[words["low"], words["high"]]
    mapping = words["mapping"]
    profile = scale_profile("torchao-0.18-no_clipping" if "clipping" in mapping else "torchao")
    if words["eps"] == "eps":
        profile = profile.replace(least=EPS["eps"](None))
    rule, zero = ("minmax", element) if mapping == "asymmetric" else ("absmax", None)
    kind = words["dtype"]
    scheme = fe.ScaledFormat(element, "row", kind, rule, zero_point=zero, profile=profile)
    to = Answer(found, scheme, as_type(found.x, kind))
    agree = (signed(to.q.codes, words["low"], 4 if "4" in element else 8) == signed(found.codes, words["low"])).all(
        axis=-1
    )
    agree &= rows_agree(to.q.scale_values.reshape(-1, 1), found.scales.reshape(-1, 1))
    zeros = np.zeros(found.zero_points.shape, int) if to.q.zero_points is None else to.q.zero_points.reshape(-1)
    to.count(agree & (zeros == found.zero_points.reshape(-1)))
    mask = 15 if "4" in element else 255
    return to, to.values(found.codes & mask, kind=kind)


def torchao_float8(found):
    words, element = found.scheme, spec.ELEMENTS[found.scheme["element"]]
    granularity = words["granularity"]
    block = {"tile": 128, "square": (128, 128)}.get(granularity, "row")
    profile = scale_profile("torchao-0.18-inference" if granularity == "choose" else "torchao")
    if words.get("power_of_two"):
        profile = profile.replace(powers=True)
    to = Answer(found, fe.ScaledFormat(words["element"], block, profile=profile))
    ours, theirs = to.q.scale_values.reshape(-1), found.scales.reshape(-1)
    codes, recorded_codes = to.q.codes, found.codes
    if granularity == "square":
        codes, recorded_codes = (c.reshape(128, 2, 128).swapaxes(0, 1).reshape(2, -1) for c in (codes, recorded_codes))
    agree = same_codes(codes, recorded_codes, element) & rows_agree(ours[:, None], theirs[:, None])
    low = "power of two: floor(log2(x)) in float32"
    to.count(agree, lambda at: low if words.get("power_of_two") and theirs[at] == 2 * ours[at] else None)
    scales = found.scales.reshape(to.q.scales.shape).astype(np.float32).view(np.uint32)
    return to, to.values(found.codes, scales)


def torch_way(found):
    words, call = found.scheme, found.scheme["scheme"].split("_")[0]
    fake = call == "fake" or str(words.get("way")).startswith("fake")
    block = "channel" if "per_channel" in str(words.get("qscheme", words.get("way"))) else "tensor"
    low = words.get("low", -128 if words.get("qtype") == "qint8" else 0)
    element = "int8" if low < 0 else "uint8"
    symmetric = "symmetric" in words.get("qscheme", "")
    scheme = fe.ScaledFormat(element, block, scale_rule="absmax" if symmetric else "minmax", zero_point=element)
    profile = scale_profile("torch-fake" if fake else "torch").of(scheme)
    scheme = scheme.replace(block="row", profile=profile.replace(reduce_range=bool(words.get("reduce_range"))))
    scales, points = found.scales.reshape(-1, 1), found.zero_points.reshape(-1, 1).astype(np.int64)
    good = np.isfinite(scales)
    to = Answer(found, scheme, scales=np.where(good, scales, np.float32(1)), zero_points=points)
    if call != "fixed":
        chosen = fe.quantize(found.x, scheme)
        to.count(rows_agree(chosen.scale_values, scales) & (~good | (chosen.zero_points == points))[:, 0])
        np.testing.assert_array_equal(chosen.codes[good[:, 0]], to.q.codes[good[:, 0]])
    to.count(((to.q.codes == found.codes) | ~good).all(axis=-1))
    return to, to.q.dequantize()


def onnx(found):
    words, target, kind = found.scheme, found.scheme["target"], found.scheme["kind"]
    name = "onnxruntime" if words["runtime"] else "onnx"
    name += "" if words["saturate"] else {"onnx": "-1.23-no_saturate", "onnxruntime": "-1.32-no_saturate"}[name]
    rows = as_type(found.x, kind)
    parts = rows.reshape(-1, rows.shape[1] // found.scales.reshape(len(rows), -1).shape[1])
    integer = target if target in RANGES else None
    scheme = fe.ScaledFormat(target, "row", kind, zero_point=integer, profile=name)
    given = {"scales": found.scales.reshape(-1, 1)}
    if integer:
        given["zero_points"] = found.zero_points.reshape(-1, 1).astype(np.int64)
    to = Answer(found, scheme, parts, **given)
    theirs = found.codes.reshape(parts.shape)
    nans = np.isnan(parts.astype(np.float32))

    def reason(at):
        if target == "float4_e2m1fn" and nans[at].any():
            wrong = to.q.codes[at] != theirs[at]
            return next(iter(MORE["onnx"])) if nans[at][wrong].all() else None
        if integer:
            return None
        with np.errstate(over="ignore"):
            ratio = abs(parts[at].astype(np.float32) / given["scales"][at])
        beyond = ratio[to.q.codes[at] != theirs[at]] > spec.ELEMENTS[target].largest
        known = words["runtime"] and not words["saturate"] and beyond.all()
        return "no saturation: another code beyond the largest number" if known else None

    to.count((to.q.codes == theirs).all(axis=-1), reason)
    return to, to.values(theirs, kind=kind).reshape(rows.shape)


def bitsandbytes(found):
    words, block = found.scheme, found.scheme["block"]
    flat = found.x.ravel()[: found.x.size - words["ragged"]]
    book = {"nf4": "nf4", "fp4": FP4}[words["codebook"]]
    if words["nested"]:
        level = fe.scheme("bnb_nf4").second_level
        scheme = fe.ScaledFormat(book, block, second_level=level, profile="bitsandbytes", name="nested")
        offset, *rest = found.zero_points.tolist()
        to = Answer(found, scheme, flat, second_scale=offset)
        assert to.q.offset is None
        assert to.q.second_scale.offset == offset
        assert list(DYNAMIC.entries) == rest[-256:]
        to.count(to.q.scales == found.scales)
        to.count(to.q.second_scale.scale_values == np.float32(rest[:-256]))
    else:
        to = Answer(found, fe.ScaledFormat(book, block, profile="bitsandbytes"), flat)
        to.count(rows_agree(to.q.scale_values[:, None], found.scales[:, None]))
    theirs = np.pad(found.codes, (0, words["ragged"])).reshape(-1, block)
    to.count((np.pad(to.q.codes, (0, words["ragged"])).reshape(-1, block) == theirs).all(axis=-1))
    return to, to.values(found.codes)


COMPARE = {
    "mx": torchao_mx, "nvfp4": torchao_nvfp4, "affine": torchao_affine, "float8": torchao_float8,
    "torch": torch_way, "onnx": onnx, "onnxruntime": onnx, "bitsandbytes": bitsandbytes,
}  # fmt: skip


@pytest.mark.parametrize("library", list(ANSWERS))
def test_recorded(library):
    """Codes, scales, zero points of every row; and what the library's codes decode to, to the last bit."""
    counted, answers = collections.Counter(), 0
    for name, found in recorded(library).items():
        if found.scheme.get("domain", "int") in LEFT_OUT.get(found.scheme["scheme"], ()):
            continue
        kind = found.scheme["scheme"]
        kind = (
            next(kind for kind in COMPARE if found.scheme["scheme"].startswith(kind))
            if library == "torchao"
            else library
        )
        with np.errstate(over="ignore"):
            to, values = COMPARE[kind](found)
        assert to.rows
        counted.update(to.differences)
        assert values_digest(values) == found.values, name
        answers += 1
    assert answers == ANSWERS[library]
    assert counted == {**DIFFERENCES[library], **MORE.get(library, {})}


# -- Transformer Engine, by the specification ---------------------------------------------------------------------


def tensors(size):
    """Finite rows, 16 of a tensor."""
    rows = np.concatenate([blocks(kind, size, "float4_e2m1fn") for kind in ("specials", "random", "edges")])
    rows = rows[np.isfinite(rows).all(axis=-1)]
    return [rows[i : i + 16] for i in range(0, len(rows) - 15, 16)]


def te_codes(found):
    """The specification keeps no sign of zero apart from fpemu's; None is a NaN."""
    return np.array([[0 if code is None else code for code in row] for row in found])


@pytest.mark.parametrize("version", ["2026", "2025"])
def test_transformer_engine(version):
    for x in tensors(16):
        amax = float(abs(x).max())
        q = fe.quantize(x, "nvfp4", profile=f"transformer-engine-{version}")
        codes, scales = zip(*(spec.te_nvfp4(row, amax, version == "2026") for row in x.tolist()), strict=True)
        np.testing.assert_array_equal(q.codes, te_codes(codes))
        np.testing.assert_array_equal(q.scales[:, 0], scales)
        assert q.second_scale == spec.FLOAT32.divide(1.0, spec.te_global_scale(amax))


def test_transformer_engine_tiles():
    for x in tensors(16)[::3]:
        amax = float(abs(x).max())
        wide = np.concatenate([x, x * np.float32(0.25)], axis=1)
        q = fe.quantize(wide, "nvfp4_tile", profile="transformer-engine")
        for k, tile in enumerate((x, x * np.float32(0.25))):
            largest = float(abs(tile).max())
            found = [spec.te_nvfp4(row, amax, amax=largest) for row in tile.tolist()]
            np.testing.assert_array_equal(q.codes[:, 16 * k : 16 * k + 16], te_codes([codes for codes, _ in found]))
            assert {code for _, code in found} == {int(q.scales[0, k])}


@pytest.mark.parametrize(("error", "top"), [("mae", 256), ("mse", 448)])
def test_four_over_six(error, top):
    profile = scale_profile(f"transformer-engine-4over6-{error}").replace(second_top=float(top))
    fours = 0
    for x in tensors(16)[::2]:
        amax = float(abs(x).max())
        q = fe.quantize(x, "nvfp4", profile=profile)
        found = [spec.te_four_over_six([row], amax, error, top) for row in x.tolist()]
        np.testing.assert_array_equal(q.codes, te_codes([codes[0] for codes, _ in found]))
        np.testing.assert_array_equal(q.scales[:, 0], [scale for _, scale in found])
        plain = fe.quantize(x, "nvfp4", profile=profile.replace(choose="no"))
        fours += int((plain.scales != q.scales).sum())
        codes, scale = spec.te_four_over_six(x.tolist(), amax, error, top)
        tile = fe.quantize(x, "nvfp4_tile", profile=profile)
        np.testing.assert_array_equal(tile.codes, te_codes(codes))
        assert tile.scales.tolist() == [[scale]]
    assert fours > 15


# -- gfloat, live -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("element", spec.ELEMENTS)
def test_gfloat(element):
    from gfloat import block as gfloat_block
    from gfloat import formats

    info = getattr(formats, f"format_info_mxfp{element[5]}_{element[7:11]}", None) or formats.format_info_mxfp4_e2m1
    rows = blocks("edges", 32, element)
    rows = np.concatenate([rows[::9], blocks("random", 32)[::2]])
    q = fe.quantize(rows, fe.ScaledFormat(element, 32, "e8m0", "floor", profile="gfloat"))
    for row, codes, scale in zip(rows.astype(np.float64), q.codes, q.scales, strict=True):
        by = gfloat_block.compute_scale_amax(info.etype.emax, row)
        assert list(gfloat_block.encode_block(info, by, row / by)) == [*scale, *codes]
    top = fe.quantize([np.inf] * 32, "mxfp4", profile="gfloat")
    assert top.scale_values == gfloat_block.compute_scale_amax(2, np.array([np.inf])) == 2.0**127
    with pytest.raises(ValueError, match="NaN"):
        fe.quantize([np.nan] * 32, "mxfp4", profile="gfloat")


# -- where tools differ from "exact" ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scheme", "profile", "x", "exact", "theirs"),
    [
        # codes of the elements, then of the scales; scale code 0 means 2^-127, and torchao divides by 2^-126
        ("mxfp4", "torchao", [2.0**-127] * 32, ([2] * 32, [0]), ([1] * 32, [0])),
        ("mxfp4", "torchao", [np.inf, 1.0], ([8, 8], [255]), ([7, 0], [253])),
        ("mxfp4", "gfloat", [np.inf, 1.0], ([8, 8], [255]), ([7, 0], [254])),
        ("mxfp4", "torchao", [np.nan, 1.0], ([8, 8], [255]), ([3, 0], [255])),
        ("nvfp4_one_level", "torchao", [0.0, 0.0], ([0, 0], [0]), ([0, 0], [8])),
        # 5.5 is 6, and 0.5 + 5 is 5 and no 6 where 0.5 is rounded first
        ("zeropoint_uint8", "torch", [250.0, -5.0, 0.5], ([255, 0, 5], [1.0]), ([255, 0, 6], [1.0])),
        ("absmax_int8", "torch", [127.5, 1.0], ([127, 1], [127.5 / 127]), ([127, 1], [1.0])),
        ("absmax_int8", "torchao", [0.0, 0.0], ([0, 0], [0.0]), ([0, 0], [2.0**-126])),
        ("absmax_int8", "torch-fake", [0.0, np.inf], ([0, 0], [np.nan]), ([0, 128], [np.inf])),
        ("fp8_e4m3_tensor", "torchao", [0.0, 0.0], ([0, 0], [0.0]), ([0, 0], [448e12])),
        ("fp8_e4m3_tensor", "torchao-0.18-inference", [0.0, 0.0], ([0, 0], [0.0]), ([255, 255], [0.0])),
        ("absmax_int8", "onnx", [np.nan, 1.0], ([0, 0], [np.nan]), ([128, 128], [np.nan])),
        ("nf4_64", "bitsandbytes", [np.nan, 1.0], ([7, 7], [np.nan]), ([15, 15], [np.nan])),
        ("bnb_fp4_64", "bitsandbytes", [1.0, 1e-9], ([3, 0], [1.0]), ([3, 8], [1.0])),
    ],
)
def test_exact_differs(scheme, profile, x, exact, theirs):
    """Cases worked out by hand."""
    for name, (codes, scales) in (("exact", exact), (profile, theirs)):
        q = fe.quantize(np.float32(x), scheme, profile=name, pad=True)
        assert q.codes.tolist() == codes
        found = q.scales if q.scales.itemsize == 1 else q.scale_values
        np.testing.assert_array_equal(found.ravel(), np.array(scales, found.dtype))


@pytest.mark.parametrize("profile", ["torchao", "transformer-engine-2026", "transformer-engine-2025"])
def test_nvfp4_differs(profile):
    """Roundings of float32 on the way: another scale or element now and then."""
    x = np.rint(blocks("random", 4096)[:12] * np.float32(64)).reshape(-1, 16)  # halves lie on ties
    exact, theirs = (fe.quantize(x, "nvfp4", profile=name) for name in ("exact", profile))
    apart = (exact.codes != theirs.codes).any(axis=1) | (exact.scales != theirs.scales)[:, 0]
    assert 0 < apart.sum() < len(x) / 20, apart.sum()


# -- scales of scales ---------------------------------------------------------------------------------------------


def nested(name="bnb_nf4", profile="exact", rows=16):
    x = np.resize(blocks("spikes", 64) + blocks("random", 64)[3], (rows, 64 * 64)).astype(np.float32)
    return x, fe.quantize(x, name, profile=profile)


@pytest.mark.parametrize("profile", ["exact", "bitsandbytes"])
def test_nested_exact(profile):
    """Codes are those of one level; their scales are quantized less their mean; values by exact arithmetic."""
    x, q = nested(profile=profile)
    one = fe.quantize(x, "nf4_64", profile=profile)
    np.testing.assert_array_equal(q.codes, one.codes)
    level, scales = q.second_scale, one.scale_values.ravel()
    assert level.offset == float(np.float32(float(sum(map(Fraction, scales.tolist())) / scales.size)))
    less = scales - np.float32(level.offset)
    largest = abs(less).reshape(-1, 256).max(axis=1)
    np.testing.assert_array_equal(level.scale_values, largest)
    entries = np.array(DYNAMIC.entries)
    back = []
    for i, code in enumerate(q.scales.ravel().tolist()):
        top = Fraction(float(largest[i // 256]))
        if profile == "exact":
            apart = [abs(Fraction(float(less[i])) / top - Fraction(e)) for e in entries[max(code - 1, 0) : code + 2]]
            assert min(apart) == abs(Fraction(float(less[i])) / top - Fraction(entries[code]))
            back.append(np.float32(float(Fraction(entries[code]) * top + Fraction(level.offset))))
        else:
            back.append(np.float32(entries[code]) * largest[i // 256] + np.float32(level.offset))
    np.testing.assert_array_equal(q.scale_values.ravel(), back)
    values = np.float32(fe.dtype("nf4").entries)[q.codes] * np.repeat(q.scale_values, 64, axis=1)
    np.testing.assert_array_equal(q.dequantize(), values)
    np.testing.assert_array_equal(q.dequantize(np.float64).astype(np.float32), values)


def test_nested_parts():
    """Slices along both levels' blocks, what is stored, its size."""
    _, q = nested()
    assert q.nbytes == (q.size * 4 + q.size // 64 * 8 + q.size // 64 // 256 * 32 + 32) // 8
    np.testing.assert_array_equal(q[4:8].dequantize(), q.dequantize()[4:8])
    np.testing.assert_array_equal(q[12:].scale_values, q.scale_values[12:])
    assert q[:0].dequantize().shape == (0, 4096)
    with pytest.raises(ValueError, match="cut a block of 256 scales"):
        q[1:5]
    with pytest.raises(ValueError, match="are not consecutive"):
        q[:, :64]
    packed = q.pack("high_first")
    assert packed.elements.size * 2 == q.size
    assert packed.second_scale.offset == q.second_scale.offset
    np.testing.assert_array_equal(packed.second_scale.elements, q.scales.ravel())
    assert fe.quantize(np.zeros((0, 64), np.float32), "bnb_nf4").dequantize().shape == (0, 64)


# -- any machine --------------------------------------------------------------------------------------------------

EACH = [
    ("mxfp8_e4m3", "torchao"),
    ("nvfp4", "torchao"),
    ("nvfp4", "transformer-engine"),
    ("nvfp4", "transformer-engine-4over6"),
    ("zeropoint_int8", "torchao"),
    ("zeropoint_uint8", "torch"),
    ("int8_channel", "torch-fake"),
    ("uint8_asym_channel", "torch"),
    ("fp8_e4m3_row", "torchao"),
    ("zeropoint_int4", "onnx"),
    ("bnb_nf4", "bitsandbytes"),
    ("gguf_q8_0", "gguf"),
    ("gguf_q4_0", "gguf"),
    ("gguf_q5_0", "exact"),
]


@float_environment.needed
@pytest.mark.parametrize(("scheme", "profile"), EACH)
def test_float_environment(scheme, profile):
    """The same bits whatever modes another library left set; scales are normal numbers here."""
    x = np.concatenate([blocks("random", 64)[::4], blocks("edges", 64)[::8]])
    x = x[(abs(x).max(axis=1) > 2.0**-60) & (abs(x).max(axis=1) < 2.0**60)]
    if "tensor" in str(fe.scheme(scheme).block):
        x = x[:6]
    before = fe.quantize(x, scheme, profile=profile)
    values = before.dequantize()
    for name in ("toward_zero", "both"):
        with float_environment.changed(name):
            after = fe.quantize(x, scheme, profile=profile)
            again = after.dequantize()
        np.testing.assert_array_equal(after.codes, before.codes)
        np.testing.assert_array_equal(after.scales, before.scales)
        np.testing.assert_array_equal(again, values)


@pytest.mark.parametrize(("scheme", "profile"), EACH)
def test_pieces(scheme, profile, monkeypatch):
    """Small pieces give the same as large ones; and so do blocks that must be gathered."""
    x = blocks("random", 64)[:12] * np.float32(2)
    whole = fe.quantize(x, scheme, profile=profile)
    monkeypatch.setattr(fpemu.quantization.blocks, "CHUNK_ELEMENTS", 128)
    monkeypatch.setattr(fpemu.quantization.blocks, "LONGEST_BLOCK", 64)
    parts = fe.quantize(x, scheme, profile=profile)
    np.testing.assert_array_equal(parts.codes, whole.codes)
    np.testing.assert_array_equal(parts.scales, whole.scales)
    if isinstance(fe.scheme(scheme).block, int):
        turned = fe.quantize(np.ascontiguousarray(x.T), scheme, profile=profile, axis=0)
        np.testing.assert_array_equal(turned.codes.T, whole.codes)
        if turned.scheme.nested is None:
            np.testing.assert_array_equal(turned.dequantize().T, whole.dequantize())


def test_names_of_integers():
    for name, same in (
        ("int8_group128", "int8_group"),
        ("INT4_tensor", "absmax_int4"),
        ("uint8_asym_tensor", "zeropoint_uint8"),
    ):
        assert fe.scheme(name) == fe.scheme(same)
    five = fe.scheme("int5_group64")
    assert (five.element.bits, five.block, five.axis, five.zero_point) == (5, 64, -1, None)
    three = fe.scheme("uint3_asym_channel")
    assert (three.block, three.axis, three.zero_point) == ("channel", 0, fe.dtype("uint3"))
    q = fe.quantize(np.arange(8, dtype=np.float32), "uint3_asym_row")
    assert (q.codes.tolist(), q.zero_points.tolist()) == (list(range(8)), [0])
    q = fe.quantize(np.float32([-1, -0.5, 0.3, 2.0]), "zeropoint_int4")
    assert q.codes.max() < 16
    np.testing.assert_allclose(q.dequantize(), [-1, -0.5, 0.3, 2.0], atol=0.1)


# -- bad input ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: fe.quantize([1.0] * 32, "mxint8", profile="torchao"), "torchao-0.18 does not apply to .*it is for MX"),
        (lambda: fe.quantize([1.0] * 16, "nvfp4", profile="torchaoo"), "unknown profile .* did you mean 'torchao"),
        (lambda: fe.quantize([0.1] * 16, "nvfp4", profile="torchao"), "computes in float32, but some"),
        (lambda: fe.quantize([1.0] * 256, fe.scheme("bnb_nf4").second_level), "has an offset"),
        (lambda: scale_profile("torch").replace(zero="perhaps"), "unknown zero 'perhaps': allowed are after"),
        (lambda: scale_profile("torch").replace(least=-1.0), "least must be 0 or more"),
        (lambda: fe.ScaledFormat("nf4", 64, "float16", second_level=fe.scheme("nf4_64")), "must be float32"),
        (
            lambda: fe.ScaledFormat("nf4", 64, second_level=fe.scheme("bnb_nf4")),
            "a scheme for scales must have one level",
        ),
        (
            lambda: fe.quantize([1.0] * 16, "nvfp4", profile="transformer-engine-4over6", second_scale=1.0),
            "computes the second level's scale itself",
        ),
        (
            lambda: fe.quantize([1.0] * 64, "bnb_nf4", out=fe.quantize([1.0] * 64, "bnb_nf4")),
            "whose scales are themselves quantized",
        ),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(
    "call",
    [
        lambda: scale_profile(3),
        lambda: fe.ScaleProfile("x", steps="fast"),
        lambda: scale_profile("torch").replace(least=None),
        lambda: scale_profile("torch").replace(powers=1),
    ],
)
def test_wrong_kinds(call):
    with pytest.raises(TypeError):
        call()


def test_profiles_of_schemes():
    for scheme in fe.schemes():
        names = scheme.profiles()
        assert names[0] == "exact"
        for name in PROFILES:
            if name in names:
                assert scheme.replace(profile=name).own_profile.rows == ()
            else:
                with pytest.raises(ValueError, match="does not apply"):
                    scheme.replace(profile=name)


def test_scales_that_divide_do_not_multiply():
    divides = fe.quantize(np.ones((2, 2), np.float32), "fp8_e4m3_tensor", profile="torchao")
    with pytest.raises(ValueError, match=r"divided by scales: use dequantize\(\) first"):
        fe.quantized_matmul(divides, divides)
