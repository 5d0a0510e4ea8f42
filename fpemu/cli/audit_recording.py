"""What a device answered, held to what is right: for `fpemu audit --recorded` a table, or one item in detail."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import typer
from rich.text import Text

from fpemu.cli.output import console, print_json, print_table, progress
from fpemu.files.boundary import line
from fpemu.formats import dtype
from fpemu.formats.lookup import near
from fpemu.verification import Claim
from fpemu.verification.audits import Audit, Recorded, Recordings, audit, recordings
from fpemu.verification.audits.probe_script import operation_of

__all__ = ["Wanted", "replay"]

HEADER = ("asked", "torch", "inputs", "differ", "ulp", "rules that it follows instead")
TOLD = 0.5  # the share of the differences from which on a rule that explains some is told


class Wanted(NamedTuple):
    """Which items of a recording: one by name, or those of an operation, a result's format, a source's."""

    item: str | None
    operation: str | None
    format: str | None
    source: str | None

    def of(self, found: Recordings) -> dict[str, Recorded]:
        """Those that were recorded; wrong usage where there are none."""
        if self.item is not None:
            if self.item in found.absent:
                raise typer.BadParameter(f"{self.item}: not there: {found.absent[self.item]}", param_hint="'--item'")
            if self.item not in found:
                raise typer.BadParameter(
                    f"nothing was asked under {self.item!r}{near(self.item, list(found))}; the table has all names",
                    param_hint="'--item'",
                )
            return {self.item: found[self.item]}
        try:
            operation = None if self.operation is None else operation_of(self.operation)
            result, source = (None if name is None else dtype(name).name for name in (self.format, self.source))
        except (ValueError, TypeError) as wrong:
            raise typer.BadParameter(str(wrong), param_hint="OPERATION, '--format', '--from'") from None
        chosen = {
            name: item
            for name, item in found.items()
            if item.claim is not None
            and operation in (None, item.claim.operation)
            and result in (None, str(item.claim.result))
            and source in (None, item.claim.operands[0].name)
        }
        if not chosen and any((operation, result, source)):
            raise typer.BadParameter("nothing of that was recorded", param_hint="OPERATION, '--format', '--from'")
        return chosen


def replay(path: Path, wanted: Wanted, rules: dict[str, Any], nan: str, json: bool) -> bool:
    """Print what came out; whether all that was recorded is right.

    `rules`: instead of each result format's own: rounding, profile, overflow.
    """
    found = recordings(path)
    chosen = wanted.of(found)
    claims = {name: _held(name, item.claim, rules) for name, item in chosen.items()}
    audits: dict[str, Audit] = {}
    with progress(f"audit of {path}", len(chosen)) as advance:
        for name, item in chosen.items():
            audits[name] = audit(item, claims[name], nan=nan)
            advance(1)
    absent = found.absent if len(chosen) == len(found) else {}
    if json:
        told = [{"item": name, "call": found.calls[name], **each.to_dict()} for name, each in audits.items()]
        missing = [{"item": name, "call": found.calls[name], "why": why} for name, why in absent.items()]
        print_json({"recording": str(path), **found.about, "items": told, "absent": missing})
    else:
        _tell(found, audits, absent, rules)
    return bool(audits) and all(each.passed for each in audits.values())


def _held(name: str, claim: Claim | None, rules: dict[str, Any]) -> Claim:
    """What an item is held to."""
    assert claim is not None
    if not rules:
        return claim
    try:
        return Claim.of(claim.operation, operands=claim.operands, result=claim.result, **rules)
    except (ValueError, TypeError) as wrong:
        raise typer.BadParameter(f"{name}: {wrong}", param_hint="'--profile', '--rounding', '--overflow'") from None


def _tell(found: Recordings, audits: dict[str, Audit], absent: dict[str, str], rules: dict[str, Any]) -> None:
    out = console()
    held = ", ".join(f"{key} {value}" for key, value in rules.items()) or "the rules of each result's format"
    out.print(
        f"{found}\nrecorded with inputs of fpemu {line(found.about['fpemu'])}, held to {held}",
        soft_wrap=True,
        markup=False,
    )
    out.print()
    if len(audits) == 1:
        ((name, only),) = audits.items()
        out.print(f"{line(found.calls[name])}\n{only}", soft_wrap=True, markup=False)
        return
    rows: list[list[str | Text]] = [_row(line(name), line(found.calls[name]), each) for name, each in audits.items()]
    rows += [
        [line(name), line(found.calls[name]), "-", "-", "-", Text(f"not there: {line(why)}", "dim")]
        for name, why in absent.items()
    ]
    print_table(out, [HEADER, *rows], texts=(0, 1, 5))
    passed = sum(each.passed for each in audits.values())
    out.print(f"\n{passed} passed, {len(audits) - passed} differ, {len(absent)} not there")


def _row(name: str, call: str, each: Audit) -> list[str | Text]:
    if each.passed:
        return [name, call, f"{each.checked:,}", "0", "-", Text("passed", "green")]
    distance = "NaN" if each.distance is None else f"{each.distance:,}"
    return [name, call, f"{each.checked:,}", f"{each.different:,}", distance, Text(_cause(each), "red")]


def _cause(each: Audit) -> str:
    """The rules that explain all, or those that explain most, or what stopped the audit."""
    if each.problem is not None:
        return each.problem
    best = each.explanations[0] if each.explanations else None
    if best is None or best.share < TOLD:
        return "unexplained"
    return best.name if best.share == 1 else f"unexplained; {100 * best.share:.1f} %: {best.name}"
