"""How each peer is called: `..._encode(x, codes, fmt)` writes codes, `..._decode(codes, values, fmt)` float32 values.

Both write into the caller's memory, and import their library when called.  `tests/peers/tools.py` has the table.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

import fpemu as fe
from tests.peers.witness import cuda

Array = np.ndarray[Any, Any]

FP6_FP4 = ("float6_e3m2fn", "float6_e2m3fn", "float4_e2m1fn")
INTS = ("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64")
SMALL_INTS = ("int4", "uint4", "int2", "uint2")

# -- numpy and ml_dtypes: astype, which np.copyto does in place ---------------------------------------------------


@functools.cache
def numpy_type(fmt: str) -> np.dtype[Any]:
    """The dtype of that name, numpy's or ml_dtypes'."""
    import ml_dtypes

    return np.dtype(getattr(ml_dtypes, fmt, fmt))


def numpy_encode(x: Array, codes: Array, fmt: str) -> None:
    np.copyto(codes.view(numpy_type(fmt)), x, casting="unsafe")
    if fmt in SMALL_INTS:
        codes &= (1 << int(fmt[-1])) - 1  # ml_dtypes may extend the sign to eight bits


def numpy_decode(codes: Array, values: Array, fmt: str) -> None:
    np.copyto(values, codes.view(numpy_type(fmt)), casting="unsafe")


# -- torch --------------------------------------------------------------------------------------------------------


def torch_tensor(x: Array, fmt: str | None = None) -> Any:
    """The array's own memory as a tensor, its codes seen as `fmt`."""
    import torch

    if x.dtype.kind == "V":  # ml_dtypes' bfloat16, of which torch's from_numpy knows nothing
        return torch.from_numpy(x.view(np.uint16)).view(getattr(torch, x.dtype.name))
    tensor = torch.from_numpy(x)
    return tensor.view(getattr(torch, fmt)) if fmt else tensor


def torch_encode(x: Array, codes: Array, fmt: str) -> None:
    torch_tensor(codes, fmt).copy_(torch_tensor(x))


def torch_decode(codes: Array, values: Array, fmt: str) -> None:
    torch_tensor(values).copy_(torch_tensor(codes, fmt))


def torch_quantize(x: Array, codes: Array, fmt: str) -> None:
    """Per tensor, with scale 1."""
    import torch

    quantized = torch.quantize_per_tensor(torch_tensor(x), 1.0, 0, {"int8": torch.qint8, "uint8": torch.quint8}[fmt])
    codes[...] = quantized.int_repr().numpy().view(codes.dtype)


def torch_fake_quantize(x: Array, codes: Array, fmt: str) -> None:
    import torch

    low, high = {"int8": (-128, 127), "uint8": (0, 255)}[fmt]
    faked = torch.fake_quantize_per_tensor_affine(torch_tensor(x), 1.0, 0, low, high)
    codes[...] = faked.numpy().astype(fmt).view(codes.dtype)


# -- ONNX: the reference evaluator, and onnxruntime ---------------------------------------------------------------

ONNX_NAMES = {
    "bfloat16": "BFLOAT16", "float16": "FLOAT16", "float32": "FLOAT", "float8_e4m3fn": "FLOAT8E4M3FN",
    "float8_e5m2": "FLOAT8E5M2", "float8_e4m3fnuz": "FLOAT8E4M3FNUZ", "float8_e5m2fnuz": "FLOAT8E5M2FNUZ",
    "float8_e8m0fnu": "FLOAT8E8M0", "float4_e2m1fn": "FLOAT4E2M1", "float64": "DOUBLE",
    **{name: name.upper() for name in (*INTS, *SMALL_INTS)},
}  # fmt: skip


def onnx_type(fmt: str) -> Any:
    from onnx import TensorProto

    return getattr(TensorProto, ONNX_NAMES[fmt])


def onnx_model(
    fmt: str, nodes: list[Any], opset: int = 25, constants: tuple[Any, ...] = (), source: str = "float32"
) -> Any:
    """A model that sends a vector "x" of `source` through nodes to a vector "y" of `fmt`."""
    from onnx import helper

    x, y = (helper.make_tensor_value_info(name, onnx_type(to), [None]) for name, to in (("x", source), ("y", fmt)))
    graph = helper.make_graph(nodes, "cast", [x], [y], initializer=constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)


def onnx_cast(source: str, result: str, fmt: str, saturate: int, round_mode: str | None = None) -> Any:
    from onnx import helper

    rules: dict[str, Any] = {"saturate": saturate} if fmt.startswith("float8") else {}
    if fmt == "float8_e8m0fnu" and round_mode:
        rules["round_mode"] = round_mode
    return helper.make_node("Cast", [source], [result], to=onnx_type(fmt), **rules)


def onnx_quantize_model(fmt: str) -> Any:
    """QuantizeLinear with scale 1."""
    from onnx import TensorProto, helper

    scale = helper.make_tensor("scale", TensorProto.FLOAT, [], [1.0])
    zero = helper.make_tensor("zero", onnx_type(fmt), [], [0])
    node = helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["y"])
    return onnx_model(fmt, [node], opset=21, constants=(scale, zero))


def onnx_run(model: Any, x: Array) -> Any:
    from onnx.reference import ReferenceEvaluator

    return ReferenceEvaluator(model).run(None, {"x": x})[0]


def onnx_encode(saturate: int, round_mode: str | None, x: Array, codes: Array, fmt: str) -> None:
    model = onnx_model(fmt, [onnx_cast("x", "y", fmt, saturate, round_mode)], source=x.dtype.name)
    codes[...] = onnx_run(model, x).view(codes.dtype)
    if fmt in SMALL_INTS:
        codes &= (1 << int(fmt[-1])) - 1


def onnx_quantize(x: Array, codes: Array, fmt: str) -> None:
    codes[...] = onnx_run(onnx_quantize_model(fmt), x).view(codes.dtype)


def onnxruntime_run(model: Any, x: Array) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, {"x": x})[0]


def onnxruntime_encode(x: Array, codes: Array, fmt: str) -> None:
    """Cast with saturate=0 and back to float32, whose codes ml_dtypes tells: both ways exact."""
    nodes = [onnx_cast("x", "z", fmt, 0), onnx_cast("z", "y", "float32", 0)]
    numpy_encode(onnxruntime_run(onnx_model("float32", nodes, opset=23), x), codes, fmt)


def onnxruntime_quantize(x: Array, codes: Array, fmt: str) -> None:
    codes[...] = onnxruntime_run(onnx_quantize_model(fmt), x).view(codes.dtype)


# -- gguf, gfloat, apytypes, CUDA, pychop, fxpmath ----------------------------------------------------------------


def gguf_encode(x: Array, codes: Array, fmt: str) -> None:
    import gguf

    kind = {"bfloat16": gguf.GGMLQuantizationType.BF16, "float16": gguf.GGMLQuantizationType.F16}[fmt]
    codes[...] = gguf.quantize(x, kind).view(codes.dtype)


GFLOAT_NAMES = {
    "bfloat16": "bfloat16", "float16": "binary16", "float8_e4m3fn": "ocp_e4m3", "float8_e5m2": "ocp_e5m2",
    "float8_e8m0fnu": "ocp_e8m0", "float6_e3m2fn": "ocp_e3m2", "float6_e2m3fn": "ocp_e2m3",
    "float4_e2m1fn": "ocp_e2m1",
}  # fmt: skip
GFLOAT_MODES = {
    "nearest_even": "TiesToEven", "nearest_away": "TiesToAway", "toward_zero": "TowardZero",
    "toward_positive": "TowardPositive", "toward_negative": "TowardNegative",
}  # fmt: skip


def gfloat_info(fmt: str) -> Any:
    from gfloat import formats

    return getattr(formats, f"format_info_{GFLOAT_NAMES[fmt]}")


def gfloat_encode(mode: str, saturate: bool, x: Array, codes: Array, fmt: str) -> None:
    import gfloat

    rounded = gfloat.round_ndarray(gfloat_info(fmt), x, gfloat.RoundMode[GFLOAT_MODES[mode]], saturate)
    codes[...] = gfloat.encode_ndarray(gfloat_info(fmt), rounded)


def gfloat_scalar_encode(saturate: bool, x: Array, codes: Array, fmt: str) -> None:
    """One number at a time, to nearest even: the array code does not know formats without zero or sign."""
    import gfloat

    info, mode = gfloat_info(fmt), gfloat.RoundMode.TiesToEven
    codes[...] = [gfloat.encode_float(info, gfloat.round_float(info, v, mode, saturate)) for v in x.tolist()]


def gfloat_decode(codes: Array, values: Array, fmt: str) -> None:
    import gfloat

    values[...] = gfloat.decode_ndarray(gfloat_info(fmt), codes)


APYTYPES_MODES = {
    "nearest_even": "TIES_EVEN", "nearest_away": "TIES_AWAY", "nearest_toward_zero": "TIES_ZERO",
    "nearest_toward_positive": "TIES_POS", "nearest_toward_negative": "TIES_NEG", "toward_zero": "TO_ZERO",
    "toward_positive": "TO_POS", "toward_negative": "TO_NEG", "away_from_zero": "TO_AWAY",
}  # fmt: skip


def apytypes_encode(mode: str, x: Array, codes: Array, fmt: str) -> None:
    import apytypes

    to = fe.dtype(fmt)
    assert isinstance(to, fe.FloatFormat)
    source = apytypes.APyFloatArray.from_array(x, *((8, 23) if x.dtype == np.float32 else (11, 52)))
    quantization = getattr(apytypes.QuantizationMode, APYTYPES_MODES[mode])
    codes[...] = source.cast(to.bits - to.precision, to.precision - 1, quantization=quantization).to_bits()


def cuda_encode(library: str, saturate: bool, toward_zero: bool, x: Array, codes: Array, fmt: str) -> None:
    codes[...] = cuda.encode(library, x, fmt, saturate, toward_zero)


def pychop_encode(x: Array, codes: Array, fmt: str) -> None:
    import pychop

    to = fe.dtype(fmt)
    assert isinstance(to, fe.FloatFormat)
    chop = pychop.Chop(exp_bits=to.bits - to.precision, sig_bits=to.precision - 1, rmode=1)
    numpy_encode(np.asarray(chop(x)), codes, fmt)


def fxpmath_encode(x: Array, codes: Array, fmt: str) -> None:
    import fxpmath

    to = fe.dtype(fmt)
    assert isinstance(to, fe.IntFormat)
    values = [fxpmath.Fxp(v, to.signed, to.bits, to.fraction_bits).get_val() for v in x.tolist()]
    codes[...] = np.ldexp(values, to.fraction_bits).astype(np.int64).astype(codes.dtype)
