"""Writing of vectors, to streams and to files: whole or not at all."""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO

import numpy as np

from fpemu.files import archives
from fpemu.files.atomic import replacing_together
from fpemu.files.boundary import file_path
from fpemu.verification.claims import Batch, Claim
from fpemu.verification.vectors.generation import BATCH, Vectors
from fpemu.verification.vectors.headers import LAYOUT_FIELDS, Hash, header_of
from fpemu.verification.vectors.layouts import (
    LAYOUTS,
    Columns,
    Field,
    columns_of,
    companion_path,
    ending_of,
    fields_of,
    find_layout,
    record_dtype,
    resized,
)
from fpemu.verification.vectors.reading import VectorFile

__all__ = ["write", "write_lines"]

Advance = Callable[[int], object]  # reports progress; takes the number of vectors or items since the last call


def write(
    path: str | os.PathLike[str],
    vectors: Iterable[Batch],
    layout: str | None = None,
    *,
    claim: Claim | None = None,
    word_bits: int | None = None,
    progress: Advance | None = None,
) -> Path:
    """Write vectors to a file, whole or not at all.

    Parameters
    ----------
    path : path-like
    vectors : Vectors, VectorFile or iterable of Batch
        The result of `generate` or `read`; other batches need a `claim`.
    layout : {"testfloat", "readmemh", "csv", "jsonl", "npz"}, optional
        Default: the layout of the file's suffix: .tv or .txt, .hex or .mem, .csv, .jsonl, .npz.
    claim : Claim, optional
        The claim that the batches belong to.
    word_bits : int, optional
        The width of ``$readmemh``'s words, a multiple of 4; default: the width of a vector, rounded up to whole digits.
        A word contains as many vectors as fit, the first in the lowest bits.
    progress : callable, optional
        Called with the number of vectors in each batch, after it is written.

    Returns
    -------
    Path
        The file.  The layout testfloat has a companion file too, with .json added to the file's name.

    Raises
    ------
    TypeError
        If there is no claim.
    ValueError
        If the layout is unknown, or the words are too narrow.
    OSError
        If the file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> from fpemu import vectors
    >>> from fpemu.verification.claims import Claim
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = vectors.write(f"{folder}/sqrt.tv", vectors.generate(Claim.of("sqrt", "float8_e5m2")))
    ...     print(path.read_text().splitlines()[64], vectors.read(path).count)
    40 3E 01 256
    """
    target = file_path(path)
    name = find_layout(layout, target.suffix.lower())
    if word_bits is not None and name != "readmemh":
        raise ValueError(f"word_bits is for the layout readmemh, not for {name}")
    files = [target, companion_path(target)] if name == "testfloat" else [target]
    with replacing_together(*files) as streams:
        words = (
            _write_records(streams[0], vectors, claim, progress)
            if name == "npz"
            else write_lines(streams[0], vectors, name, claim=claim, word_bits=word_bits, progress=progress)
        )
        for companion in streams[1:]:
            companion.write((json.dumps({"header": words}, indent=2) + "\n").encode())
    return target


def write_lines(
    stream: IO[bytes],
    vectors: Iterable[Batch],
    layout: str,
    *,
    claim: Claim | None = None,
    word_bits: int | None = None,
    progress: Advance | None = None,
) -> dict[str, str]:
    """Write vectors to a stream as text, with a header if the layout has one.

    Parameters
    ----------
    stream : binary file
    vectors : Vectors, VectorFile or iterable of Batch
    layout : {"testfloat", "readmemh", "csv", "jsonl"}
    claim : Claim, optional
    word_bits : int, optional
    progress : callable, optional

    Returns
    -------
    dict of str to str
        The header; it is not written in the layout testfloat.

    Raises
    ------
    TypeError
        If there is no claim.
    ValueError
        If the words are too narrow.
    """
    words, fields, batches = _prepared(vectors, claim)
    words["layout"] = layout
    line = LAYOUTS[layout].line(fields, word_bits) if layout == "readmemh" else LAYOUTS[layout].line(fields)
    if layout == "readmemh":
        words["word bits"] = str(line.word_bits)
    stream.write(_heading(layout, words, fields).encode())
    hashed = Hash()
    if layout == "readmemh" and line.in_word > 1:  # write whole words
        batches = resized(batches, -(-BATCH // line.in_word) * line.in_word)
    for columns in batches:
        hashed.add(columns)
        stream.write(line.text(columns))
        if progress is not None:
            progress(columns[0].size)
    words["sha256"] = hashed.of(words)
    stream.write(ending_of(layout, words["sha256"]).encode())
    return words


def _prepared(vectors: Iterable[Batch], claim: Claim | None) -> tuple[dict[str, str], list[Field], Iterator[Columns]]:
    """The header without the layout and the hash, the fields, and the columns of each batch."""
    claim = getattr(vectors, "claim", None) if claim is None else claim
    if claim is None:
        raise TypeError("specify the claim that the vectors belong to: write(path, batches, claim=...)")
    if isinstance(vectors, VectorFile):
        words = {key: value for key, value in vectors.header.items() if key not in LAYOUT_FIELDS}
        flags = vectors.has_flags
    else:
        if isinstance(vectors, Vectors):
            flags, count = claim.has_flags, vectors.count
        else:
            vectors = list(vectors)
            flags = bool(vectors) and vectors[0].flags is not None
            count = sum(batch.result.size for batch in vectors)
        words = header_of(claim, count, flags, vectors)
    return words, fields_of(claim, flags), map(columns_of, vectors)


def _heading(layout: str, words: dict[str, str], fields: list[Field]) -> str:
    mark = LAYOUTS[layout].comment
    if mark is None:
        return ""
    if layout == "jsonl":
        return json.dumps({"header": words}) + "\n"
    lines = [f"{mark}{key}: {value}\n" for key, value in words.items()]
    if layout == "csv":
        lines.append(",".join(field.name.replace(" ", "_") for field in fields) + "\n")
    return "".join(lines)


def _write_records(
    stream: IO[bytes], vectors: Iterable[Batch], claim: Claim | None, progress: Advance | None
) -> dict[str, str]:
    words, fields, batches = _prepared(vectors, claim)
    words["layout"] = "npz"
    kind = record_dtype(fields)
    hashed = Hash()
    with archives.writing_archive(stream) as archive:
        with archive.open(zipfile.ZipInfo("vectors.npy"), "w", force_zip64=True) as member:
            about = {"descr": np.lib.format.dtype_to_descr(kind), "fortran_order": False}
            np.lib.format.write_array_header_1_0(member, {**about, "shape": (int(words["vectors"]),)})
            for columns in batches:
                hashed.add(columns)
                rows = np.empty(columns[0].size, kind)
                for name, column in zip(kind.names or (), columns, strict=True):
                    rows[name] = column
                member.write(rows.tobytes())
                if progress is not None:
                    progress(rows.size)
        words["sha256"] = hashed.of(words)
        with archive.open(zipfile.ZipInfo("header.npy"), "w") as member:
            text = io.BytesIO()
            np.lib.format.write_array(text, np.array(json.dumps(words)))
            member.write(text.getvalue())
    return words
