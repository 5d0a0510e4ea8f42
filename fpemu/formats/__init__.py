"""Number formats as frozen dataclasses: no arrays, no numba.

A format is a finite set of values, each with a *code* (an unsigned, right-aligned bit pattern).
"""

from fpemu.formats.base import Scheme, odd_scaled, state_of, wrap64
from fpemu.formats.codebook import TableFormat
from fpemu.formats.floats import BFLOAT16, FLOAT16, FLOAT32, FLOAT64, FloatFormat
from fpemu.formats.integers import INT8, INT32, INT64, IntFormat
from fpemu.formats.kinds import Format, same_codes
from fpemu.formats.lookup import as_int
from fpemu.formats.profiles import EXACT, IEEE, PROFILE_ALIASES, Profile, apart, profile, profile_names
from fpemu.formats.registry import aliases, dtype, dtypes, note, register, registered_scheme, registered_schemes
from fpemu.formats.spellings import unambiguous
