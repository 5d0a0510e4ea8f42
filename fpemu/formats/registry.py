"""Names and aliases of formats: the table and the look-up.

Look-up ignores case.  An alias of the table wins over the grammar of `fpemu.formats.grammar`: "e4m3" is
float8_e4m3fn, as deep-learning people read it, although ``e<E>m<M>`` without a suffix means IEEE-like elsewhere.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import numpy as np

from fpemu.formats.base import Scheme
from fpemu.formats.codebook import TableFormat
from fpemu.formats.floats import BFLOAT16, FLOAT16, FLOAT32, FLOAT64, FloatFormat
from fpemu.formats.grammar import parse
from fpemu.formats.integers import INT8, INT32, INT64, IntFormat
from fpemu.formats.kinds import Format
from fpemu.formats.lookup import brief, near
from fpemu.formats.spellings import ends_negative, key, meant, plain, unambiguous, with_group

S = TypeVar("S", bound="Format | Scheme")
T = TypeVar("T")


class _Entry(NamedTuple):
    format: Format
    aliases: str = ""  # separated by spaces
    note: str = ""


def _fn(name: str, bits: int, precision: int, **rest: Any) -> FloatFormat:
    """A float without infinities whose NaN has the largest magnitude's code, unless `rest` overrides it."""
    return FloatFormat(name, bits, precision, **{"infinities": False, "nan": "all_ones", **rest})


# bitsandbytes' NF4, exact float32 values.
_NF4 = (
    -1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453,
    -0.28444138169288635, -0.18477343022823334, -0.09105003625154495, 0.0,
    0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
    0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0,
)  # fmt: skip

# Each format with its names elsewhere.  numpy, ml_dtypes and torch use the format's own name unless another is listed.
# ONNX: the TensorProto enum.  LLVM and MLIR: Float8E4M3FN, f8E4M3FN.  Triton: fp8e4nv.  CUDA and HIP: __nv_, __hip_.
# "float" without bits is C's; there is no plain "int", which C and numpy read differently.
_TABLE: tuple[_Entry, ...] = (
    _Entry(FLOAT64, "fp64 f64 double binary64"),
    _Entry(FLOAT32, "fp32 f32 float single binary32"),
    _Entry(
        FloatFormat("tfloat32", 19, 11, 127),
        "tf32 tensorfloat32",
        "19 bits; a cast rounds to nearest, matrix units truncate float32's bits",
    ),
    _Entry(FLOAT16, "fp16 f16 half __half binary16"),
    _Entry(BFLOAT16, "bf16 bfloat __nv_bfloat16"),
    _Entry(
        _fn("float8_e4m3fn", 8, 4),
        "e4m3fn e4m3 fp8 fp8_e4m3 fp8_e4m3fn Float8E4M3FN f8E4M3FN fp8e4nv __nv_fp8_e4m3 __hip_fp8_e4m3 OFP8_E4M3 "
        "OCP_E4M3 F8_E4M3 float8e4nv",
        "OCP's E4M3: max 448, no infinity",
    ),
    _Entry(
        FloatFormat("float8_e5m2", 8, 3),
        "e5m2 fp8_e5m2 Float8E5M2 f8E5M2 fp8e5 __nv_fp8_e5m2 __hip_fp8_e5m2 OFP8_E5M2 OCP_E5M2 F8_E5M2 float8e5",
    ),
    _Entry(FloatFormat("float8_e4m3", 8, 4), "Float8E4M3 f8E4M3", "IEEE-like, max 240; torch's is float8_e4m3fn"),
    _Entry(FloatFormat("float8_e3m4", 8, 5), "e3m4 Float8E3M4 f8E3M4"),
    _Entry(
        _fn("float8_e4m3fnuz", 8, 4, bias=8, nan="negative_zero"),
        "e4m3fnuz fp8_e4m3fnuz Float8E4M3FNUZ f8E4M3FNUZ fp8e4b8 __hip_fp8_e4m3_fnuz F8_E4M3FNUZ float8e4b8",
        "the codes of P3109's binary8p4sf, which overflows to its maximum",
    ),
    _Entry(
        _fn("float8_e5m2fnuz", 8, 3, bias=16, nan="negative_zero"),
        "e5m2fnuz fp8_e5m2fnuz Float8E5M2FNUZ f8E5M2FNUZ fp8e5b16 __hip_fp8_e5m2_fnuz F8_E5M2FNUZ float8e5b16",
        "the codes of P3109's binary8p3sf, which overflows to its maximum",
    ),
    _Entry(
        _fn("float8_e4m3b11fnuz", 8, 4, bias=11, nan="negative_zero"),
        "e4m3b11fnuz Float8E4M3B11FNUZ f8E4M3B11FNUZ",
    ),
    _Entry(
        _fn("float8_e8m0fnu", 8, 1, bias=127, signed=False, subnormals=False, zero=False),
        "e8m0 e8m0fnu ue8m0 Float8E8M0 Float8E8M0FNU f8E8M0FNU __nv_fp8_e8m0 OCP_E8M0 F8_E8M0 fp8_e8m0",
        "powers of two, the scale of MX blocks: no zero",
    ),
    _Entry(
        _fn("float8_e5m3fnu", 8, 4, bias=15, signed=False),
        "ue5m3 e5m3fnu Float8E5M3FNU f8E5M3FNU __nv_fp8_ue5m3",
        "a scale: unsigned",
    ),
    _Entry(
        _fn("float7_e4m3fnu", 7, 4, bias=7, signed=False),
        "ue4m3 e4m3fnu",
        "a scale: the positive codes of float8_e4m3fn",
    ),
    _Entry(
        _fn("float6_e3m2fn", 6, 3, nan="none"),
        "e3m2 e3m2fn fp6 fp6_e3m2 Float6E3M2 Float6E3M2FN f6E3M2FN __nv_fp6_e3m2 OCP_E3M2 F6_E3M2",
        "an element of MXFP6; fp6 without more means this one",
    ),
    _Entry(
        _fn("float6_e2m3fn", 6, 4, nan="none"),
        "e2m3 e2m3fn fp6_e2m3 Float6E2M3 Float6E2M3FN f6E2M3FN __nv_fp6_e2m3 OCP_E2M3 F6_E2M3",
        "an element of MXFP6",
    ),
    _Entry(
        _fn("float4_e2m1fn", 4, 2, nan="none"),
        "e2m1 e2m1fn fp4 fp4_e2m1 Float4E2M1 Float4E2M1FN f4E2M1FN __nv_fp4_e2m1 float4_e2m1fn_x2 OCP_E2M1 F4",
        "an element of MXFP4 and NVFP4; torch's float4_e2m1fn_x2 packs two in a byte",
    ),
    _Entry(TableFormat("nf4", _NF4), "NormalFloat4", "bitsandbytes' codebook, scaled by each block's absmax"),
    *(
        _Entry(fmt, f"i{fmt.bits} si{fmt.bits} s{fmt.bits}")
        for fmt in (INT64, INT32, IntFormat("int16", 16), INT8, *(IntFormat(f"int{bits}", bits) for bits in (4, 2, 1)))
    ),
    *(_Entry(IntFormat(f"uint{bits}", bits, False), f"u{bits} ui{bits}") for bits in (64, 32, 16, 8, 4, 2)),
    _Entry(IntFormat("uint1", 1, False), "u1 ui1 bool"),
)

_NAMES: dict[str, Format] = {}  # names and aliases, in lower case
_ENTRIES: dict[str, _Entry] = {}  # by the format's own name, in the order of registration
_SCHEMES: dict[str, Scheme] = {}  # names and aliases of scaled formats, in lower case, in the order of registration
_CACHE: dict[Any, Format] = {}  # arguments of dtype() -> results
_LOCK = threading.Lock()


def dtype(x: Any) -> Format:
    """Return the format for a name, an alias or a dtype object; a format is returned unchanged.

    Parameters
    ----------
    x : str, Format, dtype or type
        A registered name or alias ("float8_e4m3fn", "e4m3", "fp8e4nv", "bf16") in any case, with "_", "-" or spaces
        between its words, or with a module prefix ("torch.float8_e4m3fn"); a name that describes a format ("e5m10",
        "int5", "q3.12", "ap_fixed<16,4>", "binary8p4se": see `fpemu.formats.grammar`); a numpy, ml_dtypes or torch
        dtype, a scalar type, or Python's float (float64), int (int64) and bool (uint1).

    Returns
    -------
    Format

    Raises
    ------
    ValueError
        If the name is unknown (the message lists similar names), ambiguous ("f4"), or describes an impossible format.
    TypeError
        If `x` is none of these.

    Examples
    --------
    >>> import fpemu as fe
    >>> fe.dtype("e4m3") is fe.dtype("float8_e4m3fn")
    True
    >>> fe.dtype("float12_e5m6").precision
    7
    >>> fe.dtype("float8_e4m3nf")
    Traceback (most recent call last):
    ...
    ValueError: unknown format 'float8_e4m3nf'; did you mean 'float8_e4m3fn' or 'float8_e4m3' or 'float8e4m3fn'?
    """
    if isinstance(x, FloatFormat | IntFormat | TableFormat):
        return x
    try:
        return _CACHE[x]
    except (KeyError, TypeError):  # a TypeError: unhashable, so neither a name nor a dtype
        pass
    fmt = _named(x) if isinstance(x, str) else _of_object(x)
    _CACHE[x] = fmt
    return fmt


def _named(name: str) -> Format:
    known = meant(name, _NAMES)
    if known is not None:
        return known
    scheme = meant(name, _SCHEMES)
    if scheme is not None:
        raise ValueError(f"{scheme} is a scaled format, not one of single numbers: see quantize and scheme")
    fmt = parse(key(name)) or parse(plain(name))
    if fmt is None and name[:1] in tuple("<>=|"):  # numpy's own names with a byte order
        with contextlib.suppress(TypeError):
            return _of_object(np.dtype(name))
    if fmt is None:
        close = near(key(name), unambiguous(_NAMES))
        raise ValueError(f"unknown format {brief(name)}{close or '; fpemu.dtypes() lists them'}")
    return _USUAL.get(fmt, fmt)


# numpy's abstract types, some of which older versions convert to float64 or int64 with a warning.
_ABSTRACT = (np.generic, np.number, np.inexact, np.floating, np.integer, np.signedinteger, np.unsignedinteger)


def _of_object(x: Any) -> Format:
    kind = type(x)
    name = None
    if kind.__module__ == "torch" and kind.__name__ == "dtype":
        name = str(x).removeprefix("torch.")
    elif any(x is abstract for abstract in _ABSTRACT):
        pass
    elif isinstance(x, np.dtype | type) or isinstance(getattr(x, "dtype", None), np.dtype):
        with contextlib.suppress(TypeError):  # no dtype at all
            name = np.dtype(x).name
    if name is None:
        raise TypeError(f"a format is a name, a Format or a dtype, not {brief(x)}")
    fmt = _NAMES.get(name) or parse(name)  # torch has int3 too
    if fmt is None:
        raise TypeError(f"{brief(x)} is not a dtype of real numbers that fpemu knows")
    return fmt


def register(fmt: S, *aliases: str) -> S:
    """Register a format, or a scaled format, under its name and other names.

    An equal format may be registered again, with further aliases.

    Parameters
    ----------
    fmt : Format or ScaledFormat
    *aliases : str
        Other names; their case is ignored.

    Returns
    -------
    Format or ScaledFormat
        `fmt`, or the equal format that was registered under its name earlier.

    Raises
    ------
    ValueError
        If a name is taken by another format; nothing is registered then.
    TypeError
        If `fmt` is not a format or an alias is not a string.

    Examples
    --------
    >>> import fpemu as fe
    >>> fe.register(fe.TableFormat("powers", [1, 2, 4, 8, 16, 32, 64, 128]), "p2")
    TableFormat('powers', [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0], profile='ieee')
    >>> fe.dtype("P2").name
    'powers'
    """
    if not isinstance(fmt, FloatFormat | IntFormat | TableFormat | Scheme):
        raise TypeError(f"register takes a Format or a ScaledFormat, not {type(fmt).__name__}")
    for alias in aliases:
        if not isinstance(alias, str):
            raise TypeError(f"an alias must be a str, not {type(alias).__name__}")
        if not key(alias):
            raise ValueError("an alias must not be empty")
    with _LOCK:
        names = (fmt.name, *aliases)
        for name in names:
            taken: Any = _NAMES.get(key(name)) or _SCHEMES.get(key(name)) or _parsed(name, parse)
            if taken is None and isinstance(fmt, Scheme):
                taken = _parsed(name, fmt._parsed)
            if taken is not None and taken != fmt:
                raise ValueError(f"the name {brief(name)} is taken by another format: {taken!r}")
        table: dict[str, Any] = _SCHEMES if isinstance(fmt, Scheme) else _NAMES
        known: S = table.get(key(fmt.name), fmt)
        for name in names:
            table.setdefault(key(name), known)
        if not isinstance(known, Scheme):
            _add_entry(_Entry(known, " ".join("".join(alias.split()) for alias in aliases)))
    return known


def registered_scheme(name: str, parsed: Callable[[str], Scheme | None]) -> Scheme:
    """The scaled format for a name or an alias; `parsed` makes unregistered ones from their names.

    Raises
    ------
    ValueError
        If there is none; the message lists similar names.
    """
    known = meant(name, _SCHEMES)
    if known is not None:
        return known
    if ends_negative(name):
        raise ValueError(
            f"unknown scheme {brief(name)}: a group has one number or more; 'int4_channel' has one scale for each row"
        )
    for spelled in dict.fromkeys((key(name), with_group(name))):
        scheme = _SCHEMES.get(spelled) or parsed(spelled)
        if scheme is not None:
            return scheme
    single = meant(name, _NAMES) or _parsed(name, parse)
    if single is not None:
        own = [scheme.name for scheme in registered_schemes() if scheme.element == single]
        words = f"; schemes of such elements: {', '.join(own)}" if own else f": ScaledFormat({name!r}, block) has them"
        raise ValueError(f"{brief(name)} is a format of single numbers, without scales{words}")
    raise ValueError(f"unknown scheme {brief(name)}{near(key(name), _SCHEMES) or '; fpemu.schemes() lists them'}")


def registered_schemes() -> list[Scheme]:
    """The scaled formats, in the order of registration."""
    return list({scheme.name: scheme for scheme in _SCHEMES.values()}.values())


def _parsed(name: str, by: Callable[[str], T | None]) -> T | None:
    try:
        return by(key(name))
    except ValueError:  # the name describes an impossible format, so it is free
        return None


def _add_entry(entry: _Entry) -> None:
    """Add an entry, merging the aliases of all registrations of its format."""
    old = _ENTRIES.get(entry.format.name, entry)
    words = dict.fromkeys([*old.aliases.split(), *entry.aliases.split()])
    _ENTRIES[entry.format.name] = old._replace(aliases=" ".join(words))


def dtypes() -> list[Format]:
    """List the registered formats: floats from the widest, codebooks, integers, then those added by `register`.

    Returns
    -------
    list of Format

    Examples
    --------
    >>> import fpemu as fe
    >>> [fmt.name for fmt in fe.dtypes()][:4]
    ['float64', 'float32', 'tfloat32', 'float16']
    """
    return [entry.format for entry in _ENTRIES.values()]


def aliases(fmt: Format) -> list[str]:
    """The aliases of a registered format, as their users write them; empty for other formats."""
    entry = _ENTRIES.get(fmt.name)
    return entry.aliases.split() if entry is not None and entry.format == fmt else []


def note(fmt: Format) -> str:
    """A short note on a registered format, or an empty string."""
    entry = _ENTRIES.get(fmt.name)
    return entry.note if entry is not None and entry.format == fmt else ""


def known_everywhere(fmt: Format) -> bool:
    """Whether every process finds the format by its name, without `register`."""
    meant = _parsed(fmt.name, parse)
    return (fmt in _USUAL and _USUAL[fmt].name == fmt.name) or (meant == fmt and fmt not in _USUAL)


for _entry in _TABLE:
    for _name in (_entry.format.name, *_entry.aliases.split()):
        _NAMES[key(_name)] = _entry.format
    _add_entry(_entry)

# A name of the grammar for a format of the table gives that format with its usual name: e5m10 is float16.
_USUAL: dict[Format, Format] = {entry.format: entry.format for entry in _TABLE}
