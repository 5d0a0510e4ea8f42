"""Files of arrays: reading within a memory budget, and atomic writing.

The modules that read and write arrays are imported by their paths: `boundary` and `atomic` must not load them, as
`fpemu --version` needs both.
"""

from fpemu.files.containers import UnknownEndingError, kind_by_name, kind_of_input, kind_of_output
