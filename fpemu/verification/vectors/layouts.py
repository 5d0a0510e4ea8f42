"""How vectors look in text files: lines of fixed pieces and hexadecimal fields, all of one length."""

from __future__ import annotations

import json
from collections.abc import Callable
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
    "Layout",
    "Line",
    "Words",
    "columns_of",
    "companion",
    "ending_of",
    "fields_of",
    "layout_of",
    "record_of",
]

FLAG_BITS = 5
_DIGITS = np.frombuffer(b"0123456789ABCDEF", np.uint8)
_NO_DIGIT = 255
_VALUES = np.full(256, _NO_DIGIT, np.uint8)
_VALUES[_DIGITS] = np.arange(16)
_VALUES[np.frombuffer(b"abcdef", np.uint8)] = np.arange(10, 16)


class Field(NamedTuple):
    """A column: its name, how many bits its codes have, how many codes there are, and their numpy type."""

    name: str
    bits: int
    codes: int
    dtype: str

    @property
    def digits(self) -> int:
        """Hexadecimal digits of a code."""
        return 1 if self.bits == 1 else -(-self.bits // 4)


def fields_of(claim: Claim, flags: bool) -> list[Field]:
    """The columns of a claim's vectors: operands, result, flags."""
    found = [
        Field(f"operand {place}", fmt.bits, fmt.code_count, fmt.code_dtype)
        for place, fmt in enumerate(claim.operands, 1)
    ]
    result = claim.result
    found.append(
        Field("result", 1, 2, "uint8")
        if result is None
        else Field("result", result.bits, result.code_count, result.code_dtype)
    )
    return [*found, *([Field("flags", FLAG_BITS, 1 << FLAG_BITS, "uint8")] if flags else [])]


class Line:
    """Lines of fixed pieces of text with fields between.

    Parameters
    ----------
    fields : list of Field
    pieces : list of str
        One more than fields: what stands before, between and after them.
    """

    def __init__(self, fields: list[Field], pieces: list[str]) -> None:
        self.fields, self._pieces = fields, [np.frombuffer(piece.encode(), np.uint8) for piece in pieces]
        self._starts = []
        place = len(self._pieces[0])
        for field, piece in zip(fields, self._pieces[1:], strict=True):
            self._starts.append(place)
            place += field.digits + len(piece)
        self.length = place

    def text(self, columns: Columns) -> bytes:
        """Vectors as lines."""
        lines = np.empty((columns[0].size, self.length), np.uint8)
        place = 0
        for start, field, piece, column in zip(self._starts, self.fields, self._pieces, columns, strict=False):
            lines[:, place:start] = piece
            place = start + field.digits
            lines[:, start:place] = _hexadecimal(column, field.digits)
        lines[:, place:] = self._pieces[-1]
        return lines.tobytes()

    def read(self, lines: NDArray[np.uint8]) -> tuple[Columns, int, str]:
        """The columns of lines, the number of lines that are right, and what is wrong with the one after them."""
        right = np.ones(len(lines), np.bool_)
        columns, limits = [], []
        place = 0
        for start, field, piece in zip(self._starts, self.fields, self._pieces, strict=False):
            right &= (lines[:, place:start] == piece).all(axis=1)
            place = start + field.digits
            values = _VALUES[lines[:, start:place]]
            right &= (values != _NO_DIGIT).all(axis=1)
            column = np.zeros(len(lines), np.uint64)
            for digit in values.T:
                column = column << np.uint64(4) | digit
            columns.append(column)
            limits.append(column >= np.uint64(field.codes) if field.codes < 1 << 64 else np.zeros(len(lines), np.bool_))
        right &= (lines[:, place:] == self._pieces[-1]).all(axis=1)
        bad = ~right
        for limit in limits:
            bad |= limit
        count = int(np.argmax(bad)) if bad.any() else len(lines)
        problem = ""
        if count < len(lines):
            problem = "it is not written so"
            if right[count]:
                which = next(place for place, limit in enumerate(limits) if limit[count])
                field = self.fields[which]
                problem = f"{field.name} is {int(columns[which][count]):#x}, but its codes are below {field.codes:#x}"
        found = [part[:count].astype(field.dtype) for part, field in zip(columns, self.fields, strict=True)]
        return found, count, problem


def _hexadecimal(codes: NDArray[Any], digits: int) -> NDArray[np.uint8]:
    shifts = 4 * np.arange(digits - 1, -1, -1, dtype=np.uint64)
    return _DIGITS[(codes.astype(np.uint64)[:, None] >> shifts & np.uint64(15)).astype(np.intp)]


class Words:
    """Vectors in words of so many bits, a word to a line, for ``$readmemh``.

    A vector's fields stand side by side as in Verilog's ``{x, y, result, flags}``; of several in a word the first has
    the lowest bits; the word's highest bits are 0.  The last word may have fewer.
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
        """Vectors as lines."""
        count = columns[0].size
        bits = np.concatenate(
            [_bits(column, field.bits) for column, field in zip(columns, self.fields, strict=True)], axis=1
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
        """The columns of lines (words), the number of words that are right, what is wrong with the one after them."""
        values = _VALUES[lines[:, :-1]]
        bad = (values == _NO_DIGIT).any(axis=1) | (lines[:, -1] != ord("\n"))
        count, problem = (int(np.argmax(bad)), "it is no word of hexadecimal digits") if bad.any() else (len(lines), "")
        row = np.unpackbits(values[:count, :, None], axis=2)[:, :, 4:].reshape(count, self.word_bits)
        used = self.in_word * self.bits
        if row[:, : self.word_bits - used].any():
            count = int(np.argmax(row[:, : self.word_bits - used].any(axis=1)))
            row, problem = row[:count], f"its highest bits are not 0: vectors have {self.bits} bits"
        bits = row[:, self.word_bits - used :].reshape(count, self.in_word, self.bits)[:, ::-1].reshape(-1, self.bits)
        columns, place = [], 0
        for field in self.fields:
            column = np.zeros(len(bits), np.uint64)
            for bit in bits[:, place : place + field.bits].T:
                column = column << np.uint64(1) | bit
            place += field.bits
            over = column >= np.uint64(field.codes) if field.codes < 1 << 64 else np.zeros(len(bits), np.bool_)
            if over.any():
                where = int(np.argmax(over))
                count = min(count, where // self.in_word)
                problem = f"{field.name} is {int(column[where]):#x}, but its codes are below {field.codes:#x}"
            columns.append(column.astype(field.dtype))
        return [column[: count * self.in_word] for column in columns], count, problem


def _bits(codes: NDArray[Any], count: int) -> NDArray[np.uint8]:
    shifts = np.arange(count - 1, -1, -1, dtype=np.uint64)
    return (codes.astype(np.uint64)[:, None] >> shifts & np.uint64(1)).astype(np.uint8)


def _testfloat(fields: list[Field]) -> Line:
    """``testfloat_gen``'s lines: "3C00 0001 3C00 01"; flags have two digits."""
    return Line(_two_digits(fields), ["", *[" "] * (len(fields) - 1), "\n"])


def _csv(fields: list[Field]) -> Line:
    return Line(_two_digits(fields), ["0x", *[",0x"] * (len(fields) - 1), "\n"])


def _jsonl(fields: list[Field]) -> Line:
    operands = [field for field in fields if field.name.startswith("operand")]
    pieces = ['{"operands": ["0x', *['", "0x'] * (len(operands) - 1), '"], "result": "0x']
    pieces += ['", "flags": "0x'] if fields[-1].name == "flags" else []
    return Line(_two_digits(fields), [*pieces, '"}\n'])


def _two_digits(fields: list[Field]) -> list[Field]:
    return [field._replace(bits=8) if field.name == "flags" else field for field in fields]


class Layout(NamedTuple):
    """A way to write vectors as text.

    `suffixes`: what files of it end in; `line`: makes its lines; `comment`: what a line of the header begins with, None
    where there is no place for one: then it stands in a companion.
    """

    name: str
    suffixes: tuple[str, ...]
    line: Callable[..., Any]
    comment: str | None


LAYOUTS = {
    layout.name: layout
    for layout in (
        Layout("testfloat", (".tv", ".txt"), _testfloat, None),
        Layout("readmemh", (".hex", ".mem"), Words, "// "),
        Layout("csv", (".csv",), _csv, "# "),
        Layout("jsonl", (".jsonl",), _jsonl, ""),
    )
}


def layout_of(name: str | None, suffix: str) -> str:
    """The name of a layout, or of the one that a file's suffix means; "npz" too."""
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
    raise ValueError(f"{suffix!r} means no layout: end the name in {endings} or .npz, or say layout=")


def companion(path: Path) -> Path:
    """Where the header of a file of TestFloat's lines stands."""
    return path.with_name(f"{path.name}.json")


def columns_of(batch: Batch) -> Columns:
    """The columns of a batch: operands, result, flags if there are any."""
    return [*batch.operands, batch.result, *([] if batch.flags is None else [batch.flags])]


def ending_of(layout: str, digest: str) -> str:
    """The line after the vectors, which has the hash."""
    mark = LAYOUTS[layout].comment
    if mark is None:
        return ""
    return json.dumps({"sha256": digest}) + "\n" if layout == "jsonl" else f"{mark}sha256: {digest}\n"


def record_of(fields: list[Field]) -> np.dtype[Any]:
    """The numpy type of a vector in an .npz file."""
    return np.dtype([(field.name.replace(" ", "_"), np.dtype(field.dtype).newbyteorder("<")) for field in fields])
