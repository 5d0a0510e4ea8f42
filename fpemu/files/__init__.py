"""Files of arrays: reading within a memory budget, and atomic writing."""

from fpemu.files.containers import UnknownEndingError, kind_by_name, kind_of_input, kind_of_output
from fpemu.files.data_files import Outgoing, StoredArray, element_type, metadata_of, write_arrays
from fpemu.files.saving import load, open_saved, save

__all__ = [
    "Outgoing",
    "StoredArray",
    "UnknownEndingError",
    "element_type",
    "kind_by_name",
    "kind_of_input",
    "kind_of_output",
    "load",
    "metadata_of",
    "open_saved",
    "save",
    "write_arrays",
]
