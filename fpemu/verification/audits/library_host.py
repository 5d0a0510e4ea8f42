"""A script that calls a function of a shared library on arrays from standard input; it runs without the package.

Arguments: the library, the function's name, the number of elements, the sizes in bytes of the operands ("4,4") and of
the result, and whether there are flags.  Standard input: the operands' arrays; standard output: results, flags.
"""

from __future__ import annotations

import ctypes
import os
import sys


def main() -> None:
    """Call the function once."""
    path, symbol, size, sizes, result_size, flags = sys.argv[1:]
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # the library's own output goes to standard error
    count = int(size)
    operands = [bytearray(sys.stdin.buffer.read(count * int(each))) for each in sizes.split(",")]
    results = [bytearray(count * int(result_size)), *([bytearray(count)] if int(flags) else [])]
    try:
        call = getattr(ctypes.CDLL(path), symbol)
    except (OSError, AttributeError) as error:
        sys.exit(str(error))
    call.restype = None
    kinds = [(ctypes.c_char * max(len(array), 1), array) for array in (*operands, *results)]
    arrays = [kind.from_buffer(array) if array else kind() for kind, array in kinds]
    call(ctypes.c_size_t(count), *map(ctypes.byref, arrays))
    for array in results:
        answers.write(array)
    answers.close()


if __name__ == "__main__":
    main()
