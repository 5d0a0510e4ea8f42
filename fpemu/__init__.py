"""fpemu: bit-exact emulation of number formats.

``import fpemu as fe``, then ``fe.cast(x, "float8_e4m3fn")``.
"""

from fpemu.comparison import compare
from fpemu.formats import FloatFormat, Format, IntFormat, TableFormat, same_codes
from fpemu.info import describe, finfo, iinfo
from fpemu.profiles import Profile, Rounding, Stochastic, profile, profile_names, rounding_mode
from fpemu.registry import dtype, dtypes, register

__version__ = "0.1.0"

__all__ = [
    "FloatFormat",
    "Format",
    "IntFormat",
    "Profile",
    "Rounding",
    "Stochastic",
    "TableFormat",
    "compare",
    "describe",
    "dtype",
    "dtypes",
    "finfo",
    "iinfo",
    "profile",
    "profile_names",
    "register",
    "rounding_mode",
    "same_codes",
]
