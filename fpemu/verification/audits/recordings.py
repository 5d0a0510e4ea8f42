"""Recordings of a device's results, made by the script of `fpemu probe`: checked, and ready for an audit."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fpemu.files import archives
from fpemu.files.boundary import Budget, check_regular, file_path, line, reading
from fpemu.formats import Format
from fpemu.verification.audits.probe_template import HASH_MEMBER, HEAD_MEMBER, RECORDING_KIND
from fpemu.verification.audits.subjects import Recorded
from fpemu.verification.claims import Batch, Claim, Operands

__all__ = ["Recordings", "is_recording", "recordings"]

RECORDING_SUFFIX = ".probe"
MAX_MEMORY = 1 << 29  # bytes for a recording in memory; a complete one takes a tenth


class Recordings(Mapping[str, Recorded]):
    """A device's recorded answers, by item ("float32 to float16", "add of bfloat16").

    Made by `recordings`, which checks the file.

    Parameters
    ----------
    path : Path
    about : dict
        The file's description of itself.
    items : dict of str to Recorded

    Attributes
    ----------
    path : Path
    machine : dict
        The device, the versions of torch and its libraries, the platform, the date, torch's settings.
    calls : dict of str to str
        Torch's calls by item: "torch.addcmul(z, x, y)".
    absent : dict of str to str
        The items that torch or the device lacks, and the reasons.
    about : dict
        The file's description of itself, without the items.

    Examples
    --------
    From a file that the script of `fpemu.verification.probe` made on a machine with a GPU::

        found = fpemu.verification.recordings("recording.probe")
        print(fe.audit(found["float32 to float8_e4m3fn"]))
    """

    def __init__(self, path: Path, about: dict[str, Any], items: dict[str, Recorded]) -> None:
        self.path, self.machine, self._items = path, dict(about["machine"]), items
        self.calls = {each["name"]: each["call"] for each in (*about["items"], *about["absent"])}
        self.absent = {each["name"]: each["why"] for each in about["absent"]}
        self.about = {key: value for key, value in about.items() if key not in ("items", "absent")}

    def __getitem__(self, name: str) -> Recorded:
        return self._items[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __str__(self) -> str:
        """The machine in one line."""
        machine = self.machine
        capability = f", {machine['capability']}" if machine.get("capability") else ""
        words = [f"{machine['device name']} ({machine['device']}{capability})", f"torch {machine['torch']}"]
        names = {"cuda": "CUDA", "hip": "HIP", "driver": "driver"}
        words += [f"{name} {machine[key]}" for key, name in names.items() if machine.get(key)]
        return line(", ".join([*words, str(machine["date"])]))

    def __repr__(self) -> str:
        return f"<{len(self)} recordings in {self.path}: {self}>"


def is_recording(path: str | os.PathLike[str]) -> bool:
    """Whether a file is a recording, possibly truncated, rather than vectors: by its first bytes or its name."""
    check_regular(path)
    with open(path, "rb") as stream:
        head = stream.read(30 + len(HEAD_MEMBER))
    return head[30:] == HEAD_MEMBER.encode() or Path(path).suffix == RECORDING_SUFFIX


def recordings(path: str | os.PathLike[str]) -> Recordings:
    """Read a device's recorded answers.

    Parameters
    ----------
    path : path-like
        The file made by the script of `fpemu.verification.probe`.

    Returns
    -------
    Recordings
        A mapping of names to recorded answers for `fpemu.audit`.

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If it is not a recording, or was truncated, edited or assembled from others.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from fpemu.verification.audits import recordings
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "recording.probe")
    ...     _ = path.write_bytes(b"nothing")
    ...     try:
    ...         recordings(path)
    ...     except ValueError as error:
    ...         print(str(error).removeprefix(f"{folder}/"))
    recording.probe: not a recording, or a truncated one: File is not a zip file
    """
    target = file_path(path)
    with reading(target, "not a recording, or a truncated one"):
        budget = Budget.of(target, max_bytes=MAX_MEMORY)
        members = _read_members(target, budget)
    with reading(target, "not a recording"):
        return _check_members(target, members, budget)


def _read_members(path: Path, budget: Budget) -> dict[str, bytes]:
    with archives.open_archive(path) as archive:
        entries = archives.entries(archive, budget.size)
        budget.take(sum(entry.file_size for entry in entries.values()), "its members")
        return {name: archive.read(entry) for name, entry in entries.items()}


def _check_members(target: Path, members: dict[str, bytes], budget: Budget) -> Recordings:
    """Check all members and make recordings of them."""
    for missing in {HEAD_MEMBER, HASH_MEMBER} - set(members):
        raise ValueError(f"{target}: not a recording: it has no {missing}")
    if hashlib.sha256(members[HEAD_MEMBER]).hexdigest().encode() != members[HASH_MEMBER]:
        raise ValueError(f"{target}: {HEAD_MEMBER} does not fit its hash: the file was edited")
    for name, raw in members.items():
        if name not in (HEAD_MEMBER, HASH_MEMBER) and hashlib.sha256(raw).hexdigest() != name:
            raise ValueError(f"{target}: the contents of {name[:12]!r}... do not match their hash: the file was edited")
    about = budget.json(members[HEAD_MEMBER], HEAD_MEMBER)
    kind = about.get("kind")
    if kind != RECORDING_KIND:
        raise ValueError(f"{target}: its kind is {kind!r}, not {RECORDING_KIND!r}: it is of another version")
    _check_texts(about)
    items, used = {}, {HEAD_MEMBER, HASH_MEMBER}
    for each in about["items"]:
        claim = Claim.from_description(each["claim"])
        batches = [_read_batch(batch, claim, members, used, budget) for batch in each["batches"]]
        items[str(each["name"])] = Recorded(each["name"], batches, claim)
    checked = Recordings(target, about, items)
    if set(members) != used:
        raise ValueError(f"{target}: it has {len(set(members) - used)} undescribed members: it was edited")
    return checked


def _check_texts(about: dict[str, Any]) -> None:
    """Raise a ValueError unless the descriptions of the device and the items are complete."""
    sections: list[tuple[str, Any, tuple[str, ...]]] = [
        ("its machine", about["machine"], ("device name", "device", "torch", "date")),
        ("it", about, ("fpemu",)),
    ]
    sections += [(f"item {number}", each, ("name", "call")) for number, each in enumerate(about["items"], 1)]
    absent = enumerate(about["absent"], 1)
    sections += [(f"absent item {number}", each, ("name", "call", "why")) for number, each in absent]
    for title, section, keys in sections:
        for key in keys:
            if not isinstance(section, dict) or not isinstance(section.get(key), str):
                raise ValueError(f"{title} has no text {key!r}")
    names = [each["name"] for each in (*about["items"], *about["absent"])]
    if len(set(names)) < len(names):
        raise ValueError("two of its items have the same name")


def _read_batch(
    batch: dict[str, Any], claim: Claim, members: dict[str, bytes], used: set[str], budget: Budget
) -> Batch:
    """Operands and results as codes; a ValueError or KeyError if they do not fit together."""

    def codes_of(name: str, fmt: Format) -> NDArray[Any]:
        used.add(name)
        kind = np.dtype(fmt.code_dtype)
        budget.take(len(members[name]), "its codes")
        codes = np.frombuffer(members[name], kind.newbyteorder("<")).astype(kind)
        if fmt.bits < 8 * kind.itemsize and codes.size and int(codes.max()) >= fmt.code_count:
            raise ValueError(f"there are codes beyond those of {fmt}")
        return codes

    assert claim.result is not None
    result = codes_of(batch["result"], claim.result)
    if "rule" in batch:
        operands: Operands = (_codes_by_rule(batch["rule"], claim.operands[0], budget),)
    else:
        operands = tuple(codes_of(name, fmt) for name, fmt in zip(batch["operands"], claim.operands, strict=True))
    if any(codes.size != result.size for codes in operands) or len(operands) != claim.arity:
        raise ValueError(f"{claim}: the numbers of operands and results differ")
    return Batch(operands, result, None)


def _codes_by_rule(rule: dict[str, Any], fmt: Format, budget: Budget) -> NDArray[Any]:
    """The codes that a rule describes, as from `fpemu.verification.audits.probe_template.codes_by_rule`."""
    count, shift, added = rule["count"], rule["shift"], rule["add"]
    if not (0 < count <= 1 << 16 and 0 <= shift <= 48 and 0 < len(added) <= 64):
        raise ValueError(f"no rule of inputs: {rule}")
    budget.take(count * len(added) * 8, "its operands")
    numbers = np.arange(count, dtype=np.uint64) << np.uint64(shift)
    return np.concatenate([numbers + np.uint64(each) for each in added]).astype(fmt.code_dtype)
