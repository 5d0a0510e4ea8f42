"""Numbers to codes and codes to numbers, whole arrays at a time."""

from fpemu.casting.casts import cast, decode, encode, get_num_threads, set_num_threads
from fpemu.casting.inputs import Coded, as_array, as_numbers, as_source, carries_codes, codes_of
from fpemu.casting.packing import pack, unpack
from fpemu.casting.result_dtype import named_dtype
from fpemu.casting.sequences import Rest, Source
from fpemu.casting.storage import in_range
