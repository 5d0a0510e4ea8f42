"""fpemu: bit-exact emulation of number formats.

``import fpemu as fe``, then ``fe.cast(x, "float8_e4m3fn")``.
"""

from fpemu.arithmetic import add, divide, fma, multiply, sqrt, subtract
from fpemu.array import Array, array, asarray
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
from fpemu.registry import dtype, dtypes, register
from fpemu.report import report
from fpemu.saving import load, save

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
    "asarray",
    "cast",
    "classify",
    "compare",
    "decode",
    "describe",
    "divide",
    "dtype",
    "dtypes",
    "encode",
    "finfo",
    "fma",
    "get_num_threads",
    "iinfo",
    "load",
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
    "save",
    "set_num_threads",
    "spacing",
    "sqrt",
    "subtract",
    "unpack",
]
