"""Quantizers of big libraries in one table, and what they answered: `recorded("torchao")`.

A name is "library|scheme|rule|source": what was asked of whom, under which of its rules, about which of the rows of
`tests.peers.witness.blocks`.
"""

from __future__ import annotations

import functools
import importlib.metadata
import importlib.util
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from tests.peers.witness import scaled_calls as calls
from tests.peers.witness.blocks import SOURCES, blocks
from tests.peers.witness.records import Record, load
from tests.peers.witness.scaled_calls import Answer
from tests.peers.witness.sources import Array, digest

PARTS = ("codes", "scales", "zero_points")


class Scheme(NamedTuple):
    """One way in which one library quantizes with scales."""

    library: str  # what pip calls it
    scheme: str
    rule: str
    call: Callable[..., Answer]
    parameters: dict[str, Any]  # of the call: plain data, from which fpemu's scheme can be made too
    size: int  # of a row
    element: str  # about whose thresholds the source "edges" lies
    sources: tuple[str, ...] = SOURCES

    def name(self, source: str) -> str:
        """The key under which the answers about one source lie."""
        return f"{self.library}|{self.scheme}|{self.rule}|{source}"

    def rows(self, source: str) -> Array:
        """What it is asked about one source."""
        if source == "square":  # 128 rows of 256: two tiles, the second of them of small numbers
            rows = np.resize(np.concatenate([blocks(kind, 128) for kind in ("random", "edges")]), (128, 128))
            rows = np.where(np.isfinite(rows) & (abs(rows) < 1e4), rows, np.float32(1))
            return np.concatenate([rows, rows * np.float32(2.0**-20)], axis=1)
        return blocks(source, self.size, self.element)

    def ask(self, source: str) -> Answer:
        """The library's answer, now."""
        return self.call(self.rows(source).copy(), **self.parameters)


class Recorded(NamedTuple):
    """What a library answered about one source."""

    scheme: dict[str, Any]  # library, scheme, rule, and the parameters that the library was given
    x: Array  # float32, one row a block, group, channel or tensor; its call may make another type of it first
    codes: Array  # uint8, a signed integer's two's complement; 4 and 6 bits lie low
    scales: Array  # uint8 codes where the scheme's scales have codes, else float32
    zero_points: Array | None  # whatever else it gives, as `tests.peers.witness.scaled_calls` says
    values: str  # the digest of the float32 values that it decodes to: see `values_digest`


def values_digest(values: Array | None) -> str:
    """A short name for decoded values: every NaN alike, zeros with their signs."""
    if values is None:
        return ""
    return digest(np.where(np.isnan(values), np.float32(np.nan), values.astype(np.float32)))


def mx() -> list[Scheme]:
    """Torchao's MX formats under its four rules."""
    found = []
    for element in ("float8_e4m3fn", "float8_e5m2", "float6_e2m3fn", "float6_e3m2fn", "float4_e2m1fn"):
        for rule in ("floor", "ceil", "even", "rceil"):
            words = {"element": element, "rule": rule}
            name = f"mx{element[:6].replace('loat', 'p')}_{element[7:11]}"
            found.append(Scheme("torchao", name, rule, calls.torchao_mx, words, 32, element))
    return found


def affine() -> list[Scheme]:
    """Torchao's affine integers in groups of 32."""
    ranges = {"int8": (-128, 127), "int4": (-8, 7), "uint4": (0, 15), "uint8": (0, 255)}
    mappings = ("symmetric", "asymmetric", "symmetric_no_clipping_err")
    rows = [(mapping, to, "float32", "int", "eps") for mapping in mappings for to in ("int8", "int4")]
    rows += [("asymmetric", "uint4", "float32", domain, "tiny") for domain in ("int", "float", "int_no_zero")]
    rows += [("symmetric", "int8", dtype, "int", "tiny") for dtype in ("bfloat16", "float16")]
    rows += [("asymmetric", "uint8", "bfloat16", "int", "tiny"), ("asymmetric", "uint4", "bfloat16", "float", "tiny")]
    found = []
    for mapping, to, dtype, domain, eps in rows:
        low, high = ranges[to]
        words = {"mapping": mapping, "low": low, "high": high, "dtype": dtype, "domain": domain, "eps": eps}
        rule = f"{mapping}-{dtype}-{domain}"
        found.append(Scheme("torchao", f"affine_{to}", rule, calls.torchao_affine, words, 32, to))
    return found


def float8() -> list[Scheme]:
    """Torchao's scaled float8."""
    found = []
    rows = [("float8_e4m3fn", "tensor", False), ("float8_e4m3fn", "row", False), ("float8_e4m3fn", "row", True),
            ("float8_e5m2", "row", False), ("float8_e4m3fn", "choose", False)]  # fmt: skip
    for element, granularity, power in rows:
        words = {"element": element, "granularity": granularity, "power_of_two": power}
        rule = granularity + ("-power_of_two" if power else "")
        found.append(Scheme("torchao", element, rule, calls.torchao_float8, words, 32, element))
    for granularity in ("tile", "square"):
        words = {"element": "float8_e4m3fn", "granularity": granularity}
        kinds = ("specials",) if granularity == "tile" else ("square",)
        found.append(
            Scheme("torchao", "float8_e4m3fn", granularity, calls.torchao_float8, words, 128, "float8_e4m3fn", kinds)
        )
    return found


def torch() -> list[Scheme]:
    """Torch's observers with quantize_per_tensor, quantize_per_channel and the fake ones."""
    found = []
    for qtype in ("qint8", "quint8"):
        for qscheme in ("per_tensor_affine", "per_tensor_symmetric", "per_channel_affine", "per_channel_symmetric"):
            words: dict[str, Any] = {"qtype": qtype, "qscheme": qscheme, "reduce_range": False}
            found.append(Scheme("torch", qtype, qscheme, calls.torch_quantize, words, 32, qtype[1:]))
    for qtype, qscheme in (("qint8", "per_tensor_symmetric"), ("quint8", "per_tensor_affine")):
        words = {"qtype": qtype, "qscheme": qscheme, "reduce_range": True}
        found.append(Scheme("torch", qtype, f"{qscheme}-reduce_range", calls.torch_quantize, words, 32, qtype[1:]))
    for to, low, high in (("int8", -128, 127), ("uint8", 0, 255)):
        for qscheme in ("per_tensor_affine", "per_channel_affine"):
            words = {"qscheme": qscheme, "low": low, "high": high}
            found.append(Scheme("torch", f"fake_{to}", qscheme, calls.torch_fake, words, 32, to))
        for way in ("per_tensor", "per_channel", "fake_per_tensor", "fake_per_channel"):
            words = {"way": way, "scale": 0.0078125 * 1.3, "zero_point": 5, "low": low, "high": high}
            words["scale"] = float(np.float32(words["scale"]))
            found.append(Scheme("torch", f"fixed_{to}", way, calls.torch_fixed, words, 32, to, ("specials", "random")))
    return found


def onnx(library: str) -> list[Scheme]:
    """QuantizeLinear of onnx's reference evaluator and of onnxruntime."""
    runtime = library == "onnxruntime"
    kinds = ("float32", "float16") if runtime else ("float32", "float16", "bfloat16")
    rows = [(to, kind, "axis", 1) for to in ("int8", "uint8", "int4", "uint4", "float8_e4m3fn") for kind in kinds]
    rows += [
        (to, "float32", granularity, 1)
        for granularity, to in (
            ("block", "int8"),
            ("block", "uint4"),
            ("tensor", "int8"),
            ("tensor", "uint8"),
            ("axis", "float8_e5m2"),
        )
    ]
    rows += [("float8_e4m3fn", "float32", "axis", 0), ("float8_e5m2", "float32", "axis", 0)]  # fmt: skip
    if not runtime:
        rows.append(("float4_e2m1fn", "float32", "block", 1))
    found = []
    for to, kind, granularity, saturate in rows:
        words = {"target": to, "kind": kind, "granularity": granularity, "saturate": saturate, "runtime": runtime}
        rule = f"{granularity}-{kind}" + ("" if saturate else "-no_saturate")
        found.append(Scheme(library, to, rule, calls.onnx_linear, words, 32, to))
    return found


def bitsandbytes() -> list[Scheme]:
    """Bitsandbytes' NF4 and FP4."""
    rows = [
        ("nf4", 64, False, 0),
        ("fp4", 64, False, 0),
        ("nf4", 64, True, 0),
        ("nf4", 128, False, 0),
        ("fp4", 64, False, 11),
    ]
    found = []
    for codebook, block, nested, ragged in rows:
        words = {"codebook": codebook, "block": block, "nested": nested, "ragged": ragged}
        rule = f"block{block}" + ("-nested" if nested else "") + ("-ragged" if ragged else "")
        kinds = ("spikes", "random") if nested else SOURCES
        found.append(Scheme("bitsandbytes", codebook, rule, calls.bitsandbytes_4bit, words, block, codebook, kinds))
    return found


def gguf() -> list[Scheme]:
    """The package gguf's blocks of 32."""
    kinds = ("Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1")
    sources = (*SOURCES, "ties")
    return [Scheme("gguf", kind, "blocks", calls.gguf_blocks, {"kind": kind}, 32, "int8", sources) for kind in kinds]


@functools.cache
def schemes() -> dict[str, list[Scheme]]:
    """The table's rows by library."""
    nvfp4 = [
        Scheme("torchao", "nvfp4", f"levels{n}", calls.torchao_nvfp4, {"levels": n}, 16, "float4_e2m1fn")
        for n in (1, 2)
    ]
    return {
        "torchao": mx() + nvfp4 + affine() + float8(),
        "torch": torch(),
        "onnx": onnx("onnx"),
        "onnxruntime": onnx("onnxruntime"),
        "bitsandbytes": bitsandbytes(),
        "gguf": gguf(),
    }


def as_bits(part: Array) -> Array:
    """A part's memory as unsigned integers, flat, which pack well as differences."""
    return np.ascontiguousarray(part).view(f"u{part.dtype.itemsize}").ravel()


def live_answers(rows: list[Scheme]) -> tuple[dict[str, Array], dict[str, Any]]:
    """What a library's quantizers answer now, and what the file says about it."""
    arrays: dict[str, Array] = {}
    about: dict[str, Any] = {"sources": {}, "shapes": {}, "values": {}}
    for row in rows:
        for source in row.sources:
            name, answer = row.name(source), row.ask(source)
            about["sources"][name] = digest(row.rows(source))
            about["values"][name] = values_digest(answer.values)
            for part in PARTS:
                found = getattr(answer, part)
                if found is not None:
                    arrays[f"{name}|{part}"] = as_bits(found)
                    about["shapes"][f"{name}|{part}"] = [str(found.dtype), list(found.shape)]
    return arrays, about


def records() -> dict[str, Record]:
    """What `python -m tests.peers.witness` records of them, by the name of its file."""
    return {
        f"{library} scaled": Record(
            library,
            lambda library=library: importlib.util.find_spec(library) is not None,
            lambda library=library: importlib.metadata.version(library),
            lambda rows=rows: live_answers(rows),
            joined=True,
        )
        for library, rows in schemes().items()
    }


@functools.cache
def recorded(library: str) -> dict[str, Recorded]:
    """A library's recorded answers by name; the rows that it was asked about are made anew, and are the same."""
    arrays, about = load(f"{library} scaled")

    def part(name: str) -> Array | None:
        if name not in arrays:
            return None
        dtype, shape = about["shapes"][name]
        return arrays[name].view(dtype).reshape(shape)

    found = {}
    for row in schemes()[library]:
        for source in row.sources:
            name, x = row.name(source), row.rows(source)
            if digest(x) != about["sources"][name]:
                raise ValueError(f"{name}: other rows than were recorded with {about['command']}")
            words = {"library": library, "scheme": row.scheme, "rule": row.rule, **row.parameters}
            codes, scales, zero_points = (part(f"{name}|{p}") for p in PARTS)
            assert codes is not None
            assert scales is not None
            found[name] = Recorded(words, x, codes, scales, zero_points, about["values"][name])
    return found
