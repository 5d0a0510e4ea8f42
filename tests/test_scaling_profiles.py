"""The named profiles of scaled formats against what the tools themselves answered, and against the specification."""

import collections


import numpy as np
import pytest

import fpemu as fe
from fpemu.scaling.books import DYNAMIC, FP4
from fpemu.scaling.tools import PROFILES, scale_profile
from tests import spec_scaled as spec
from tests.scaled_comparison import DIFFERENCES, EPS, RANGES, just_above, signed
from tests.witness.blocks import blocks
from tests.witness.scaled import recorded, values_digest
from tests.witness.scaled_calls import as_type

# What the profiles are not for.
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
        decoded = fe.Quantized(q.scheme, codes.reshape(q.codes.shape), scales, zeros, q.second_scale, q.layout, q.offset)
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
    scheme = fe.ScaledFormat("mx", found.scheme["element"], 32, "e8m0", rule, profile="torchao")
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
    scheme = fe.ScaledFormat("affine", element, "row", kind, rule, zero_point=zero, profile=profile)
    to = Answer(found, scheme, as_type(found.x, kind))
    agree = (signed(to.q.codes, words["low"], 4 if "4" in element else 8) == signed(found.codes, words["low"])).all(axis=-1)
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
    to = Answer(found, fe.ScaledFormat("float8", words["element"], block, profile=profile))
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
    scheme = fe.ScaledFormat("torch", element, block, scale_rule="absmax" if symmetric else "minmax", zero_point=element)
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
    scheme = fe.ScaledFormat("onnx", target, "row", kind, zero_point=integer, profile=name)
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
        scheme = fe.ScaledFormat("nested", book, block, second_level=level, profile="bitsandbytes")
        offset, *rest = found.zero_points.tolist()
        to = Answer(found, scheme, flat, second_scale=offset)
        assert to.q.offset is None
        assert to.q.second_scale.offset == offset
        assert list(DYNAMIC.entries) == rest[-256:]
        to.count(to.q.scales == found.scales)
        to.count(to.q.second_scale.scale_values == np.float32(rest[:-256]))
    else:
        to = Answer(found, fe.ScaledFormat("4bit", book, block, profile="bitsandbytes"), flat)
        to.count(rows_agree(to.q.scale_values[:, None], found.scales[:, None]))
    theirs = np.pad(found.codes, (0, words["ragged"])).reshape(-1, block)
    to.count((np.pad(to.q.codes, (0, words["ragged"])).reshape(-1, block) == theirs).all(axis=-1))
    return to, to.values(found.codes)


COMPARE = {
    "mx": torchao_mx, "nvfp4": torchao_nvfp4, "affine": torchao_affine, "float8": torchao_float8,
    "torch": torch_way, "onnx": onnx, "onnxruntime": onnx, "bitsandbytes": bitsandbytes,
}  # fmt: skip


@pytest.mark.parametrize("library", [library for library in DIFFERENCES if library != "gguf"])
def test_recorded(library):
    """Codes, scales, zero points of every row; and what the library's codes decode to, to the last bit."""
    counted, answers = collections.Counter(), 0
    for name, found in recorded(library).items():
        if found.scheme.get("domain", "int") in LEFT_OUT.get(found.scheme["scheme"], ()):
            continue
        kind = found.scheme["scheme"]
        kind = next(kind for kind in COMPARE if found.scheme["scheme"].startswith(kind)) if library == "torchao" else library
        with np.errstate(over="ignore"):
            to, values = COMPARE[kind](found)
        assert to.rows
        counted.update(to.differences)
        assert values_digest(values) == found.values, name
        answers += 1
    print(library, answers, "answers")
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
    q = fe.quantize(rows, fe.ScaledFormat("mx", element, 32, "e8m0", "floor", profile="gfloat"))
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
        # scale code 0 is 2^-127, and 2^-126 divides
        ("mxfp4", "torchao", [2.0**-127] * 32, [2] * 32, [1] * 32),
        # the block's scale is 1/448 of the tensor's, below 2^-6
        ("nvfp4", "torchao", [6.0] + [0.0] * 15 + [2.0**-9] + [0.0] * 15, None, None),
        ("nvfp4", "transformer-engine-2026", [1.1] * 16 + [0.7] * 16, None, None),
        # 127.5 codes from 0 to the largest
        ("absmax_int8", "torchao", [127.0, 1.0], [127, 1], [127, 1]),
        ("absmax_int8", "torch", [127.5, 63.25], [127, 63], [127, 63]),
        ("fp8_e4m3_tensor", "torchao", [0.0, 0.0], [0, 0], [0, 0]),
        ("fp8_e4m3_tensor", "torchao-0.18-inference", [0.0, 0.0], [0, 0], [127, 127]),
        ("zeropoint_int8", "torch", [255.0, 0.5], [127, -128], [127, -128]),
        ("zeropoint_int8", "onnx", [255.0, np.nan], None, None),
        ("nf4_64", "bitsandbytes", [0.0] * 63 + [np.nan], [7] * 64, [15] * 64),
    ],
)
def test_exact_differs(scheme, profile, x, exact, theirs):
    own, other = (fe.quantize(np.float32(x), scheme, profile=p, pad=True) for p in ("exact", profile))
    print(scheme, profile, own.codes.tolist(), other.codes.tolist(), own.scale_values, other.scale_values)


# -- bad input ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: fe.quantize([1.0] * 32, "mxint8", profile="torchao"), "torchao-0.18 does not apply to .*it is for MX"),
        (lambda: fe.quantize([1.0] * 16, "nvfp4", profile="torchaoo"), "unknown profile .* did you mean 'torchao"),
        (lambda: fe.quantize([0.1] * 16, "nvfp4", profile="torchao"), "computes in float32, which does not hold"),
        (lambda: fe.quantize([1.0] * 256, fe.scheme("bnb_nf4").second_level), "has an offset"),
        (lambda: fe.scheme("uint8_row"), "unsigned integers need zero points, as 'uint8_asym_row'"),
        (lambda: scale_profile("torch").replace(zero="perhaps"), "unknown zero 'perhaps': allowed are after"),
        (lambda: scale_profile("torch").replace(least=-1.0), "least must be 0 or more"),
        (lambda: fe.ScaledFormat("x", "nf4", 64, "float16", second_level=fe.scheme("nf4_64")), "are float32 first"),
        (lambda: fe.ScaledFormat("x", "nf4", 64, second_level=fe.scheme("bnb_nf4")), "quantized to one level"),
        (
            lambda: fe.quantize([1.0] * 16, "nvfp4", profile="transformer-engine-4over6", second_scale=1.0),
            "works out the second level's scale itself",
        ),
        (
            lambda: fe.quantize(np.ones((4, 4)), "int8_channel", axis=1, profile="torch", rounding="stochastic"),
            "blocks that lie in one piece",
        ),
        (
            lambda: fe.quantize([1.0] * 64, "bnb_nf4", out=fe.quantize([1.0] * 64, "bnb_nf4")),
            "whose scales are quantized themselves",
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
