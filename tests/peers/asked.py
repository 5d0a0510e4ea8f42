"""What each profile was asked: `python -m tests.peers.asked` prints the two tables of docs/reference/profiles.md.

Both come from the tables of `tests.peers.tools` and `tests.peers.witness.sources`; a test holds the page to them.
"""

from __future__ import annotations

import fpemu as fe
from tests.peers.tools import PEERS, Peer
from tests.peers.witness.sources import KINDS


def profile_of(peer: Peer) -> fe.Profile | None:
    """The named profile that a peer is held to; None for rules of its own."""
    found = (peer.rules or {}).get("profile", "ieee" if peer.rules else None)
    return fe.profile(found) if isinstance(found, str) else None


def left_out(peer: Peer) -> list[str]:
    """What of a peer's answers is not compared, and why."""
    found = [f"{', '.join(m.formats)}: {m.what}: {m.why} ({m.example_text()})" for m in peer.masks]
    if peer.nan == "none":
        found.append("NaN: the tool refuses it")
    for formats, how in (((), peer.nan), (peer.nan_class, "class")):
        if how == "class" and (formats or peer.nan == "class"):
            found.append(f"{', '.join(formats) or 'all'}: the code of a NaN; both must be NaN")
    return list(dict.fromkeys(found))


def asked() -> list[tuple[str, str, str, str, str]]:
    """A row for each profile and way to ask: profile, whom, targets, sources, what is left out."""
    rows = []
    for name in fe.profile_names():
        found: dict[tuple[str, ...], list[str]] = {}
        for peer_name, peer in PEERS.items():
            if peer.rules is not None and (profile_of(peer) or fe.Profile()).name == name:
                rest = "; ".join(left_out(peer)) or "-"
                key = (peer.library, ", ".join(peer.formats), ", ".join(peer.sources), rest)
                found.setdefault(key, []).append(str(peer.rules.get("rounding") or ""))
                assert peer_name
        for (library, *cells), roundings in found.items():
            modes = ", ".join(dict.fromkeys(mode for mode in roundings if mode))
            rows.append((name, f"{library} ({modes})" if modes else library, *cells))
        if not found:
            rows.append((name, "no tool", "-", "-", "-"))
    return rows


def table(heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[str]:
    """A table in Markdown, line by line."""
    lines = [heads, tuple("---" for _ in heads), *rows]
    return ["| " + " | ".join(line) + " |" for line in lines]


def tables() -> list[str]:
    """The lines of both tables."""
    return [
        *table(("profile", "tool", "targets", "sources", "not compared, and why"), asked()),
        "",
        *table(("source", "numbers"), list(KINDS.items())),
    ]


if __name__ == "__main__":
    print("\n".join(tables()))
