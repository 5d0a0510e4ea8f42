"""Test benches in Verilog that check a unit against a file of vectors."""

from __future__ import annotations

import importlib.resources
import json
import os
import re
import string
from collections.abc import Mapping
from pathlib import Path

from fpemu.files.atomic import replacing
from fpemu.files.boundary import file_path
from fpemu.formats import FloatFormat, Format
from fpemu.formats.lookup import checked_int, near
from fpemu.verification.claims import Claim
from fpemu.verification.vectors.headers import number_of
from fpemu.verification.vectors.layouts import FLAG_BITS, MemoryWords, ending_of, fields_of
from fpemu.verification.vectors.reading import VectorFile, read
from fpemu.version import __version__

__all__ = ["check_unit", "write_bench"]

OPERANDS = ("x", "y", "z")
CLOCK = "clk"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_$]*")


class _VerilogTemplate(string.Template):
    """A template with @names, as Verilog uses dollar signs."""

    delimiter = "@"


def write_bench(
    path: str | os.PathLike[str],
    vectors: VectorFile | str | os.PathLike[str],
    *,
    module: str = "unit",
    ports: Mapping[str, str] | None = None,
    latency: int | None = None,
    flags: bool = False,
) -> Path:
    """Write a self-checking test bench for a unit in Verilog-2001, whole or not at all.

    The module `bench` reads the vectors with ``$readmemh``, drives the unit's operands, compares its outputs, prints
    the first ten differences and PASS or FAIL, and ends with status 0 or 1.  An X or Z in an output is a difference.

    Parameters
    ----------
    path : path-like
        The bench; it names the vectors' file relative to its own folder.
    vectors : VectorFile or path-like
        Vectors in the layout readmemh.
    module : str
        The unit's module.
    ports : mapping of str to str, optional
        The unit's port names, if they are not x, y, z (one for each operand), result, flags and clk.
    latency : int, optional
        For a unit with a clock: the number of rising edges from the operands to the result.  Without it, the unit is
        combinational and has no clock.
    flags : bool
        Whether to compare the unit's flags, in TestFloat's numbering.

    Returns
    -------
    Path
        The bench.

    Raises
    ------
    TypeError
        If an argument is of the wrong type.
    ValueError
        If the file has another layout, no vectors, or no flags to compare, or a name is invalid in Verilog.
    OSError
        If a file cannot be read or written.

    Examples
    --------
    >>> import tempfile
    >>> from fpemu import vectors
    >>> from fpemu.verification.claims import Claim
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     generated = vectors.generate(Claim.of("multiply", "float8_e4m3fn"))
    ...     path = vectors.write(f"{folder}/mul.hex", generated)
    ...     bench = vectors.write_bench(f"{folder}/mul_bench.v", path, module="e4m3_multiply")
    ...     print(bench.read_text().splitlines()[0])
    // Checks the unit `e4m3_multiply` with 65536 vectors of mul.hex:
    """
    target = file_path(path)
    file = vectors if isinstance(vectors, VectorFile) else read(vectors)
    if file.layout != "readmemh":
        raise ValueError(f"{file.path}: a bench reads the layout readmemh, not {file.layout}")
    if not file.count:
        raise ValueError(f"{file.path}: there are no vectors to check")
    if flags and not file.has_flags:
        raise ValueError(f"{file.path}: there are no flags to compare")
    connected = check_unit(file.claim, module=module, ports=ports, latency=latency, flags=flags)
    texts = {"bench": target.name, "version": __version__, "module": module, "latency": str(int(latency or 0))}
    texts |= {**_file_texts(target, file), **_signal_texts(file.claim, connected)}
    template = importlib.resources.files("fpemu.verification.vectors").joinpath("bench.v").read_text(encoding="utf-8")
    with replacing(target) as stream:
        stream.write(_VerilogTemplate(template).substitute(texts).encode())
    return target


def _file_texts(target: Path, file: VectorFile) -> dict[str, str]:
    """The template's texts for the file of vectors: its name, the layout of its words, its last line."""
    names = OPERANDS[: file.claim.arity]
    fields = fields_of(file.claim, file.has_flags)
    words = MemoryWords(fields, number_of(file.header, "word bits"))
    name = os.path.relpath(file.path, target.parent)
    seal = ending_of("readmemh", file.header["sha256"])
    flags = ", right_flags" if file.has_flags else ""
    shift = words.bits - sum(field.bits for field in fields[: len(names)])
    return {
        "file": json.dumps(name, ensure_ascii=False)[1:-1],
        "file_literal": json.dumps(name, ensure_ascii=False),
        "claim": str(file.claim),
        "count": str(file.count),
        "vector_bits": str(words.bits),
        "word_bits": str(words.word_bits),
        "vector": ", ".join([*names, "result", *(["flags"] if file.has_flags else [])]),
        "right": ", ".join(f"right_{name}" for name in (*names, "result")) + flags,
        "operands_shift": f" >> {shift}",
        "seal": seal.rstrip("\n"),
        "seal_length": str(len(seal)),
    }


def _signal_texts(claim: Claim, ports: dict[str, str]) -> dict[str, str]:
    """The template's texts for the unit's ports and its result."""
    names = OPERANDS[: claim.arity]
    bits = [field.bits for field in fields_of(claim, False)]
    declared = zip(names, bits, strict=False)
    compared = "flags" in ports
    return {
        "declarations": "\n".join(f"    reg [{width - 1}:0] {name}, right_{name};" for name, width in declared),
        "flags": f"    wire [{FLAG_BITS - 1}:0] flags{'' if compared else ' = 0'};",
        "compare_flags": str(int(compared)),
        "connections": ",\n".join(f"        .{port}({name})" for name, port in ports.items()),
        "issued": ", ".join(names),
        "rights": ", ".join(f"right_{name}" for name in names),
        "shown": " ".join(f"{name} %h" for name in names),
        "lines": " ".join(["%h"] * len(names)),
        "result_bits": str(bits[-1]),
        "is_nan": "0" if claim.result is None else _nan_test(claim.result),
    }


def _nan_test(fmt: Format) -> str:
    """A Verilog expression that tests a code for NaN; 0 if a format has at most one NaN, which is compared exactly."""
    if not isinstance(fmt, FloatFormat) or len(fmt.nan_codes) * (1 + fmt.signed) < 2 or fmt.nan == "negative_zero":
        return "0"
    return f"(code & {fmt.bits}'h{fmt.magnitude_mask:X}) >= {fmt.bits}'h{fmt.nan_codes[0]:X}"


def check_unit(
    claim: Claim,
    *,
    module: str = "unit",
    ports: Mapping[str, str] | None = None,
    latency: int | None = None,
    flags: bool = False,
) -> dict[str, str]:
    """Map the bench's signals to the unit's ports; raise the errors of `write_bench` that concern the unit."""
    if latency is not None:
        checked_int(latency, "latency")
    if flags and not claim.has_flags:
        raise ValueError(f"{claim} has no flags to compare")
    _check_name(module, "module", "bench")
    signals = [*OPERANDS[: claim.arity], "result", *(["flags"] * flags), *([CLOCK] * (latency is not None))]
    connected = {signal: signal for signal in signals}
    for signal, port in (ports or {}).items():
        if signal not in signals:
            raise ValueError(f"the unit has no port {signal!r}: it has {', '.join(signals)}{near(signal, signals)}")
        _check_name(port, f"port {signal}")
        connected[signal] = port
    if len(set(connected.values())) < len(connected):
        raise ValueError(f"two ports have one name: {', '.join(connected.values())}")
    return connected


def _check_name(name: str, role: str, taken: str | None = None) -> None:
    if not isinstance(name, str):
        raise TypeError(f"{role} must be a name, not {type(name).__name__}")
    if name == taken:
        raise ValueError(f"{role}: {name!r} is the bench's own name")
    if not _NAME.fullmatch(name):
        raise ValueError(f"{role}: {name!r} is not a Verilog name: use letters, digits, _ and $, and no digit first")
