"""One small .npz for each library: codes as differences (which pack well), and in "about" where they come from."""

from __future__ import annotations

import json
import pathlib
import platform
import sys
from typing import Any

import numpy as np

import fpemu as fe
from tests.peers import PEERS, Peer
from tests.witness.sources import Array, digest, source

FOLDER = pathlib.Path(__file__).parent
COMMAND = "python -m tests.witness record"


def file_of(library: str) -> pathlib.Path:
    """Where a library's answers lie."""
    return FOLDER / f"{library.lower().replace(' ', '_')}.npz"


def libraries() -> dict[str, dict[str, Peer]]:
    """The recorded peers by library."""
    found: dict[str, dict[str, Peer]] = {}
    for name, peer in PEERS.items():
        if peer.recorded:
            found.setdefault(peer.library, {})[name] = peer
    return found


def live_answers(peers: dict[str, Peer]) -> tuple[dict[str, Array], dict[str, str]]:
    """What a library's peers answer now, by "peer|format|source", and the digest of each source."""
    answers, digests = {}, {}
    for name, peer in peers.items():
        for fmt in peer.formats:
            for kind in peer.sources:
                x = source(kind, fmt)
                answers[f"{name}|{fmt}|{kind}"] = peer.encode(x, fmt)
                digests[f"{fmt}|{kind}"] = digest(x)
            if peer.decode_into is not None and isinstance(fe.dtype(fmt), fe.FloatFormat):
                codes = np.arange(fe.dtype(fmt).code_count).astype(fe.dtype(fmt).code_dtype)
                answers[f"{name}|{fmt}|values"] = peer.decode(codes, fmt).view(np.uint32)
    return answers, digests


def save(library: str, peers: dict[str, Peer], day: str) -> pathlib.Path:
    """Ask a library and write its file."""
    answers, digests = live_answers(peers)
    about = {
        "library": library,
        "version": next(iter(peers.values())).version(),
        "command": f"{COMMAND} {library!r}" if " " in library else f"{COMMAND} {library}",
        "date": day,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "machine": f"{sys.platform} {platform.machine()}",
        "sources": digests,
    }
    stored = {key: np.diff(codes, prepend=codes.dtype.type(0)) for key, codes in answers.items()}
    np.savez_compressed(file_of(library), about=np.array(json.dumps(about)), **stored)  # type: ignore[arg-type]
    return file_of(library)


def load(library: str) -> tuple[dict[str, Array], dict[str, Any]]:
    """A library's recorded answers, and where they come from."""
    with np.load(file_of(library)) as file:
        stored = {key: file[key] for key in file.files}
    about = json.loads(str(stored.pop("about")))
    return {key: np.cumsum(codes, dtype=codes.dtype) for key, codes in stored.items()}, about
