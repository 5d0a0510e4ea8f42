"""fpemu: bit-exact emulation of number formats.

``import fpemu as fe``, then ``fe.cast(x, "float8_e4m3fn")``.
"""

from fpemu.arithmetic import add, divide, fma, multiply, sqrt, subtract
from fpemu.array import Array, array
from fpemu.casting import cast, decode, encode, get_num_threads, set_num_threads
from fpemu.classes import NumberClass, classify
from fpemu.comparison import compare
from fpemu.flags import Flags
from fpemu.formats import FloatFormat, Format, IntFormat, TableFormat, same_codes
from fpemu.info import describe, finfo, iinfo
from fpemu.knobs import Rounding, Stochastic, rounding_mode
from fpemu.neighbours import next_down, next_up, spacing
from fpemu.packing import pack, unpack
from fpemu.profiles import Profile, profile, profile_names
from fpemu.reductions import cumsum, dot, mean, sum  # noqa: A004
from fpemu.registry import dtype, dtypes, register
from fpemu.report import report

__version__ = "0.1.0"

__all__ = [
    "Array",
    "Flags",
    "FloatFormat",
    "Format",
    "IntFormat",
    "NumberClass",
    "Profile",
    "Rounding",
    "Stochastic",
    "TableFormat",
    "add",
    "array",
    "cast",
    "classify",
    "compare",
    "cumsum",
    "decode",
    "describe",
    "divide",
    "dot",
    "dtype",
    "dtypes",
    "encode",
    "finfo",
    "fma",
    "get_num_threads",
    "iinfo",
    "mean",
    "multiply",
    "next_down",
    "next_up",
    "pack",
    "profile",
    "profile_names",
    "register",
    "report",
    "rounding_mode",
    "same_codes",
    "set_num_threads",
    "spacing",
    "sqrt",
    "subtract",
    "sum",
    "unpack",
]


def __getattr__(name: str) -> object:
    """`fpemu.cores`, which loads numba, when it is asked for."""
    if name == "cores":
        import fpemu.cores

        return fpemu.cores
    raise AttributeError(f"module 'fpemu' has no attribute {name!r}")
