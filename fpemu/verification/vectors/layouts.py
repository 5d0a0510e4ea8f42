"""Text layouts of vectors: lines of equal length, of hexadecimal fields and fixed text."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fpemu.verification.claims import Batch, Claim

Columns = list[NDArray[Any]]

__all__ = [
    "LAYOUTS",
    "Columns",
    "Field",
    "Line",
    "MemoryWords",
    "TextLayout",
    "batch_of",
    "columns_of",
    "companion_path",
    "ending_of",
    "fields_of",
    "find_layout",
    "record_dtype",
    "resized",
]

FLAG_BITS = 5
_DIGITS = np.frombuffer(b"0123456789ABCDEF", np.uint8)
_NO_DIGIT = 255
_VALUES = np.full(256, _NO_DIGIT, np.uint8)
_VALUES[_DIGITS] = np.arange(16)
_VALUES[np.frombuffer(b"abcdef", np.uint8)] = np.arange(10, 16)


class Field(NamedTuple):
    """A column: its name, the width of its codes in bits, the number of possible codes, and the numpy type of codes."""

    name: str
    bits: int
    codes: int
    dtype: str

    @property
    def digits(self) -> int:
        """Number of hexadecimal digits of a code."""
        return 1 if self.bits == 1 else -(-self.bits // 4)

    def first_invalid(self, codes: NDArray[Any]) -> int | None:
        """The index of the first code that is out of range, or None."""
        if self.codes >= 1 << (8 * codes.itemsize):
            return None
        invalid = codes >= codes.dtype.type(self.codes)
        return int(np.argmax(invalid)) if invalid.any() else None

    def problem(self, code: int) -> str:
        """The error message for a code that is out of range."""
        return f"{self.name} is {int(code):#x}, but its codes are below {self.codes:#x}"


def fields_of(claim: Claim, flags: bool) -> list[Field]:
    """The columns of a claim's vectors: operands, result, flags."""
    fields = [
        Field(f"operand {number}", fmt.bits, fmt.code_count, fmt.code_dtype)
        for number, fmt in enumerate(claim.operands, 1)
    ]
    result_bits = 1 if claim.result is None else claim.result.bits
    fields.append(Field("result", result_bits, claim.result_count, claim.result_dtype.name))
    return [*fields, *([Field("flags", FLAG_BITS, 1 << FLAG_BITS, "uint8")] if flags else [])]


class Line:
    """A line of fields, with fixed text before, between and after them.

    Parameters
    ----------
    fields : list of Field
    texts : list of str
        The fixed texts; one more than there are fields.
    """

    def __init__(self, fields: list[Field], texts: list[str]) -> None:
        self.fields, self._texts = fields, [np.frombuffer(text.encode(), np.uint8) for text in texts]
        self._starts = []
        end = len(self._texts[0])
        for field, text in zip(fields, self._texts[1:], strict=True):
            self._starts.append(end)
            end += field.digits + len(text)
        self.length = end

    def text(self, columns: Columns) -> bytes:
        """The lines of vectors."""
        lines = np.empty((columns[0].size, self.length), np.uint8)
        end = 0
        for start, field, text, column in zip(self._starts, self.fields, self._texts, columns, strict=False):
            lines[:, end:start] = text
            end = start + field.digits
            lines[:, start:end] = _hexadecimal(column, field.digits)
        lines[:, end:] = self._texts[-1]
        return lines.tobytes()

    def read(self, lines: NDArray[np.uint8]) -> tuple[Columns, int, str]:
        """The columns of the lines before the first malformed one, their number, and the problem of that one."""
        well_formed = np.ones(len(lines), np.bool_)
        columns = []
        end = 0
        for start, field, text in zip(self._starts, self.fields, self._texts, strict=False):
            well_formed &= (lines[:, end:start] == text).all(axis=1)
            end = start + field.digits
            digits = _VALUES[lines[:, start:end]]
            well_formed &= (digits != _NO_DIGIT).all(axis=1)
            column = np.zeros(len(lines), np.uint64)
            for digit in digits.T:
                column = column << np.uint64(4) | digit
            columns.append(column)
        well_formed &= (lines[:, end:] == self._texts[-1]).all(axis=1)
        count, problem = len(lines), ""
        if not well_formed.all():
            count, problem = int(np.argmin(well_formed)), "it is malformed"
        for field, column in zip(self.fields, columns, strict=True):
            invalid = field.first_invalid(column[:count])
            if invalid is not None:
                count, problem = invalid, field.problem(column[invalid])
        return (
            [column[:count].astype(field.dtype) for column, field in zip(columns, self.fields, strict=True)],
            count,
            problem,
        )


def _hexadecimal(codes: NDArray[Any], digits: int) -> NDArray[np.uint8]:
    shifts = 4 * np.arange(digits - 1, -1, -1, dtype=np.uint64)
    return _DIGITS[(codes.astype(np.uint64)[:, None] >> shifts & np.uint64(15)).astype(np.intp)]


class MemoryWords:
    """Vectors in words of `word_bits` bits, one word on each line, for ``$readmemh``.

    A vector's fields are concatenated as in Verilog's ``{x, y, result, flags}``.  If a word has several vectors, the
    first has the lowest bits; unused high bits are 0.  The last word may have fewer vectors.
    """

    def __init__(self, fields: list[Field], word_bits: int | None = None) -> None:
        self.fields = fields
        self.bits = sum(field.bits for field in fields)
        self.word_bits = -(-self.bits // 4) * 4 if word_bits is None else word_bits
        if self.word_bits < self.bits or self.word_bits % 4:
            raise ValueError(
                f"word_bits must be a multiple of 4, and {self.bits} or more for these vectors, not {word_bits}"
            )
        self.in_word = self.word_bits // self.bits
        self.length = self.word_bits // 4 + 1

    def text(self, columns: Columns) -> bytes:
        """The lines of vectors."""
        count = columns[0].size
        bits = np.concatenate(
            [_code_bits(column, field.bits) for column, field in zip(columns, self.fields, strict=True)], axis=1
        )
        words = -(-count // self.in_word)
        padded = np.zeros((words * self.in_word, self.bits), np.uint8)
        padded[:count] = bits
        row = np.zeros((words, self.word_bits), np.uint8)
        used = self.in_word * self.bits
        row[:, self.word_bits - used :] = padded.reshape(words, self.in_word, self.bits)[:, ::-1].reshape(words, used)
        nibbles = row.reshape(words, -1, 4) @ np.array([8, 4, 2, 1], np.uint8)
        lines = np.empty((words, self.length), np.uint8)
        lines[:, :-1], lines[:, -1] = _DIGITS[nibbles], ord("\n")
        return lines.tobytes()

    def read(self, lines: NDArray[np.uint8]) -> tuple[Columns, int, str]:
        """The columns of the words before the first malformed one, their number, and the problem of that one."""
        values = _VALUES[lines[:, :-1]]
        bad = (values == _NO_DIGIT).any(axis=1) | (lines[:, -1] != ord("\n"))
        count, problem = (int(np.argmax(bad)), "it is not hexadecimal") if bad.any() else (len(lines), "")
        row = np.unpackbits(values[:count, :, None], axis=2)[:, :, 4:].reshape(count, self.word_bits)
        used = self.in_word * self.bits
        if row[:, : self.word_bits - used].any():
            count = int(np.argmax(row[:, : self.word_bits - used].any(axis=1)))
            row, problem = row[:count], f"its highest bits are not 0: vectors have {self.bits} bits"
        bits = row[:, self.word_bits - used :].reshape(count, self.in_word, self.bits)[:, ::-1].reshape(-1, self.bits)
        columns, end = [], 0
        for field in self.fields:
            start, end = end, end + field.bits
            column = np.zeros(len(bits), np.uint64)
            for bit in bits[:, start:end].T:
                column = column << np.uint64(1) | bit
            invalid = field.first_invalid(column)
            if invalid is not None:
                count, problem = min(count, invalid // self.in_word), field.problem(column[invalid])
            columns.append(column.astype(field.dtype))
        return [column[: count * self.in_word] for column in columns], count, problem


def _code_bits(codes: NDArray[Any], count: int) -> NDArray[np.uint8]:
    shifts = np.arange(count - 1, -1, -1, dtype=np.uint64)
    return (codes.astype(np.uint64)[:, None] >> shifts & np.uint64(1)).astype(np.uint8)


def _testfloat(fields: list[Field]) -> Line:
    """The lines of ``testfloat_gen``: "3C00 0001 3C00 01"; flags have two digits."""
    return Line(_two_digits(fields), ["", *[" "] * (len(fields) - 1), "\n"])


def _csv(fields: list[Field]) -> Line:
    return Line(_two_digits(fields), ["0x", *[",0x"] * (len(fields) - 1), "\n"])


def _jsonl(fields: list[Field]) -> Line:
    operands = [field for field in fields if field.name.startswith("operand")]
    texts = ['{"operands": ["0x', *['", "0x'] * (len(operands) - 1), '"], "result": "0x']
    texts += ['", "flags": "0x'] if fields[-1].name == "flags" else []
    return Line(_two_digits(fields), [*texts, '"}\n'])


def _two_digits(fields: list[Field]) -> list[Field]:
    return [field._replace(bits=8) if field.name == "flags" else field for field in fields]


class TextLayout(NamedTuple):
    """A way to write vectors as text.

    `suffixes`: of file names; `line`: makes the lines; `comment`: the start of a header line, or None if the layout has
    no comments and the header is in a companion file.
    """

    name: str
    suffixes: tuple[str, ...]
    line: Callable[..., Any]
    comment: str | None


LAYOUTS = {
    layout.name: layout
    for layout in (
        TextLayout("testfloat", (".tv", ".txt"), _testfloat, None),
        TextLayout("readmemh", (".hex", ".mem"), MemoryWords, "// "),
        TextLayout("csv", (".csv",), _csv, "# "),
        TextLayout("jsonl", (".jsonl",), _jsonl, ""),
    )
}


def find_layout(name: str | None, suffix: str) -> str:
    """The name of a layout (also "npz"), checked; by default, the layout of a file's suffix."""
    known = [*LAYOUTS, "npz"]
    if name is not None:
        if name not in known:
            raise ValueError(f"unknown layout {name!r}: allowed are {', '.join(known)}")
        return name
    if suffix == ".npz":
        return "npz"
    for layout in LAYOUTS.values():
        if suffix in layout.suffixes:
            return layout.name
    endings = ", ".join(end for layout in LAYOUTS.values() for end in layout.suffixes)
    raise ValueError(f"no layout has the suffix {suffix!r}: end the name in {endings} or .npz, or specify layout=")


def companion_path(path: Path) -> Path:
    """The companion of a file with TestFloat's lines, which has its header."""
    return path.with_name(f"{path.name}.json")


def columns_of(batch: Batch) -> Columns:
    """The columns of a batch: operands, result, and flags if there are any."""
    return [*batch.operands, batch.result, *([] if batch.flags is None else [batch.flags])]


def batch_of(columns: Columns, arity: int) -> Batch:
    """The batch with these columns."""
    result, *flags = columns[arity:]
    return Batch(tuple(columns[:arity]), result, flags[0] if flags else None)


def resized(batches: Iterable[Columns], size: int) -> Iterator[Columns]:
    """The columns of all batches in batches of one size; the last may be smaller."""
    rest: Columns = []
    for columns in batches:
        rest = [np.concatenate(pair) for pair in zip(rest, columns, strict=True)] if rest else columns
        while rest[0].size >= size:
            yield [column[:size] for column in rest]
            rest = [column[size:] for column in rest]
    if rest and rest[0].size:
        yield rest


def ending_of(layout: str, digest: str) -> str:
    """The line with the hash, after the vectors."""
    mark = LAYOUTS[layout].comment
    if mark is None:
        return ""
    return json.dumps({"sha256": digest}) + "\n" if layout == "jsonl" else f"{mark}sha256: {digest}\n"


def record_dtype(fields: list[Field]) -> np.dtype[Any]:
    """The numpy type of a vector in an .npz file."""
    return np.dtype([(field.name.replace(" ", "_"), np.dtype(field.dtype).newbyteorder("<")) for field in fields])
