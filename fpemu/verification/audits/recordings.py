"""Recordings: what `fpemu probe`'s script brought from a machine with a device, checked and ready to be audited."""

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
from fpemu.verification.audits.probe_template import HASH, HEAD, KIND
from fpemu.verification.audits.subjects import Recorded
from fpemu.verification.claims import Batch, Claim

__all__ = ["Recordings", "is_recording", "recordings"]

SUFFIX = ".probe"
LARGEST = 1 << 29  # bytes of memory that a recording may take: all that torch can be asked takes a tenth


class Recordings(Mapping[str, Recorded]):
    """What a device answered, by the names of what it was asked ("float32 to float16", "add of bfloat16").

    Made by `recordings`, which has checked all of it.

    Parameters
    ----------
    path : Path
    about : dict
        What the file says of itself.
    items : dict of str to Recorded

    Attributes
    ----------
    path : Path
    machine : dict
        The device, the versions of torch and of what is beneath it, the platform, the date, torch's settings.
    calls : dict of str to str
        How torch was asked, by name: "torch.addcmul(z, x, y)".
    absent : dict of str to str
        What torch or the device could not answer, and why.
    about : dict
        All that the file says of itself, but for the items.

    Examples
    --------
    Made on a machine with a GPU by what `fpemu.verification.audits.probe` writes::

        found = fpemu.verification.audits.recordings("recording.probe")
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
        """The machine in a line."""
        told = self.machine
        name = f"{told['device name']} ({told['device']}"
        name += f", {told['capability']})" if told.get("capability") else ")"
        words = [name, f"torch {told['torch']}"]
        names = {"cuda": "CUDA", "hip": "HIP", "driver": "driver"}
        words += [f"{name} {told[what]}" for what, name in names.items() if told.get(what)]
        return line(", ".join([*words, str(told["date"])]))

    def __repr__(self) -> str:
        return f"<{len(self)} recordings in {self.path}: {self}>"


def is_recording(path: str | os.PathLike[str]) -> bool:
    """Whether a file is a recording, whole or not, rather than one of vectors: by its beginning, or its name."""
    check_regular(path)
    with open(path, "rb") as stream:
        head = stream.read(30 + len(HEAD))
    return head[30:] == HEAD.encode() or Path(path).suffix == SUFFIX


def recordings(path: str | os.PathLike[str]) -> Recordings:
    """What was recorded on a machine with a device.

    Parameters
    ----------
    path : path-like
        What the script that `fpemu.verification.audits.probe` writes has made.

    Returns
    -------
    Recordings
        A mapping of names to what `fpemu.audit` takes.

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If it is no recording, or was truncated, edited or put together from others.

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
    recording.probe: no recording, or a truncated one: File is not a zip file
    """
    target = file_path(path)
    with reading(target, "no recording, or a truncated one"):
        budget = Budget.of(target, max_bytes=LARGEST)
        members = _members(target, budget)
    with reading(target, "no recording"):
        return _checked(target, members, budget)


def _members(path: Path, budget: Budget) -> dict[str, bytes]:
    with archives.open_archive(path) as archive:
        entries = archives.entries(archive, budget.size)
        budget.take(sum(entry.file_size for entry in entries.values()), "its members")
        return {name: archive.read(entry) for name, entry in entries.items()}


def _checked(target: Path, members: dict[str, bytes], budget: Budget) -> Recordings:
    """What the members tell, every one of them checked."""
    for missing in {HEAD, HASH} - set(members):
        raise ValueError(f"{target}: no recording: it has no {missing}")
    if hashlib.sha256(members[HEAD]).hexdigest().encode() != members[HASH]:
        raise ValueError(f"{target}: {HEAD} does not fit its hash: the file was edited")
    for name, raw in members.items():
        if name not in (HEAD, HASH) and hashlib.sha256(raw).hexdigest() != name:
            raise ValueError(f"{target}: what it has under {name[:12]!r}... is something else: the file was edited")
    about = budget.json(members[HEAD], HEAD)
    if about.get("kind") != KIND:
        raise ValueError(f"{target}: its kind is {about.get('kind')!r}, not {KIND!r}: it is of another version")
    _check_texts(about)
    items, used = {}, {HEAD, HASH}
    for each in about["items"]:
        claim = Claim.from_description(each["claim"])
        batches = [_batch(batch, claim, members, used, budget) for batch in each["batches"]]
        items[str(each["name"])] = Recorded(each["name"], batches, claim)
    found = Recordings(target, about, items)
    if set(members) != used:
        raise ValueError(f"{target}: it has {len(set(members) - used)} more members than it tells of: it was edited")
    return found


def _check_texts(about: dict[str, Any]) -> None:
    """A ValueError where what is told of the device and of the items is not there, or no text."""
    parts = [("its machine", about["machine"], ("device name", "device", "torch", "date")), ("it", about, ("fpemu",))]
    parts += [(f"item {place}", each, ("name", "call")) for place, each in enumerate(about["items"], 1)]
    parts += [(f"absent item {place}", each, ("name", "call", "why")) for place, each in enumerate(about["absent"], 1)]
    for what, part, words in parts:
        for word in words:
            if not isinstance(part, dict) or not isinstance(part.get(word), str):
                raise ValueError(f"{what} has no text {word!r}")
    names = [each["name"] for each in (*about["items"], *about["absent"])]
    if len(set(names)) < len(names):
        raise ValueError("two of its items have the same name")


def _batch(batch: dict[str, Any], claim: Claim, members: dict[str, bytes], used: set[str], budget: Budget) -> Batch:
    """Operands and results as codes; a ValueError or KeyError where they do not fit together."""

    def of(name: str, fmt: Format) -> NDArray[Any]:
        used.add(name)
        kind = np.dtype(fmt.code_dtype)
        budget.take(len(members[name]), "its codes")
        codes = np.frombuffer(members[name], kind.newbyteorder("<")).astype(kind)
        if fmt.bits < 8 * kind.itemsize and codes.size and int(codes.max()) >= fmt.code_count:
            raise ValueError(f"there are codes beyond those of {fmt}")
        return codes

    assert claim.result is not None
    result = of(batch["result"], claim.result)
    if "rule" in batch:
        operands: tuple[NDArray[Any], ...] = (_by_rule(batch["rule"], claim.operands[0], budget),)
    else:
        operands = tuple(of(name, fmt) for name, fmt in zip(batch["operands"], claim.operands, strict=True))
    if any(part.size != result.size for part in operands) or len(operands) != claim.arity:
        raise ValueError(f"{claim}: operands and results are not of one number")
    return Batch(operands, result, None)


def _by_rule(rule: dict[str, Any], fmt: Format, budget: Budget) -> NDArray[Any]:
    """Codes that follow from a rule, as `fpemu.verification.audits.probe_template.by_rule` has them."""
    count, shift, added = rule["count"], rule["shift"], rule["add"]
    if not (0 < count <= 1 << 16 and 0 <= shift <= 48 and 0 < len(added) <= 64):
        raise ValueError(f"no rule of inputs: {rule}")
    budget.take(count * len(added) * 8, "its operands")
    numbers = np.arange(count, dtype=np.uint64) << np.uint64(shift)
    return np.concatenate([numbers + np.uint64(each) for each in added]).astype(fmt.code_dtype)
