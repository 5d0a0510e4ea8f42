"""The specification of scaled quantizers against big libraries' recorded answers; differences have names and counts."""

import collections
import math
from fractions import Fraction

import numpy as np
import pytest

from tests.oracle import spec_scaled as spec
from tests.oracle.scaled_comparison import DIFFERENCES, EPS, RANGES, Comparison, alike, just_above, same, signed
from tests.peers.witness.blocks import blocks
from tests.peers.witness.records import file_of, load
from tests.peers.witness.scaled import PARTS, recorded, schemes, values_digest
from tests.peers.witness.scaled_calls import as_type

F32 = spec.FLOAT32


def compare_mx(to):
    """Torchao's MX."""
    element, rule = spec.ELEMENTS[to.words["element"]], to.words["rule"]
    nans = {spec.TORCHAO_NAN.get(to.words["element"])}
    values = []
    for row, codes, scale in zip(
        to.found.x.tolist(), to.found.codes.tolist(), to.found.scales.ravel().tolist(), strict=True
    ):
        ours, code = spec.mx_quantize(row, element, rule)
        if code in (0, 255):
            ours, _ = spec.torchao_mx(row, element, rule)
        elements = alike(ours, codes, element, nans)
        low = scale == code - 1 and rule == "rceil" and just_above(spec.largest_of(row) / element.largest)
        to.row(row, code == scale and elements, "rceil: ceil(log2(x)) in float32" if low else None)
        values.append(spec.mx_dequantize(codes, scale, element))
    return values


def compare_nvfp4(to):
    """Torchao's NVFP4, where NaN has no code."""
    values = []
    for at, (row, codes, scale) in enumerate(
        zip(to.found.x.tolist(), to.found.codes.tolist(), to.found.scales.ravel().tolist(), strict=True)
    ):
        whole = None
        if to.words["levels"] == 2:
            first = at // 8 * 8
            whole = spec.torchao_nvfp4_whole(to.found.x[first : first + 8].ravel().tolist()) or 1.0
            assert same(whole, float(to.found.zero_points[at // 8]))
        ours, code = spec.torchao_nvfp4(row, whole)
        elements = alike(ours, codes, spec.E2M1, {3, 4})
        to.row(row, alike([code], [scale], spec.E4M3) and elements)
        values.append(spec.torchao_nvfp4_dequantize(codes, scale, whole))
    return values


def compare_affine(to):
    """Torchao's affine integers."""
    low, high, kind, domain = (to.words[word] for word in ("low", "high", "dtype", "domain"))
    f, values = spec.TYPES[kind], []
    eps = EPS[to.words["eps"]](kind)
    rows = as_type(to.found.x, kind).astype(np.float64).tolist()
    codes = signed(to.found.codes, low).tolist()
    for row, theirs, scale, point in zip(
        rows, codes, to.found.scales.tolist(), to.found.zero_points.tolist(), strict=True
    ):
        ours = spec.torchao_affine(row, to.words["mapping"], low, high, kind, domain, eps)
        to.row(row, ours.codes == theirs and same(ours.scale, scale) and same(ours.zero_point, float(point)))
        if domain == "float":
            middle = (high + low + 1) / 2
            values.append([f.add(f.multiply(f.round(f.add(float(c), -middle)), scale), point) for c in theirs])
        else:
            values.append([f.multiply(f.add(float(c), -f.round(float(point))), scale) for c in theirs])
    return values


def compare_float8(to):
    """Torchao's scaled float8."""
    element, granularity = spec.ELEMENTS[to.words["element"]], to.words["granularity"]
    x, codes, scales = to.found.x, to.found.codes, to.found.scales
    if granularity == "square":
        x, codes = (part.reshape(1, 128, 2, 128).transpose(0, 2, 1, 3).reshape(2, -1) for part in (x, codes))
    values = []
    for row, theirs, scale in zip(x.tolist(), codes.tolist(), scales.ravel().tolist(), strict=True):
        reason = None
        if granularity == "choose":
            ours, factor = spec.torchao_float8_choose(row, element)
            decoded = [F32.multiply(element.value(c), scale) for c in theirs]
        else:
            ours, factor = spec.torchao_float8(row, element, to.words.get("power_of_two", False))
            decoded = [F32.divide(element.value(c), scale) for c in theirs]
            if granularity in ("tile", "square"):
                factor = F32.divide(1.0, factor)
                decoded = [F32.multiply(element.value(c), scale) for c in theirs]
            elif scale == 2 * factor:
                reason = "power of two: floor(log2(x)) in float32"
        to.row(row, alike(ours, theirs, element) and same(factor, scale), reason)
        values.append(decoded)
    if granularity == "square":
        return np.array(values).reshape(1, 2, 128, 128).transpose(0, 2, 1, 3).reshape(128, 256)
    return values


def compare_torch(to):
    """Torch's observers and quantizers."""
    words, call = to.words, to.words["scheme"].split("_")[0]
    fake = call == "fake" or str(words.get("way")).startswith("fake")
    per_channel = "per_channel" in str(words.get("qscheme", words.get("way")))
    if call in ("fake", "fixed"):
        low, high = words["low"], words["high"]
    else:
        low, high = (-128, 127) if words["qtype"] == "qint8" else (0, 255)
    observed = (low // 2, high // 2) if words.get("reduce_range") else (low, high)
    values = []
    codes = signed(to.found.codes, low).tolist()
    for row, theirs, scale, point in zip(
        to.found.x.tolist(), codes, to.found.scales.tolist(), to.found.zero_points.tolist(), strict=True
    ):
        if call != "fixed":
            found, zero = spec.torch_observer(row, *observed, "symmetric" in words["qscheme"], 128 if low == 0 else 0)
            if not math.isfinite(found):
                to.row(row, same(found, scale) and not any(theirs))
                scale, theirs = 1.0, None
            else:
                to.row(row, same(found, scale) and zero == point)
        one = [quantized(x, scale, point, low, high, fake, per_channel) for x in row]
        if theirs is not None:
            to.row(row, one == theirs)
        values.append([F32.multiply(float(c - point), scale) for c in one])
    return values


def quantized(x, scale, point, low, high, fake, per_channel):
    """One number by torch's four ways."""
    if fake:
        return spec.torch_fake_quantize(x, scale, point, low, high, per_channel)
    one = spec.torch_quantize_per_channel if per_channel else spec.torch_quantize_per_tensor
    return one(x, scale, point, low, high)


def compare_onnx(to):
    """QuantizeLinear and DequantizeLinear, by onnx's reference evaluator and by onnxruntime."""
    words, target = to.words, to.words["target"]
    f, values = spec.TYPES[words["kind"]], []
    rows = as_type(to.found.x, words["kind"]).astype(np.float64)
    parts = to.found.scales.shape[1]
    shape = (-1, rows.shape[1] // parts)
    codes = signed(to.found.codes, RANGES[target][0], 4 if "4" in target else 8) if target in RANGES else to.found.codes
    for row, theirs, scale, point in zip(
        rows.reshape(shape).tolist(),
        codes.reshape(shape).tolist(),
        to.found.scales.ravel().tolist(),
        to.found.zero_points.ravel().tolist(),
        strict=True,
    ):
        if target in RANGES:
            low, high = RANGES[target]
            if words["runtime"]:
                ours = [spec.onnxruntime_quantize(x, scale, point, low, high) for x in row]
            else:
                ours = [spec.onnx_quantize(x, scale, point, low, high, words["kind"]) for x in row]
            to.row((row, scale, point, ours, theirs), ours == theirs)
            values.append([f.multiply(float(c - point), scale) for c in theirs])
        else:
            element = spec.ELEMENTS[target]
            divide = F32.divide if words["runtime"] else f.divide
            ours, reasons = [], set()
            for x, code in zip(row, theirs, strict=True):
                ratio = divide(x, scale)
                if target == "float4_e2m1fn":
                    ratio += 0.0  # the zero point
                nan = {"float8_e5m2": 0x7F if words["runtime"] else 0x7E, "float8_e4m3fn": 0x7F}.get(target)
                if ratio != ratio and nan is None:
                    ours.append(0 if math.copysign(1, ratio) < 0 else 8)  # ml_dtypes
                else:
                    ours.append(spec.onnx_float(ratio, element, words["saturate"], nan))
                if ours[-1] != code:
                    reasons.add(runtime_reason(ratio, words))
            to.row((row, scale, ours, theirs), ours == theirs, reasons.pop() if len(reasons) == 1 else None)
            values.append([f.round(F32.multiply(element.value(c), scale)) for c in theirs])
    return np.array(values).reshape(rows.shape)


def runtime_reason(ratio, words):
    """The name of onnxruntime's difference without saturation, which its own reference does not have."""
    if words["runtime"] and not words["saturate"] and abs(ratio) > spec.ELEMENTS[words["target"]].largest:
        return "no saturation: another code beyond the largest number"
    return None


def compare_bitsandbytes(to):
    """NF4 and FP4."""
    words, block = to.words, to.words["block"]
    flat = to.found.x.ravel()
    flat = flat[: flat.size - words["ragged"]].tolist()
    scales, codes = to.found.scales.tolist(), to.found.codes.tolist()
    book = spec.CODEBOOKS[words["codebook"]]
    absmaxes, values = [], []
    for at in range(0, len(flat), block):
        row = flat[at : at + block]
        ours, absmax = spec.bitsandbytes_4bit(row, words["codebook"], len(row) == block)
        absmaxes.append(absmax)
        to.row(row, ours == codes[at : at + block] and (words["nested"] or same(absmax, scales[at // block])))
    if words["nested"]:
        offset, *rest = to.found.zero_points.tolist()
        second, codebook = rest[:-256], rest[-256:]
        assert codebook == spec.dynamic_map()
        less = [F32.add(absmax, -offset) for absmax in absmaxes]
        for at in range(0, len(less), 256):
            ours, absmax = spec.bitsandbytes_8bit(less[at : at + 256], codebook)
            to.row(at, ours == scales[at : at + 256] and absmax == second[at // 256])
        absmaxes = [F32.add(F32.multiply(codebook[c], second[i // 256]), offset) for i, c in enumerate(scales)]
    for i, code in enumerate(codes):
        values.append(F32.multiply(book[code], absmaxes[i // block]))
    return values


def compare_gguf(to):
    """GGUF's simple blocks."""
    kind, values = to.words["kind"], []
    for at, (row, codes, scale) in enumerate(
        zip(
            to.found.x.tolist(),
            signed(to.found.codes, -1 if to.words["kind"] == "Q8_0" else 0).tolist(),
            to.found.scales.ravel().tolist(),
            strict=True,
        )
    ):
        least = None if to.found.zero_points is None else float(to.found.zero_points[at, 0])
        if not all(map(math.isfinite, row)):
            to.row(row, False, "infinities and NaN: undefined in C")
        else:
            ours = spec.gguf_block(row, kind)
            reason = None if ours[0] else "d or 1 / d is infinite: undefined in C"
            if ours[0] == codes and least == ours[2] == 0:
                reason = "zeros of both signs: which of them is smallest"
            agree = ours[0] == codes and same(ours[1], scale) and (least is None or same(ours[2], least))
            to.row(row, agree, reason)
        middle = {"Q4_0": 8, "Q5_0": 16}.get(kind, 0)
        one = [F32.multiply(scale, float(c - middle)) for c in codes]
        values.append(one if least is None else [F32.add(v, least) for v in one])
    return values


COMPARE = {
    "mx": compare_mx, "nvfp4": compare_nvfp4, "affine": compare_affine, "float8": compare_float8,
    "torch": compare_torch, "onnx": compare_onnx, "onnxruntime": compare_onnx, "bitsandbytes": compare_bitsandbytes,
    "gguf": compare_gguf,
}  # fmt: skip


def compare(found):
    """One recorded answer; what it decodes to, in float32."""
    library, scheme = found.scheme["library"], found.scheme["scheme"]
    kind = next(kind for kind in COMPARE if scheme.startswith(kind)) if library == "torchao" else library
    to = Comparison(found)
    with np.errstate(over="ignore"):
        return to, np.array(COMPARE[kind](to), np.float64).astype(np.float32)


@pytest.mark.parametrize("library", DIFFERENCES)
def test_recorded(library):
    """Codes, scales, zero points of every row, and what they decode to."""
    counted = collections.Counter()
    for name, found in recorded(library).items():
        to, values = compare(found)
        assert to.rows
        counted.update(to.differences)
        assert values_digest(values) == found.values, name
    assert counted == DIFFERENCES[library]


def test_records_are_whole_and_small():
    """Each file says what made it, has every answer of the table and no others, and is small."""
    assert list(DIFFERENCES) == list(schemes())
    for library, rows in schemes().items():
        arrays, about = load(f"{library} scaled")
        assert about["library"] == library
        assert about["version"]
        assert about["command"].replace(".peers", "") == f"python -m tests.witness record '{library} scaled'"
        names = [row.name(source) for row in rows for source in row.sources]
        assert len(names) == len(set(names))
        assert {key.rpartition("|")[0] for key in arrays} == set(names) == set(about["values"])
        assert {key.rpartition("|")[2] for key in arrays} <= set(PARTS)
        assert file_of(f"{library} scaled").stat().st_size < 150_000


def test_bitsandbytes_codebook():
    """The map of 256 numbers that its nested scales are codes of, and which of them cannot come out."""
    found = recorded("bitsandbytes")["bitsandbytes|nf4|block64-nested|random"]
    assert found.zero_points[-256:].tolist() == spec.dynamic_map()
    near_zero = [place * 2 / 65535 - 1 for place in range(32750, 32786)]
    used = set(spec.bitsandbytes_8bit([*near_zero, 0.0, 1e-9, 1.0], spec.dynamic_map())[0])
    assert set(range(118, 138)) - used == {124, 125, 126, 127, 128, 129, 130}


@pytest.mark.parametrize("element", spec.ELEMENTS)
def test_gfloat(element):
    """Gfloat's MX blocks, whose rule is floor; its log2 is right in float64."""
    from gfloat import block as gfloat_block
    from gfloat import formats

    info = getattr(formats, f"format_info_mxfp{element[5]}_{element[7:11]}", None) or formats.format_info_mxfp4_e2m1
    kind = spec.ELEMENTS[element]
    for source in ("specials", "edges", "random"):
        rows = blocks(source, 32, element)
        for row in rows[np.isfinite(rows).all(axis=1)][::3].astype(np.float64):
            scale = gfloat_block.compute_scale_amax(info.etype.emax, row)
            code, *codes = gfloat_block.encode_block(info, scale, row / scale)
            assert (codes, code) == spec.mx_quantize(row.tolist(), kind, "floor")


@pytest.mark.parametrize(
    ("amax", "element", "codes"),
    [
        (448, "float8_e4m3fn", (127, 128, 127, 127)),
        (449, "float8_e4m3fn", (127, 128, 127, 128)),
        (480, "float8_e4m3fn", (127, 128, 127, 128)),
        (500, "float8_e4m3fn", (127, 128, 128, 128)),
        (150, "float8_e4m3fn", (126, 127, 126, 126)),
        (6.5, "float4_e2m1fn", (127, 128, 127, 128)),
        (7, "float4_e2m1fn", (127, 128, 128, 128)),
        (4, "float4_e2m1fn", (127, 127, 127, 127)),
        (2.0**-149, "float8_e5m2", (0, 0, 0, 0)),
        (math.inf, "float8_e4m3fn", (247, 247, 247, 254)),
        (math.nan, "float8_e4m3fn", (255, 255, 255, 255)),
        (0, "float8_e4m3fn", (0, 0, 0, 0)),
    ],
)
def test_shared_exponent(amax, element, codes):
    """Scales worked out by hand, by floor, ceil, even and rceil."""
    kind = spec.ELEMENTS[element]
    found = [spec.mx_scale([0.0, float(amax)], kind, rule) for rule in ("floor", "ceil", "even", "rceil")]
    assert tuple(found) == codes


def test_transformer_engine():
    """NVFP4 by hand: amax 6 in a tensor of amax 6 has scale 448; zeros; 4 beats 6 for [4, 3, 2], 6 for [6, 4, 3]."""
    sevens = [6.0, -6.0, 3.0, 0.25] + [0.0] * 12
    assert spec.te_nvfp4(sevens, 6.0) == ([7, 15, 5, 0] + [0] * 12, spec.E4M3.code(448.0))
    assert spec.te_nvfp4([0.0] * 16, 0.0) == ([0] * 16, 0)
    assert spec.te_nvfp4([0.0] * 16, 6.0) == ([0] * 16, 0)
    fours = [4.0, 3.0, 2.0, 1.0] + [0.0] * 12
    codes, scale = spec.te_four_over_six([fours], 6.0, e4m3_max=256)
    assert (codes[0][:4], spec.E4M3.value(scale)) == ([6, 5, 4, 2], 256.0)
    sixes = [6.0, 4.0, 3.0, 2.0] + [0.0] * 12
    codes, scale = spec.te_four_over_six([sixes], 6.0, e4m3_max=256)
    assert (codes[0][:4], spec.E4M3.value(scale)) == ([7, 6, 5, 4], 256.0)


def test_textbook():
    """Absolute maximum and zero point, exact."""
    assert spec.absmax_scale([1.0, -2.54]) == Fraction(-2.54) / -127
    scale = spec.absmax_scale([63.5, -127.0])
    assert [spec.quantize_exact(x, scale, 0, -127, 127) for x in (63.5, -127.0, 0.5, 1.5)] == [64, -127, 0, 2]
    scale, zero = spec.zero_point_scale([0.0, 510.0])
    assert (scale, zero) == (2, -128)
    assert [spec.quantize_exact(x, scale, zero, -128, 127) for x in (0.0, 510.0, 3.0, 5.0)] == [-128, 127, -126, -126]
    assert spec.zero_point_scale([0.0, 0.0]) == (0, 0)
