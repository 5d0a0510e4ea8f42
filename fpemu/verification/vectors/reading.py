"""Vectors from files, in constant memory; what is truncated, edited or mixed up is refused."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterable, Iterator
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
    columns_of,
    companion_path,
    ending_of,
    fields_of,
    find_layout,
    record_dtype,
)

__all__ = ["VectorFile", "read"]

AT_ONCE = 1 << 16  # lines
LONGEST_HEADER = 200  # lines
LONGEST_LINE = 1 << 16  # bytes, of a header
LONGEST_MAP = 1 << 20  # bytes, of a header in JSON
READABLE = "not a readable file of vectors"


class VectorFile:
    """Vectors in a file, read anew each time that they are gone through.

    Made by `read`, which has checked all of it.

    Parameters
    ----------
    path : Path
    layout : str
    header : dict of str to str
        Empty where the file has none.
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
        How many vectors there are.
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
                flags = columns[arity + 1] if self.has_flags else None
                yield Batch(tuple(columns[:arity]), columns[arity], flags)

    def check(self) -> None:
        """Go through everything once: the number of vectors and the hash."""
        hashed, count = Hash(), 0
        for _, columns in self._lines():
            hashed.add(columns)
            count += columns[0].size
        self.count = count
        if self.header and hashed.of(self.header) != self.header["sha256"]:
            raise ValueError(f"{self.path}{self._edited()}")

    def _edited(self) -> str:
        """What is known of an edit that the hash shows, and where it is."""
        arity = self.claim.arity
        again = self._again()
        for first, columns in self._lines():
            wanted = next(again, None) if again is not None else self.claim.batch(*columns[:arity])
            if wanted is None:
                continue
            for place, (found, right) in enumerate(zip(columns, columns_of(wanted), strict=False)):
                rows = np.flatnonzero(found != right[: found.size]) if right.size >= found.size else np.zeros(0, int)
                if rows.size:
                    name = fields_of(self.claim, self.has_flags)[place].name
                    what, wrong = f"{int(right[rows[0]]):#x}", f"{int(found[rows[0]]):#x}"
                    line = self._line_of(first, int(rows[0]))
                    return f", {line}: {name} is {wrong}, but was written as {what}: the file was edited"
        return ": the hash does not fit: the header was edited, or is another file's"

    def _again(self) -> Iterator[Batch] | None:
        """The vectors made anew, where the header says how, in batches of this file's.

        None where that gives another number of vectors: no more are made than the file has.
        """
        try:
            limit, per_cell, random, seed = (
                number_of(self.header, name) for name in ("limit", "per cell", "random", "seed")
            )
        except ValueError:
            return None
        made = Vectors(self.claim, limit, per_cell, random, seed, most=self.count)
        if max(limit, per_cell, random, seed) >= 1 << 64 or made.count != self.count:
            return None
        return _rebatched(made, AT_ONCE)

    def _line_of(self, first: int, row: int) -> str:
        return f"vector {first + row}" if self.layout == "npz" else f"line {self._first_line + self._word(first + row)}"

    def _word(self, place: int) -> int:
        return place // self._line.in_word if self.layout == "readmemh" else place

    # -- reading ------------------------------------------------------------------------------------------------------

    def _lines(self) -> Iterator[tuple[int, Columns]]:
        """The number of the first vector of each batch, and its columns."""
        if self.layout == "npz":
            return self._records()
        if not self.header:
            return self._foreign()
        return self._text()

    @property
    def _line(self) -> Any:
        fields = fields_of(self.claim, self.has_flags)
        made = LAYOUTS[self.layout].line
        if self.layout != "readmemh":
            return made(fields)
        bits = number_of(self.header, "word bits")
        if bits > 4 * self.path.stat().st_size:
            raise ValueError(f"{self.path}: the header's 'word bits' is {bits}: no such word is in the file")
        return made(fields, bits)

    @property
    def _first_line(self) -> int:
        """The number of the first line after the header."""
        return (
            1
            if self.layout == "testfloat"
            else 2
            if self.layout == "jsonl"
            else len(_head(self.path, self.layout)[1]) + 1
        )

    def _text(self) -> Iterator[tuple[int, Columns]]:
        line, count = self._line, number_of(self.header, "vectors")
        in_word = line.in_word if self.layout == "readmemh" else 1
        lines, number = -(-count // in_word), self._first_line
        at_once = max(1, AT_ONCE // in_word)
        with self.path.open("rb") as stream:
            for _ in range(number - 1):
                stream.readline()
            for start in range(0, lines, at_once):
                wanted = min(at_once, lines - start)
                text = stream.read(wanted * line.length)
                whole = len(text) // line.length
                table = np.frombuffer(text, np.uint8, whole * line.length).reshape(whole, line.length)
                columns, right, problem = line.read(table)
                if right < whole:
                    shown = text[right * line.length :].split(b"\n")[0][:60].decode(errors="replace")
                    raise ValueError(f"{self.path}, line {number + start + right}: {shown!r}: {problem}")
                if whole < wanted:
                    place, done = number + start + whole, (start + whole) * in_word
                    raise ValueError(f"{self.path}, line {place}: the file ends, after {done:,} of {count:,} vectors")
                yield start * in_word, [part[: count - start * in_word] for part in columns]
            rest = stream.read(1000)
        ending = ending_of(self.layout, self.header["sha256"]).encode()
        if rest != ending:
            shown = rest[:60].decode(errors="replace")
            what = f"{shown!r} follows" if rest else "the end is missing"
            raise ValueError(
                f"{self.path}, line {number + lines}: {what}, after all {count:,} vectors that the header tells of"
            )

    def _foreign(self) -> Iterator[tuple[int, Columns]]:
        """TestFloat's lines without a companion: any blanks, small letters too."""
        line, number = self._line, 1
        first = 0
        with self.path.open("rb") as stream:
            for text in line_blocks(stream, AT_ONCE * line.length, LONGEST_LINE):
                words = [each.split() for each in text.splitlines()]
                plain = b"".join(b" ".join(each) + b"\n" for each in words)
                lengths = {len(b" ".join(each)) + 1 for each in words}
                if lengths != {line.length}:
                    wrong = next(k for k, each in enumerate(words) if len(b" ".join(each)) + 1 != line.length)
                    raise ValueError(
                        f"{self.path}, line {number + wrong}: {_text_of(words[wrong])!r}: it is not written so"
                    )
                table = np.frombuffer(plain, np.uint8).reshape(-1, line.length)
                columns, right, problem = line.read(table)
                if right < len(table):
                    raise ValueError(f"{self.path}, line {number + right}: {_text_of(words[right])!r}: {problem}")
                yield first, columns
                number += len(words)
                first += len(words)

    def _records(self) -> Iterator[tuple[int, Columns]]:
        fields = fields_of(self.claim, self.has_flags)
        kind, count = record_dtype(fields), number_of(self.header, "vectors")
        with archives.open_archive(self.path) as archive, archive.open("vectors.npy") as member:
            shape, _, found = archives.read_header(member)
            if found != kind or shape != (count,):
                raise ValueError(f"{self.path}: it holds {shape} of {found}, but its header tells of {count} of {kind}")
            for start in range(0, count, AT_ONCE):
                size = min(AT_ONCE, count - start)
                raw = member.read(size * kind.itemsize)
                if len(raw) < size * kind.itemsize:
                    raise ValueError(f"{self.path}: the file ends, before {count:,} vectors")
                rows = np.frombuffer(raw, kind)
                columns = [rows[name].astype(rows[name].dtype.newbyteorder("=")) for name in kind.names or ()]
                for field, column in zip(fields, columns, strict=True):
                    if field.codes < 1 << (8 * column.itemsize) and (column >= field.codes).any():
                        where = int(np.argmax(column >= field.codes))
                        wrong = f"{field.name} is {int(column[where]):#x}, but its codes are below {field.codes:#x}"
                        raise ValueError(f"{self.path}, vector {start + where}: {wrong}")
                yield start, columns


def _text_of(words: list[bytes]) -> str:
    return b" ".join(words)[:60].decode(errors="replace")


def _rebatched(vectors: Iterable[Batch], size: int) -> Iterator[Batch]:
    """Batches of one size, but for the last."""
    rest: Columns = []
    last: Batch | None = None
    for batch in vectors:
        last = batch
        columns = columns_of(batch)
        rest = columns if not rest else [np.concatenate(pair) for pair in zip(rest, columns, strict=True)]
        while rest[0].size >= size:
            yield _batch([part[:size] for part in rest], batch)
            rest = [part[size:] for part in rest]
    if last is not None and rest[0].size:
        yield _batch(rest, last)


def _batch(columns: Columns, like: Batch) -> Batch:
    arity = len(like.operands)
    return Batch(tuple(columns[:arity]), columns[arity], None if like.flags is None else columns[arity + 1])


def _head(path: Path, layout: str) -> tuple[dict[str, str], list[str]]:
    """The header's words, without the hash at the end of the file, and its lines."""
    mark = LAYOUTS[layout].comment
    assert mark is not None
    lines: list[str] = []
    with path.open("rb") as stream:
        while len(lines) < LONGEST_HEADER:
            text = stream.readline(LONGEST_LINE).decode(errors="replace")
            if not text.startswith(mark.strip() or "\0") or text.startswith(f"{mark}sha256: "):
                if layout == "csv":
                    lines.append(text.rstrip("\n"))
                break
            lines.append(text.rstrip("\n"))
    words: dict[str, str] = {}
    for number, line in enumerate(lines[: len(lines) - (layout == "csv")], 1):
        key, found, value = line[len(mark.strip()) :].partition(":")
        if not found:
            raise ValueError(f"{path}, line {number}: {line[:60]!r} is no line of a header: it has no colon")
        words[key.strip()] = value.strip()
    return words, lines


def _header(path: Path, layout: str) -> dict[str, str]:
    """The words of a file's header, with the hash."""
    budget = Budget.of(path)
    if layout == "npz":
        with reading(path, "no npz file of vectors"), archives.open_archive(path) as archive:
            members = archives.entries(archive, budget.size)
            text = str(archives.member_array(archive, members["header.npy"], budget)[()])
            return _words(path, budget.json(text.encode(), "its header"))
    if layout == "testfloat":
        beside = companion_path(path)
        with reading(beside, "no companion of a file of vectors"):
            return _words(beside, budget.json(_short(beside), "its header")["header"])
    if layout == "jsonl":
        with path.open("rb") as stream:
            line = stream.readline(LONGEST_MAP)
        try:
            words = _words(path, budget.json(line, "its header")["header"])
        except (ValueError, KeyError, TypeError):
            raise ValueError(f"{path}, line 1: there is no header") from None
    else:
        words, _ = _head(path, layout)
        if not words:
            raise ValueError(f"{path}, line 1: there is no header")
    return {**words, "sha256": _last_hash(path, layout)}


def _short(path: Path) -> bytes:
    """A file that must be short."""
    with path.open("rb") as stream:
        text = stream.read(LONGEST_MAP + 1)
    if len(text) > LONGEST_MAP:
        raise ValueError(f"{path}: it has more than {LONGEST_MAP:,} bytes")
    return text


def _words(path: Path, found: Any) -> dict[str, str]:
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise ValueError(f"{path}: its header is not made of texts")
    return found


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
    """Vectors from a file, all of it checked.

    Parameters
    ----------
    path : path-like
    layout : {"testfloat", "readmemh", "csv", "jsonl", "npz"}, optional
        Default what the name's ending means.
    claim : Claim, optional
        What TestFloat's lines without a companion are the answers of.

    Returns
    -------
    VectorFile
        Gone through as often as one likes, in batches of bounded size.

    Raises
    ------
    ValueError
        If the layout is unknown, or the file is truncated, was edited, or is mixed up with another's companion; the
        message says the line.
    FileNotFoundError
        If there is no such file, or no companion and no claim.

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
        how = find_layout(layout, target.suffix.lower())
    with reading(target, READABLE):
        found = _opened(target, how, claim)
        found.check()
    return found


def _opened(target: Path, how: str, claim: Claim | None) -> VectorFile:
    """The file with its header, not yet gone through."""
    check_file(target)
    if how == "testfloat" and not companion_path(target).is_file():
        if claim is None:
            raise FileNotFoundError(
                errno.ENOENT,
                "no such companion; say what the vectors are: read(path, claim=...)",
                str(companion_path(target)),
            )
        return VectorFile(target, how, {}, claim, _foreign_flags(target, claim))
    header = _header(target, how)
    if header.get("layout") != how:
        raise ValueError(f"{target}: its header is of the layout {header.get('layout')!r}, not {how!r}")
    try:
        told = claim_of(header)
    except Exception as error:  # whatever a hostile description of formats raises
        raise ValueError(f"{target}: its header tells of no claim: {error}") from None
    if claim is not None and claim != told:
        raise ValueError(f"{target}: its header tells of {told}, not of {claim}")
    if "sha256" not in header:
        raise ValueError(f"{target}: its header has no 'sha256'")
    return VectorFile(target, how, header, told, header.get("flags") == "yes")


def _foreign_flags(path: Path, claim: Claim) -> bool:
    """Whether lines have flags: one word more than operands and result."""
    with path.open("rb") as stream:
        return len(stream.readline(1 << 12).split()) > claim.arity + 1
