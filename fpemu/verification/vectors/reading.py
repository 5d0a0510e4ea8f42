"""Reading of vector files in constant memory; truncated, edited or mixed-up files are refused."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from fpemu.files import archives
from fpemu.files.boundary import Budget, check_file, file_path, line_blocks, reading
from fpemu.verification.claims import Batch, Claim
from fpemu.verification.vectors.generation import Vectors
from fpemu.verification.vectors.headers import Hash, claim_of, number_of
from fpemu.verification.vectors.layouts import (
    LAYOUTS,
    Columns,
    batch_of,
    columns_of,
    companion_path,
    ending_of,
    fields_of,
    find_layout,
    record_dtype,
    resized,
)

__all__ = ["VectorFile", "read"]

LINES_AT_ONCE = 1 << 16
MAX_HEADER_LINES = 200
MAX_LINE_BYTES = 1 << 16  # of a header line, or of a line from TestFloat
MAX_JSON_BYTES = 1 << 20  # of a header in JSON
READABLE = "not a readable file of vectors"


class VectorFile:
    """Vectors in a file, read again for each iteration.

    Made by `read`, which checks the file.

    Parameters
    ----------
    path : Path
    layout : str
    header : dict of str to str
        Empty if the file has no header.
    claim : Claim
    has_flags : bool

    Attributes
    ----------
    path : Path
    layout : str
    header : dict of str to str
    claim : Claim
    has_flags : bool
    count : int
        Number of vectors.
    """

    def __init__(self, path: Path, layout: str, header: dict[str, str], claim: Claim, has_flags: bool) -> None:
        self.path, self.layout, self.header, self.claim, self.has_flags = path, layout, header, claim, has_flags
        self.count = 0

    def __len__(self) -> int:
        return self.count

    def __repr__(self) -> str:
        return f"<{self.count:,} vectors in {self.path}: {self.claim}>"

    def __iter__(self) -> Iterator[Batch]:
        """Batches of bounded size."""
        arity = self.claim.arity
        with reading(self.path, READABLE):
            for _, columns in self._lines():
                yield batch_of(columns, arity)

    def check(self) -> None:
        """Read the whole file: count the vectors and check the hash."""
        hashed, count = Hash(), 0
        for _, columns in self._lines():
            hashed.add(columns)
            count += columns[0].size
        self.count = count
        if self.header and hashed.of(self.header) != self.header["sha256"]:
            raise ValueError(f"{self.path}{self._edit_found()}")

    def _edit_found(self) -> str:
        """Describe and locate, as far as possible, the edit after which the hash does not match."""
        arity = self.claim.arity
        regenerated = self._regenerated()
        for first, columns in self._lines():
            original = next(regenerated, None) if regenerated is not None else self.claim.batch(*columns[:arity])
            if original is None:
                continue
            fields = fields_of(self.claim, self.has_flags)
            for field, actual, expected in zip(fields, columns, columns_of(original), strict=False):
                if expected.size < actual.size:
                    continue
                rows = np.flatnonzero(actual != expected[: actual.size])
                if rows.size:
                    line, row = self._line_of(first, int(rows[0])), rows[0]
                    codes = f"{int(actual[row]):#x}, but was written as {int(expected[row]):#x}"
                    return f", {line}: {field.name} is {codes}: the file was edited"
        return ": the hash does not fit: the header was edited, or is another file's"

    def _regenerated(self) -> Iterator[Batch] | None:
        """The vectors generated again from the header's parameters, in batches as large as the file's.

        None if there are no parameters, or if the number of their vectors differs; the file's count limits the work.
        """
        try:
            limit, per_cell, random, seed = (
                number_of(self.header, name) for name in ("limit", "per cell", "random", "seed")
            )
        except ValueError:
            return None
        vectors = Vectors(self.claim, limit, per_cell, random, seed, most=self.count)
        if max(limit, per_cell, random, seed) >= 1 << 64 or vectors.count != self.count:
            return None
        return (batch_of(each, self.claim.arity) for each in resized(map(columns_of, vectors), LINES_AT_ONCE))

    def _line_of(self, first: int, row: int) -> str:
        number = first + row
        if self.layout == "npz":
            return f"vector {number}"
        return f"line {self._first_line + (number // self._line.in_word if self.layout == 'readmemh' else number)}"

    # -- reading ------------------------------------------------------------------------------------------------------

    def _lines(self) -> Iterator[tuple[int, Columns]]:
        """Batches: the number of the first vector, and the columns."""
        if self.layout == "npz":
            return self._records()
        if not self.header:
            return self._lines_without_header()
        return self._lines_with_header()

    @property
    def _line(self) -> Any:
        fields = fields_of(self.claim, self.has_flags)
        make_line = LAYOUTS[self.layout].line
        if self.layout != "readmemh":
            return make_line(fields)
        bits = number_of(self.header, "word bits")
        if bits > 4 * self.path.stat().st_size:
            raise ValueError(f"{self.path}: the header's 'word bits' is {bits}: no such word is in the file")
        return make_line(fields, bits)

    @property
    def _first_line(self) -> int:
        """The number of the first line after the header."""
        numbers = {"testfloat": 1, "jsonl": 2}
        return numbers.get(self.layout) or len(_read_comments(self.path, self.layout)[1]) + 1

    def _lines_with_header(self) -> Iterator[tuple[int, Columns]]:
        line, count = self._line, number_of(self.header, "vectors")
        in_word = line.in_word if self.layout == "readmemh" else 1
        lines, number = -(-count // in_word), self._first_line
        at_once = max(1, LINES_AT_ONCE // in_word)
        with self.path.open("rb") as stream:
            for _ in range(number - 1):
                stream.readline()
            for start in range(0, lines, at_once):
                wanted = min(at_once, lines - start)
                text = stream.read(wanted * line.length)
                complete = len(text) // line.length
                table = np.frombuffer(text, np.uint8, complete * line.length).reshape(complete, line.length)
                columns, valid, problem = line.read(table)
                if valid < complete:
                    shown = text[valid * line.length :].split(b"\n")[0][:60].decode(errors="replace")
                    raise ValueError(f"{self.path}, line {number + start + valid}: {shown!r}: {problem}")
                if complete < wanted:
                    end, done = number + start + complete, (start + complete) * in_word
                    raise ValueError(f"{self.path}, line {end}: the file ends, after {done:,} of {count:,} vectors")
                yield start * in_word, [column[: count - start * in_word] for column in columns]
            rest = stream.read(1000)
        ending = ending_of(self.layout, self.header["sha256"]).encode()
        if rest != ending:
            shown = rest[:60].decode(errors="replace")
            problem = f"{shown!r} follows" if rest else "the end is missing"
            raise ValueError(
                f"{self.path}, line {number + lines}: {problem}, after all {count:,} vectors that the header specifies"
            )

    def _lines_without_header(self) -> Iterator[tuple[int, Columns]]:
        """Batches from lines that TestFloat wrote, which may have more blanks and lower-case digits."""
        line, first = self._line, 0
        with self.path.open("rb") as stream:
            for text in line_blocks(stream, LINES_AT_ONCE * line.length, MAX_LINE_BYTES):
                lines = [b" ".join(each.split()) + b"\n" for each in text.splitlines()]
                malformed = next((row for row, each in enumerate(lines) if len(each) != line.length), None)
                if malformed is not None:
                    raise self._line_error(first + malformed, lines[malformed], "it is malformed")
                table = np.frombuffer(b"".join(lines), np.uint8).reshape(-1, line.length)
                columns, valid, problem = line.read(table)
                if valid < len(table):
                    raise self._line_error(first + valid, lines[valid], problem)
                yield first, columns
                first += len(lines)

    def _line_error(self, number: int, text: bytes, problem: str) -> ValueError:
        shown = text.rstrip(b"\n")[:60].decode(errors="replace")
        return ValueError(f"{self.path}, line {number + 1}: {shown!r}: {problem}")

    def _records(self) -> Iterator[tuple[int, Columns]]:
        fields = fields_of(self.claim, self.has_flags)
        kind, count = record_dtype(fields), number_of(self.header, "vectors")
        with archives.open_archive(self.path) as archive, archive.open("vectors.npy") as member:
            shape, _, actual = archives.read_header(member)
            if actual != kind or shape != (count,):
                raise ValueError(f"{self.path}: it has {shape} of {actual}, but its header has {count} of {kind}")
            for start in range(0, count, LINES_AT_ONCE):
                size = min(LINES_AT_ONCE, count - start)
                raw = member.read(size * kind.itemsize)
                if len(raw) < size * kind.itemsize:
                    raise ValueError(f"{self.path}: the file ends, before {count:,} vectors")
                rows = np.frombuffer(raw, kind)
                columns = [rows[name].astype(rows[name].dtype.newbyteorder("=")) for name in kind.names or ()]
                for field, column in zip(fields, columns, strict=True):
                    invalid = field.first_invalid(column)
                    if invalid is not None:
                        raise ValueError(f"{self.path}, vector {start + invalid}: {field.problem(column[invalid])}")
                yield start, columns


def _read_comments(path: Path, layout: str) -> tuple[dict[str, str], list[str]]:
    """The fields of a header in comments, without the hash at the end of the file, and the header's lines."""
    mark = LAYOUTS[layout].comment
    assert mark is not None
    lines: list[str] = []
    with path.open("rb") as stream:
        while len(lines) < MAX_HEADER_LINES:
            text = stream.readline(MAX_LINE_BYTES).decode(errors="replace")
            if not text.startswith(mark.strip() or "\0") or text.startswith(f"{mark}sha256: "):
                if layout == "csv":
                    lines.append(text.rstrip("\n"))
                break
            lines.append(text.rstrip("\n"))
    words: dict[str, str] = {}
    for number, line in enumerate(lines[: len(lines) - (layout == "csv")], 1):
        key, colon, value = line[len(mark.strip()) :].partition(":")
        if not colon:
            raise ValueError(f"{path}, line {number}: {line[:60]!r} is not a header line: it has no colon")
        words[key.strip()] = value.strip()
    return words, lines


def _read_header(path: Path, layout: str) -> dict[str, str]:
    """The fields of a file's header, with the hash."""
    budget = Budget.of(path)
    if layout == "npz":
        with reading(path, "not an npz file of vectors"), archives.open_archive(path) as archive:
            members = archives.entries(archive, budget.size)
            text = str(archives.member_array(archive, members["header.npy"], budget)[()])
            return _checked_fields(path, budget.json(text.encode(), "its header"))
    if layout == "testfloat":
        companion = companion_path(path)
        with reading(companion, "not a companion of a file of vectors"):
            return _checked_fields(companion, budget.json(_read_companion(companion), "its header")["header"])
    if layout == "jsonl":
        with path.open("rb") as stream:
            line = stream.readline(MAX_JSON_BYTES)
        try:
            words = _checked_fields(path, budget.json(line, "its header")["header"])
        except (ValueError, KeyError, TypeError):
            raise ValueError(f"{path}, line 1: there is no header") from None
    else:
        words, _ = _read_comments(path, layout)
        if not words:
            raise ValueError(f"{path}, line 1: there is no header")
    return {**words, "sha256": _last_hash(path, layout)}


def _read_companion(path: Path) -> bytes:
    """A companion file's contents, of bounded size."""
    with path.open("rb") as stream:
        text = stream.read(MAX_JSON_BYTES + 1)
    if len(text) > MAX_JSON_BYTES:
        raise ValueError(f"{path}: it has more than {MAX_JSON_BYTES:,} bytes")
    return text


def _checked_fields(path: Path, fields: Any) -> dict[str, str]:
    if not isinstance(fields, dict) or not all(isinstance(value, str) for value in fields.values()):
        raise ValueError(f"{path}: its header has values that are not texts")
    return fields


def _last_hash(path: Path, layout: str) -> str:
    """The hash in the last line."""
    wanted = ending_of(layout, "0" * 64).encode()
    with path.open("rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(max(0, size - len(wanted)))
        text = stream.read()
    start, end = wanted.partition(b"0" * 64)[::2]
    digest = text[len(start) : len(start) + 64].decode(errors="replace")
    if len(text) == len(wanted) and text.startswith(start) and text.endswith(end):
        return digest
    with path.open("rb") as stream:
        lines = sum(block.count(b"\n") for block in iter(lambda: stream.read(1 << 20), b""))
    lines += not text.endswith(b"\n")
    last = text.rstrip(b"\n").split(b"\n")[-1][-60:].decode(errors="replace")
    raise ValueError(
        f"{path}, line {lines}: {last!r}: it is not the line with the hash: the file is truncated, or was edited"
    )


def read(path: str | os.PathLike[str], layout: str | None = None, *, claim: Claim | None = None) -> VectorFile:
    """Open a file of vectors and check all its contents.

    Parameters
    ----------
    path : path-like
    layout : {"testfloat", "readmemh", "csv", "jsonl", "npz"}, optional
        Default: the layout of the file's suffix.
    claim : Claim, optional
        The claim that the vectors belong to; needed for TestFloat's lines without a companion file.

    Returns
    -------
    VectorFile
        Iterable any number of times, in batches of bounded size.

    Raises
    ------
    ValueError
        If the layout is unknown, or the file is truncated, edited, or mixed up with another file's companion; the
        message names the line.
    FileNotFoundError
        If the file is missing, or if both its companion and `claim` are.

    Examples
    --------
    >>> import tempfile
    >>> from fpemu import vectors
    >>> from fpemu.verification.claims import Claim
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = vectors.write(f"{folder}/add.csv", vectors.generate(Claim.of("add", "float4_e2m1fn")))
    ...     text = path.read_text().replace("0x1,0x1,0x2,0x00", "0x1,0x1,0x3,0x00")
    ...     _ = path.write_text(text)
    ...     try:
    ...         vectors.read(path)
    ...     except ValueError as error:
    ...         print(str(error).partition(", ")[2] or error)
    line 53: result is 0x3, but was written as 0x2: the file was edited
    """
    target = file_path(path)
    with reading(target) if layout is None else contextlib.nullcontext():
        name = find_layout(layout, target.suffix.lower())
    with reading(target, READABLE):
        file = _open(target, name, claim)
        file.check()
    return file


def _open(target: Path, layout: str, claim: Claim | None) -> VectorFile:
    """Open the file and read its header, without checking its vectors."""
    check_file(target)
    if layout == "testfloat" and not companion_path(target).is_file():
        if claim is None:
            raise FileNotFoundError(
                errno.ENOENT,
                "no such companion file; specify the claim: read(path, claim=...)",
                str(companion_path(target)),
            )
        return VectorFile(target, layout, {}, claim, _lines_have_flags(target, claim))
    header = _read_header(target, layout)
    if header.get("layout") != layout:
        raise ValueError(f"{target}: its header is of the layout {header.get('layout')!r}, not {layout!r}")
    try:
        described = claim_of(header)
    except Exception as error:  # a hostile description of a format may raise anything
        raise ValueError(f"{target}: its header does not describe a claim: {error}") from None
    if claim is not None and claim != described:
        raise ValueError(f"{target}: its header describes {described}, not {claim}")
    if "sha256" not in header:
        raise ValueError(f"{target}: its header has no 'sha256'")
    return VectorFile(target, layout, header, described, header.get("flags") == "yes")


def _lines_have_flags(path: Path, claim: Claim) -> bool:
    """Whether the first line has one word more than the operands and the result."""
    with path.open("rb") as stream:
        return len(stream.readline(1 << 12).split()) > claim.arity + 1
