"""Small .npz files: codes as differences (which pack well), and in "about" where they come from."""

from __future__ import annotations

import functools
import json
import pathlib
import platform
import re
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import fpemu as fe
from tests.peers.tools import PEERS, Peer
from tests.peers.witness.sources import Array, digest, source

FOLDER = pathlib.Path(__file__).parent
COMMAND = "python -m tests.peers.witness record"


class Record(NamedTuple):
    """A file of recorded answers, and how to ask for them anew."""

    library: str
    available: Callable[[], bool]
    version: Callable[[], str]
    answers: Callable[[], tuple[dict[str, Array], dict[str, Any]]]  # and what else "about" says: digests of sources
    joined: bool = False  # many small arrays, stored end to end


def file_of(name: str) -> pathlib.Path:
    """Where a record lies: its name is the library's, or says more."""
    return FOLDER / f"{name.lower().replace(' ', '_')}.npz"


def libraries() -> dict[str, dict[str, Peer]]:
    """The recorded peers' casts by library."""
    found: dict[str, dict[str, Peer]] = {}
    for name, peer in PEERS.items():
        if peer.recorded:
            found.setdefault(peer.library, {})[name] = peer
    return found


def live_answers(peers: dict[str, Peer]) -> tuple[dict[str, Array], dict[str, Any]]:
    """What a library's peers answer now, by "peer|format|source", and the digest of each source."""
    answers, digests, places = {}, {}, {}
    for name, peer in peers.items():
        for mask in peer.masks:
            assert peer.shown(mask) <= {*mask.example[-1]}, f"{name} does otherwise: {mask.example_text()}"
        for fmt in peer.formats:
            places |= {f"{name}|{fmt}|{kind}": list(counts) for kind, counts in peer.of_places(fmt).items()}
            for kind in peer.sources:
                x = source(kind, fmt)
                answers[f"{name}|{fmt}|{kind}"] = peer.encode(x, fmt)
                digests[f"{fmt}|{kind}"] = digest(x)
            if peer.decode_into is not None and isinstance(fe.dtype(fmt), fe.FloatFormat) and fe.dtype(fmt).bits <= 16:
                codes = np.arange(fe.dtype(fmt).code_count).astype(fe.dtype(fmt).code_dtype)
                answers[f"{name}|{fmt}|values"] = peer.decode(codes, fmt).view(np.uint32)
    return answers, {"sources": digests, **({"places": places} if places else {})}


def records() -> dict[str, Record]:
    """The casts that are recorded, by the name of their file."""
    found = {}
    for library, peers in libraries().items():
        one = next(iter(peers.values()))
        found[library] = Record(library, one.available, one.version, functools.partial(live_answers, peers))
    return found


def cpu() -> str:
    """The CPU's maker, model and family, and the widest vectors it has, as Linux tells them."""
    path = pathlib.Path("/proc/cpuinfo")
    told = dict(re.findall(r"^([\w ]+?)\s*: (.*)$", path.read_text(), re.MULTILINE)) if path.exists() else {}
    widest = next((word for word in ("avx512f", "avx2", "avx") if word in told.get("flags", "").split()), "")
    words = [told.get("model name", "?"), *(f"{word} {told[word]}" for word in ("cpu family", "model") if word in told)]
    return ", ".join([*words, *([widest] if widest else [])])


def save(name: str, record: Record, day: str) -> pathlib.Path:
    """Ask a library and write its file."""
    answers, more = record.answers()
    about = {
        "library": record.library,
        "version": record.version(),
        "command": f"{COMMAND} {name!r}" if " " in name else f"{COMMAND} {name}",
        "date": day,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "machine": f"{sys.platform} {platform.machine()}",
        "cpu": cpu(),
        **more,
    }
    if record.joined:
        about["joined"] = {key: [codes.dtype.str, codes.size] for key, codes in answers.items()}
        stored = {kind: np.concatenate([c for c in answers.values() if c.dtype.str == kind])
                  for kind in dict.fromkeys(codes.dtype.str for codes in answers.values())}  # fmt: skip
    else:
        stored = {key: np.diff(codes, prepend=codes.dtype.type(0)) for key, codes in answers.items()}
    np.savez_compressed(file_of(name), about=np.array(json.dumps(about)), **stored)  # type: ignore[arg-type]
    return file_of(name)


def load(name: str) -> tuple[dict[str, Array], dict[str, Any]]:
    """A record's answers, and where they come from."""
    with np.load(file_of(name)) as file:
        stored = {key: file[key] for key in file.files}
    about = json.loads(str(stored.pop("about")))
    if "joined" not in about:
        return {key: np.cumsum(codes, dtype=codes.dtype) for key, codes in stored.items()}, about
    found, read = {}, dict.fromkeys(stored, 0)
    for key, (kind, size) in about["joined"].items():
        found[key] = stored[kind][read[kind] : read[kind] + size]
        read[kind] += size
    return found, about
