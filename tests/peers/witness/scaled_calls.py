"""How each big library quantizes with scales: one function for each way in, from an array of rows to an `Answer`.

Each function says which of the library's own functions it calls.  Codes are one to a byte, whatever the library packs.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import ml_dtypes
import numpy as np

from tests.peers.witness.sources import Array

FLOAT_TYPES = {"float16": np.float16, "float32": np.float32, "bfloat16": ml_dtypes.bfloat16}


class Answer(NamedTuple):
    """What a library made of rows: codes (uint8), scales (codes or float32), zero points, the values it decodes to."""

    codes: Array
    scales: Array
    zero_points: Array | None = None
    values: Array | None = None


def as_type(x: Array, dtype: str) -> Array:
    """The rows in another type, rounded to nearest even."""
    with np.errstate(over="ignore", invalid="ignore"):
        return x.astype(FLOAT_TYPES[dtype])


def unpacked(packed: Array, first: str) -> Array:
    """The two codes of each byte, the first of them in its "low" or "high" nibble."""
    nibbles = (packed & 15, packed >> 4) if first == "low" else (packed >> 4, packed & 15)
    return np.stack(nibbles, axis=-1).reshape(*packed.shape[:-1], -1)


# -- torch --------------------------------------------------------------------------------------------------------


def tensor(x: Array, dtype: str = "float32") -> Any:
    """A copy as a tensor of this type."""
    import torch

    return torch.from_numpy(np.array(x, np.float32)).to(getattr(torch, dtype))


def array(t: Any) -> Array:
    """A tensor's numbers; floats of 16 and 8 bits as their codes are."""
    import torch

    t = t.detach().contiguous()
    if t.dtype in (torch.bfloat16, torch.float16):
        t = t.float()
    elif t.dtype.itemsize == 1 and t.dtype.is_floating_point:
        t = t.view(torch.uint8)
    return np.array(t.numpy())


def torch_observe(rows: Any, qtype: str, qscheme: str, reduce_range: bool) -> tuple[Any, Any]:
    """Scales and zero points of rows: MinMaxObserver on each, or PerChannelMinMaxObserver on all."""
    import torch
    from torch.ao.quantization.observer import MinMaxObserver, PerChannelMinMaxObserver

    words = {"dtype": getattr(torch, qtype), "qscheme": getattr(torch, qscheme), "reduce_range": reduce_range}
    if qscheme.startswith("per_channel"):
        observer = PerChannelMinMaxObserver(ch_axis=0, **words)
        observer(rows)
        return observer.calculate_qparams()
    found = []
    for row in rows:
        observer = MinMaxObserver(**words)
        observer(row)
        found.append(observer.calculate_qparams())
    return torch.cat([s for s, _ in found]), torch.cat([z for _, z in found])


def torch_quantize(x: Array, qtype: str, qscheme: str, reduce_range: bool = False) -> Answer:
    """An observer's scales, then quantize_per_tensor on each row or quantize_per_channel on all, and dequantize.

    NaN and infinite scales are refused by quantize_per_channel and ask for nothing of quantize_per_tensor: those rows'
    codes are zero here.
    """
    import torch

    rows, target = tensor(x), getattr(torch, qtype)
    scales, points = torch_observe(rows, qtype, qscheme, reduce_range)
    good = torch.isfinite(scales)
    safe = torch.where(good, scales, torch.ones_like(scales))
    if qscheme.startswith("per_channel"):
        quantized = torch.quantize_per_channel(rows, safe, points, 0, target)
        codes, values = array(quantized.int_repr()), array(quantized.dequantize())
    else:
        each = [
            torch.quantize_per_tensor(row, float(s), int(z), target)
            for row, s, z in zip(rows, safe, points, strict=True)
        ]
        codes = np.stack([array(q.int_repr()) for q in each])
        values = np.stack([array(q.dequantize()) for q in each])
    codes[~array(good)] = 0
    kept = array(points).astype(np.float32 if points.is_floating_point() else np.int32)
    return Answer(codes.view(np.uint8), array(scales.float()), kept, values)


def torch_fake(x: Array, qscheme: str, low: int, high: int) -> Answer:
    """An observer's scales, then fake_quantize_per_tensor_affine or fake_quantize_per_channel_affine.

    Its answer is values; codes are the integers that give them, value / scale + zero point.  Rows as in
    `torch_quantize`.
    """
    import torch

    rows = tensor(x)
    scales, points = torch_observe(rows, "qint8" if low < 0 else "quint8", qscheme, False)
    good = torch.isfinite(scales)
    safe, points = torch.where(good, scales, torch.ones_like(scales)), points.to(torch.int32)
    if qscheme.startswith("per_channel"):
        values = torch.fake_quantize_per_channel_affine(rows, safe, points, 0, low, high)
    else:
        values = torch.stack(
            [
                torch.fake_quantize_per_tensor_affine(row, float(s), int(z), low, high)
                for row, s, z in zip(rows, safe, points, strict=True)
            ]
        )
    codes = np.rint(array(values).astype(np.float64) / array(safe)[:, None].astype(np.float64))
    codes = (codes + array(points)[:, None]).astype(np.int64)
    codes[~array(good)] = 0
    return Answer(codes.astype(np.uint8), array(scales.float()), array(points), array(values))


def torch_fixed(x: Array, way: str, scale: float, zero_point: int, low: int, high: int) -> Answer:
    """quantize_ or fake_quantize_, per_tensor or per_channel, with a scale given beforehand; infinities and NaN too."""
    import torch

    rows, count = tensor(x), len(x)
    scales, points = torch.full((count,), scale), torch.full((count,), zero_point, dtype=torch.int32)
    if way.startswith("fake"):
        if way == "fake_per_tensor":
            values = torch.fake_quantize_per_tensor_affine(rows, scale, zero_point, low, high)
        else:
            values = torch.fake_quantize_per_channel_affine(rows, scales, points, 0, low, high)
        codes = np.rint(array(values).astype(np.float64) / scale) + zero_point
        return Answer(codes.astype(np.int64).astype(np.uint8), array(scales), array(points), array(values))
    target = torch.qint8 if low < 0 else torch.quint8
    if way == "per_tensor":
        quantized = torch.quantize_per_tensor(rows, scale, zero_point, target)
    else:
        quantized = torch.quantize_per_channel(rows, scales, points, 0, target)
    codes = array(quantized.int_repr()).view(np.uint8)
    return Answer(codes, array(scales), array(points), array(quantized.dequantize()))


# -- torchao ------------------------------------------------------------------------------------------------------

TORCHAO_ELEMENTS = {"float6_e2m3fn": "fp6_e2m3", "float6_e3m2fn": "fp6_e3m2"}


def torchao_mx(x: Array, element: str, rule: str) -> Answer:
    """torchao.prototype.mx_formats.mx_tensor.to_mx with blocks of 32, and to_dtype back to float32."""
    import torch
    from torchao.prototype.mx_formats.config import ScaleCalculationMode
    from torchao.prototype.mx_formats.mx_tensor import to_dtype, to_mx

    name = {"float4_e2m1fn": "float4_e2m1fn_x2"}.get(element, element)
    kind = TORCHAO_ELEMENTS.get(name) or getattr(torch, name)
    scales, data = to_mx(tensor(x), kind, 32, ScaleCalculationMode(rule))
    codes = array(data) if element != "float4_e2m1fn" else unpacked(array(data), "low")
    return Answer(codes, array(scales), None, array(to_dtype(data, scales, kind, 32, torch.float32)))


def torchao_nvfp4(x: Array, levels: int) -> Answer:
    """nvfp4_quantize on blocks of 16; with two levels each eight rows are a tensor, whose float32 scale is given back.

    The tensor's scale is per_tensor_amax_to_scale of its largest magnitude, 1 for a tensor of zeros.
    """
    import torch
    from torchao.prototype.mx_formats.nvfp4_tensor import NVFP4Tensor, per_tensor_amax_to_scale

    found = []
    for group in np.split(x, range(8, len(x), 8)) if levels == 2 else [x]:
        rows, whole = tensor(group), None
        if levels == 2:
            whole = per_tensor_amax_to_scale(rows.abs().max())
            whole = torch.where(whole == 0, torch.ones_like(whole), whole)
        quantized = NVFP4Tensor.to_nvfp4(rows, 16, whole)
        whole = torch.ones(()) if whole is None else whole
        found.append((unpacked(array(quantized.qdata), "low"), array(quantized.scale), array(whole).reshape(1),
                      array(quantized.dequantize(torch.float32))))  # fmt: skip
    codes, scales, wholes, values = (np.concatenate(part) for part in zip(*found, strict=True))
    return Answer(codes, scales, wholes if levels == 2 else None, values)


def torchao_affine(
    x: Array, mapping: str, low: int, high: int, dtype: str = "float32", domain: str = "int", eps: str = "tiny"
) -> Answer:
    """choose_qparams_affine (or a sibling: tinygemm, no zero), quantize_affine, dequantize_affine; a row is a group."""
    import torch
    from torchao.quantization import quant_primitives as q

    rows, target = tensor(x, dtype), torch.int8 if low < 0 else torch.uint8
    block, mode = (1, x.shape[1]), q.MappingType[mapping.upper()]
    least = torch.finfo(torch.float32).eps if eps == "eps" else None
    choose = {"int": q.choose_qparams_affine, "float": q._choose_qparams_affine_tinygemm,
              "int_no_zero": q._choose_qparams_affine_dont_preserve_zero}[domain]  # fmt: skip
    scales, points = choose(rows, mode, block, target, low, high, least)
    if domain == "float":
        codes = q._quantize_affine_tinygemm(rows, block, scales, points, target, low, high)
        values = q._dequantize_affine_tinygemm(codes, block, scales, points, target, low, high, output_dtype=rows.dtype)
    else:
        codes = q.quantize_affine(rows, block, scales, points, target, low, high)
        values = q.dequantize_affine(codes, block, scales, points, target, low, high, output_dtype=rows.dtype)
    return Answer(array(codes).view(np.uint8), array(scales), array(points), array(values))


def torchao_float8(x: Array, element: str, granularity: str, power_of_two: bool = False) -> Answer:
    """float8 training's scales: tensor_to_scale and hp_tensor_and_scale_to_float8; its 1x128 and 128x128 tiles.

    "tensor": each row is a tensor.  "row": all rows are one, scaled along axis 1.  The scale multiplies.  "tile" and
    "square" (torch_blockwise_scale_act_quant_lhs and _weight_quant) give back the scale that undoes.  "choose":
    inference's _choose_scale_float8 and _quantize_affine_float8, whose scale divides.
    """
    import torch
    from torchao.float8.config import ScalingGranularity
    from torchao.float8.float8_training_tensor import hp_tensor_and_scale_to_float8
    from torchao.float8.float8_utils import tensor_to_scale
    from torchao.prototype.blockwise_fp8_training import kernels
    from torchao.quantization import quant_primitives as q

    kind, rows = getattr(torch, element), tensor(x)
    if granularity in ("tile", "square"):
        tiled = {
            "tile": kernels.torch_blockwise_scale_act_quant_lhs,
            "square": kernels.torch_blockwise_scale_weight_quant,
        }
        codes, scales = tiled[granularity](rows, 128, kind)
        wide = scales if granularity == "tile" else scales.repeat_interleave(128, 0)
        return Answer(array(codes), array(scales), None, array(codes.float() * wide.repeat_interleave(128, 1)))
    if granularity == "choose":
        scales = q._choose_scale_float8(rows, [1, x.shape[1]], kind)
        codes = q._quantize_affine_float8(rows, scales, kind)
        return Answer(array(codes), array(scales), None, array(q._dequantize_affine_float8(codes, scales)))
    words: dict[str, Any] = {"round_scales_to_power_of_2": power_of_two}
    if granularity == "row":
        words |= {"scaling_granularity": ScalingGranularity.AXISWISE, "axiswise_dim": -1}
        made = [(rows, tensor_to_scale(rows, kind, **words))]
    else:
        made = [(row[None], tensor_to_scale(row, kind, **words).reshape(1, 1)) for row in rows]
    done = [hp_tensor_and_scale_to_float8(row, scale, kind) for row, scale in made]
    codes = np.concatenate([array(one._data) for one in done])
    scales = np.concatenate([array(scale) for _, scale in made])
    return Answer(codes, scales, None, np.concatenate([array(one.to_original_precision()) for one in done]))


# -- bitsandbytes -------------------------------------------------------------------------------------------------


def bitsandbytes_4bit(x: Array, codebook: str, block: int, nested: bool = False, ragged: int = 0) -> Answer:
    """functional.quantize_4bit and dequantize_4bit on the CPU; `ragged` numbers are left off the end of the last row.

    Nested (compress_statistics): scales are the absmax codes; zero points hold the offset, the second level's absmax of
    each 256, and its codebook's 256 values.
    """
    import torch
    from bitsandbytes import functional

    flat = tensor(x).reshape(-1)
    flat = flat[: flat.numel() - ragged]
    packed, state = functional.quantize_4bit(
        flat, blocksize=block, quant_type=codebook, compress_statistics=nested, quant_storage=torch.uint8
    )
    values = array(functional.dequantize_4bit(packed, state)).reshape(-1)
    codes = unpacked(array(packed).reshape(-1), "high")[: flat.numel()]
    second = None
    if nested:
        second = np.concatenate([array(state.offset).reshape(1), array(state.state2.absmax), array(state.state2.code)])
    return Answer(codes, array(state.absmax), second, values)


# -- ONNX ---------------------------------------------------------------------------------------------------------

ONNX_TARGETS = {
    "int8": "INT8", "uint8": "UINT8", "int4": "INT4", "uint4": "UINT4", "int16": "INT16",
    "float8_e4m3fn": "FLOAT8E4M3FN", "float8_e5m2": "FLOAT8E5M2", "float4_e2m1fn": "FLOAT4E2M1",
}  # fmt: skip
ONNX_FLOATS = {"float32": "FLOAT", "float16": "FLOAT16", "bfloat16": "BFLOAT16"}


def onnx_scales(x: Array, target: str, kind: str, blocked: bool) -> tuple[Array, Array]:
    """Scales for each row (or each 8 of it) that cover it, or 1/2 or 0.95 of it; several zero points, 0 in floats."""
    parts = x.reshape(len(x), -1, 8 if blocked else x.shape[1]).astype(np.float64)
    tops = np.where(np.isfinite(parts), abs(parts), 0).max(axis=-1)
    largest = {"int8": 127, "uint8": 127, "int4": 7, "uint4": 7, "float8_e5m2": 57344, "float4_e2m1fn": 6}.get(
        target, 448
    )
    with np.errstate(over="ignore", under="ignore"):
        part = np.resize([1, 0.5, 1, 0.95], tops.size).reshape(tops.shape)
        scales = (tops / largest * part).astype(np.float32).astype(FLOAT_TYPES[kind])
    smallest = np.float32(np.finfo(FLOAT_TYPES[kind]).tiny if kind != "bfloat16" else 2.0**-126)
    scales = np.where((scales.astype(np.float32) < smallest) | ~np.isfinite(scales.astype(np.float32)),
                      np.asarray(smallest, scales.dtype), scales)  # fmt: skip
    points = np.zeros(tops.shape, np.int64)
    if target in ("int8", "int4"):
        points = np.resize([-3, 0, 2, 5], tops.size).reshape(tops.shape)
    elif target in ("uint8", "uint4"):
        points = np.resize({"uint8": [128, 0, 127, 5], "uint4": [8, 0, 7, 15]}[target], tops.size).reshape(tops.shape)
    return scales, points


def onnx_linear(
    x: Array, target: str, kind: str = "float32", granularity: str = "axis", saturate: int = 1, runtime: bool = False
) -> Answer:
    """QuantizeLinear and DequantizeLinear, opset 21 (23 for float4) with `onnx_scales`.

    "axis": a scale for each row; "block": one for each 8 numbers of a row; "tensor": each row is a tensor.
    """
    from onnx import TensorProto, helper

    rows = as_type(x, kind)
    scales, points = onnx_scales(rows.astype(np.float32), target, kind, granularity == "block")
    to, real = getattr(TensorProto, ONNX_TARGETS[target]), getattr(TensorProto, ONNX_FLOATS[kind])
    words: dict[str, Any] = {"block": {"axis": 1, "block_size": 8}, "axis": {"axis": 0}, "tensor": {}}[granularity]
    saturates = {"saturate": saturate} if target.startswith("float8") else {}

    def ask(part: Array, scale: Array, point: Array) -> tuple[Array, Array]:
        floats = np.ascontiguousarray(scale)
        scale_tensor = helper.make_tensor("scale", real, floats.shape, floats.tobytes(), raw=True)
        if target in ("int4", "uint4"):
            zero = helper.make_tensor("zero", to, point.shape, point.ravel().tolist())
        else:
            stored = point.astype(np.int8 if target == "int8" else np.uint8)
            count = (stored.size + 1) // 2 if target.startswith("float4") else stored.size
            zero = helper.make_tensor("zero", to, point.shape, stored.tobytes()[:count], raw=True)
        nodes = [
            helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["q"], **words, **saturates),
            helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["y"], **words),
        ]
        inputs = [helper.make_tensor_value_info("x", real, list(part.shape))]
        outputs = [helper.make_tensor_value_info("q", to, list(part.shape)),
                   helper.make_tensor_value_info("y", real, list(part.shape))]  # fmt: skip
        graph = helper.make_graph(nodes, "scaled", inputs, outputs, initializer=[scale_tensor, zero])
        opset = 23 if target == "float4_e2m1fn" else 21
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)
        return run_onnxruntime(model, part, target) if runtime else run_reference(model, part)

    with np.errstate(all="ignore"):
        if granularity == "tensor":
            done = [ask(row, s.reshape(()), z.reshape(())) for row, s, z in zip(rows, scales, points, strict=True)]
            codes, values = (np.stack(part) for part in zip(*done, strict=True))
        else:
            squeeze = granularity == "axis"
            codes, values = ask(rows, scales[:, 0] if squeeze else scales, points[:, 0] if squeeze else points)
    return Answer(codes, scales.astype(np.float32), points.astype(np.int32), values.astype(np.float32))


def run_reference(model: Any, x: Array) -> tuple[Array, Array]:
    """Codes and values from onnx's ReferenceEvaluator."""
    from onnx.reference import ReferenceEvaluator

    codes, values = ReferenceEvaluator(model).run(None, {"x": x})
    return codes.view(np.uint8) & (15 if "4" in codes.dtype.name and "8" not in codes.dtype.name else 255), values


def run_onnxruntime(model: Any, x: Array, target: str) -> tuple[Array, Array]:
    """Codes and values from onnxruntime's CPU provider, without graph optimizations (which drop the pair)."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    if target not in ("int8", "uint8") or x.dtype == ml_dtypes.bfloat16:
        given = onnxruntime.OrtValue.ortvalue_from_numpy_with_onnx_type(x, 16) if x.dtype == ml_dtypes.bfloat16 else x
        binding = session.io_binding()
        value = given if x.dtype == ml_dtypes.bfloat16 else onnxruntime.OrtValue.ortvalue_from_numpy(given)
        binding.bind_ortvalue_input("x", value)
        binding.bind_output("q")
        binding.bind_output("y")
        session.run_with_iobinding(binding)
        q, y = binding.get_outputs()
        return ort_array(q), ort_array(y)
    codes, values = session.run(None, {"x": x})
    return codes.view(np.uint8), values


def ort_array(value: Any) -> Array:
    """An OrtValue of any type as numbers, read from its memory."""
    import ctypes

    shape, kind = tuple(value.shape()), value.data_type()
    count = int(np.prod(shape))
    if "int4" in kind:
        raw = ctypes.string_at(value.data_ptr(), (count + 1) // 2)
        return unpacked(np.frombuffer(raw, np.uint8), "low")[:count].reshape(shape)
    dtype = {"float": np.float32, "float16": np.float16, "bfloat16": ml_dtypes.bfloat16}.get(kind[7:-1], np.uint8)
    raw = ctypes.string_at(value.data_ptr(), count * np.dtype(dtype).itemsize)
    return np.frombuffer(raw, dtype).reshape(shape)


# -- gguf ---------------------------------------------------------------------------------------------------------


def gguf_blocks(x: Array, kind: str) -> Answer:
    """gguf.quants.quantize and dequantize: a row is a block of 32; scales are float16, codes as they are decoded."""
    import gguf

    which = gguf.GGMLQuantizationType[kind]
    with np.errstate(all="ignore"):
        packed = gguf.quantize(x, which)
        values = gguf.dequantize(packed, which)
    fields = 2 if kind in ("Q4_1", "Q5_1") else 1
    scales = packed[:, : 2 * fields].copy().view(np.float16)
    body = packed[:, 2 * fields :]
    if kind == "Q8_0":
        return Answer(body, scales[:, :1].astype(np.float32), None, values)
    if kind.startswith("Q5"):
        high = np.unpackbits(body[:, :4], axis=1, bitorder="little")
        body = body[:, 4:]
    codes = np.concatenate([body & 15, body >> 4], axis=1)
    if kind.startswith("Q5"):
        codes |= high << 4
    second = scales[:, 1:].astype(np.float32) if fields == 2 else None
    return Answer(codes, scales[:, :1].astype(np.float32), second, values)
