"""`fpemu audit --recorded`: the audit of a device's recording, as a table, or of one item in detail."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import typer
from rich.text import Text

from fpemu.cli.output import console, print_json, print_table, progress, wrong_usage
from fpemu.files.boundary import line
from fpemu.formats import dtype
from fpemu.formats.lookup import near
from fpemu.verification import Claim
from fpemu.verification.audits import Audit, Recorded, Recordings, audit, recordings
from fpemu.verification.audits.probe_script import operation_of

__all__ = ["Selection", "audit_recording"]

_COLUMNS = ("item", "torch", "inputs", "differ", "ulp", "rules that it follows instead")
SHOWN_SHARE = 0.5  # the least share of the differences that a rule must explain to be shown


class Selection(NamedTuple):
    """Items of a recording: one with a name, or all with an operation, a result format and a source format."""

    item: str | None
    operation: str | None
    format: str | None
    source: str | None

    def items(self, recording: Recordings) -> dict[str, Recorded]:
        """The selected items of a recording; it is wrong usage if there are none."""
        if self.item is not None:
            if self.item in recording.absent:
                raise typer.BadParameter(
                    f"{self.item}: not there: {recording.absent[self.item]}", param_hint="'--item'"
                )
            if self.item not in recording:
                raise typer.BadParameter(
                    f"there is no item {self.item!r}{near(self.item, list(recording))}; the table lists all names",
                    param_hint="'--item'",
                )
            return {self.item: recording[self.item]}
        with wrong_usage("OPERATION, '--format', '--from'"):
            operation = None if self.operation is None else operation_of(self.operation)
            result, source = (None if name is None else dtype(name).name for name in (self.format, self.source))
        chosen = {
            name: item
            for name, item in recording.items()
            if item.claim is not None
            and operation in (None, item.claim.operation)
            and result in (None, str(item.claim.result))
            and source in (None, item.claim.operands[0].name)
        }
        if not chosen and any((operation, result, source)):
            raise typer.BadParameter("no such item was recorded", param_hint="OPERATION, '--format', '--from'")
        return chosen


def audit_recording(path: Path, selection: Selection, rules: dict[str, Any], nan: str, json: bool) -> bool:
    """Print the audits of the selected items and return whether all passed.

    `rules` (rounding, profile, overflow) replace the rules of each result's format.
    """
    recording = recordings(path)
    chosen = selection.items(recording)
    claims = {name: _claim(name, item.claim, rules) for name, item in chosen.items()}
    audits: dict[str, Audit] = {}
    with progress(f"audit of {path}", len(chosen)) as advance:
        for name, item in chosen.items():
            audits[name] = audit(item, claims[name], nan=nan)
            advance(1)
    absent = recording.absent if len(chosen) == len(recording) else {}
    if json:
        items = [{"item": name, "call": recording.calls[name], **each.to_dict()} for name, each in audits.items()]
        missing = [{"item": name, "call": recording.calls[name], "why": why} for name, why in absent.items()]
        print_json({"recording": str(path), **recording.about, "items": items, "absent": missing})
    else:
        _print_audits(recording, audits, absent, rules)
    return bool(audits) and all(each.passed for each in audits.values())


def _claim(name: str, claim: Claim | None, rules: dict[str, Any]) -> Claim:
    """The claim for an item: its own, or the same operation under other rules."""
    assert claim is not None
    if not rules:
        return claim
    try:
        return Claim.of(claim.operation, operands=claim.operands, result=claim.result, **rules)
    except (ValueError, TypeError) as wrong:
        raise typer.BadParameter(f"{name}: {wrong}", param_hint="'--profile', '--rounding', '--overflow'") from None


def _print_audits(
    recording: Recordings, audits: dict[str, Audit], absent: dict[str, str], rules: dict[str, Any]
) -> None:
    out = console()
    held = ", ".join(f"{key} {value}" for key, value in rules.items()) or "the rules of each result's format"
    out.print(
        f"{recording}\nrecorded with inputs of fpemu {line(recording.about['fpemu'])}, audited under {held}",
        soft_wrap=True,
        markup=False,
    )
    out.print()
    if len(audits) == 1:
        ((name, only),) = audits.items()
        out.print(f"{line(recording.calls[name])}\n{only}", soft_wrap=True, markup=False)
        return
    rows: list[list[str | Text]] = [
        _audit_cells(line(name), line(recording.calls[name]), each) for name, each in audits.items()
    ]
    rows += [
        [line(name), line(recording.calls[name]), "-", "-", "-", Text(f"not there: {line(why)}", "dim")]
        for name, why in absent.items()
    ]
    print_table(out, [_COLUMNS, *rows], texts=(0, 1, 5))
    passed = sum(each.passed for each in audits.values())
    out.print(f"\n{passed} passed, {len(audits) - passed} differ, {len(absent)} not there")


def _audit_cells(name: str, call: str, each: Audit) -> list[str | Text]:
    if each.passed:
        return [name, call, f"{each.checked:,}", "0", "-", Text("passed", "green")]
    distance = "NaN" if each.distance is None else f"{each.distance:,}"
    return [name, call, f"{each.checked:,}", f"{each.different:,}", distance, Text(_cause(each), "red")]


def _cause(each: Audit) -> str:
    """The rules that explain all differences or most of them, or the problem that stopped the audit."""
    if each.problem is not None:
        return each.problem
    best = each.explanations[0] if each.explanations else None
    if best is None or best.share < SHOWN_SHARE:
        return "unexplained"
    return best.name if best.share == 1 else f"unexplained; {100 * best.share:.1f} %: {best.name}"
