"""Directives for tables that come from the package itself when the pages are built, never typed by hand.

`formats-table`, `names-table`, `codes-table NAME ...`, `knobs-table`, `roundings-table`, `profiles-table`,
`witnesses-table`.
"""

from __future__ import annotations

import dataclasses
import inspect
import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from docutils import nodes
from docutils.parsers.rst import Directive
from sphinx.application import Sphinx

import fpemu as fe
from fpemu.formats import registry, rules
from fpemu.formats.facts.text import decimal_text
from fpemu.inspection.code import Code

WITNESSES = Path(__file__).parents[2] / "tests/peers/witness"


def table(header: Sequence[str], rows: Iterable[Sequence[str]], literal: Sequence[int] = (0,)) -> nodes.table:
    """A table; cells of the columns `literal` are set as code, each of their words apart."""
    group = nodes.tgroup(cols=len(header))
    group += [nodes.colspec(colwidth=1) for _ in header]
    head, body = nodes.thead(), nodes.tbody()
    head += _row(header, ())
    body += [_row(row, literal) for row in rows]
    group += [head, body]
    return nodes.table("", group)


def _row(cells: Sequence[str], literal: Sequence[int]) -> nodes.row:
    row = nodes.row()
    for place, cell in enumerate(cells):
        paragraph = nodes.paragraph()
        if place in literal:
            for i, word in enumerate(cell.split(", ") if cell else []):
                paragraph += [nodes.Text(", ")] * (i > 0) + [nodes.literal(word, word)]
        else:
            paragraph += nodes.Text(cell)
        row += nodes.entry("", paragraph)
    return row


class FormatsTable(Directive):
    """Limits of the registered formats, or of those named."""

    optional_arguments = 100

    def run(self) -> list[nodes.Node]:
        chosen = [fe.dtype(name) for name in self.arguments] or fe.dtypes()
        header = ("format", "bits", "p", "bias", "largest", "smallest normal", "smallest", "Inf", "codes of NaN")
        return [table(header, map(self._cells, chosen))]

    def _cells(self, fmt: fe.Format) -> list[str]:
        info = fe.describe(fmt)
        facts = info.to_dict()
        smallest = facts.get("smallest_subnormal") or facts.get("smallest_positive") or facts.get("quantum")
        return [
            fmt.name,
            str(fmt.bits),
            str(fmt.precision) if isinstance(fmt, fe.FloatFormat) else "-",
            str(fmt.bias) if isinstance(fmt, fe.FloatFormat) else "-",
            decimal_text(facts["max"]),
            decimal_text(facts.get("smallest_normal")),
            decimal_text(smallest),
            "yes" if fmt.has("infinity") else "-",
            str(info.nan_count) if fmt.has("nan") else "-",
        ]


class NamesTable(Directive):
    """Every name and alias of the registered formats, with what to know about them."""

    def run(self) -> list[nodes.Node]:
        rows = [(fmt.name, ", ".join(registry.aliases(fmt)), registry.note(fmt)) for fmt in fe.dtypes()]
        return [table(("format", "other names", "note"), rows, literal=(0, 1))]


class CodesTable(Directive):
    """All values of small formats, the code's high digit down, its low digit across."""

    required_arguments = 1
    optional_arguments = 20

    def run(self) -> list[nodes.Node]:
        found: list[nodes.Node] = []
        for name in self.arguments:
            fmt = fe.dtype(name)
            found.append(nodes.rubric("", fmt.name))
            width = min(16, fmt.code_count)
            texts = [_short(Code(fmt, code)) for code in range(fmt.code_count)]
            rows = [[f"0x{at // 16:X}_", *texts[at : at + width]] for at in range(0, fmt.code_count, width)]
            found.append(table(["", *(f"_{low:X}" for low in range(width))], rows))
        return found


def _short(code: Code) -> str:
    return code.text if len(code.text) <= 12 else decimal_text(code.format.value(code.code))


# A member of an enum in the package's source: its value, and the comment that says what it does.
MEMBER = re.compile(r'^    [A-Z0-9_]+ = "([^"]+)"(?:  # (.*))?$', re.MULTILINE)


class KnobsTable(Directive):
    """Every knob of a profile, its values, and what each means."""

    def run(self) -> list[nodes.Node]:
        rows = []
        for knob, kind in {"rounding": rules.Rounding, **rules.RULE_TYPES}.items():
            about = (inspect.getdoc(kind) or "").splitlines()[0]
            usual = getattr(fe.Profile(), knob)
            for place, (value, comment) in enumerate(MEMBER.findall(inspect.getsource(kind))):
                default = " (default)" if usual.value == value else ""
                rows.append((knob if place == 0 else "", about if place == 0 else "", value, (comment or "") + default))
            if knob == "rounding":
                rows.append(("", "", "Stochastic(variant='A', bits=32)", "variant A, B or C; 1 to 32 random bits"))
            if knob == "nan_payload":
                rows.append(("nan_code", "The code of a NaN where a tool has its own.", "", "an int; None (default)"))
        return [table(("knob", "what it decides", "value", "meaning"), rows, literal=(0, 2))]


class RoundingNames(Directive):
    """The aliases of rounding modes."""

    def run(self) -> list[nodes.Node]:
        aliases: dict[str, list[str]] = {mode.value: [] for mode in fe.Rounding}
        for alias, mode in rules.ROUNDING_ALIASES.items():
            aliases[mode.value].append(alias)
        rows = [(mode, ", ".join(names)) for mode, names in aliases.items()]
        return [table(("mode", "aliases (in any case)"), rows, literal=(0, 1))]


def _word(value: Any) -> str:
    if isinstance(value, int):
        return hex(value)
    return str(getattr(value, "value", value))


class ProfilesTable(Directive):
    """What each named profile sets: its knobs apart from the defaults, for all formats and for single ones."""

    def run(self) -> list[nodes.Node]:
        usual = fe.Profile()
        rows = []
        for name in fe.profile_names():
            profile = fe.profile(name)
            fields = [f.name for f in dataclasses.fields(profile) if f.name not in ("name", "rows")]
            apart = {f: getattr(profile, f) for f in fields if getattr(profile, f) != getattr(usual, f)}
            rows.append((name, "all formats", self._text(apart) or "the defaults"))
            groups: dict[str, list[str]] = {}
            for who, row in profile.rows:
                where = f"{self._who(who[1])} to {self._who(who[2])}" if who[0] == "from" else self._who(who)
                groups.setdefault(self._text(dict(row)), []).append(where)
            rows += [("", ", ".join(where), text) for text, where in groups.items()]
        return [table(("profile", "format", "knobs"), rows, literal=(0, 2))]

    def _who(self, selector: Any) -> str:
        words = {"int": "integers", "table": "codebooks", "float": "floats"}
        by_key = {fmt.codes_key: fmt.name for fmt in fe.dtypes()}
        return words[selector] if isinstance(selector, str) else by_key[selector]

    def _text(self, apart: dict[str, Any]) -> str:
        return ", ".join(f"{knob}={_word(value)}" for knob, value in apart.items())


class WitnessesTable(Directive):
    """The recorded answers of big libraries: which version, when, how many."""

    def run(self) -> list[nodes.Node]:
        rows = []
        for path in sorted(WITNESSES.glob("*.npz")):
            with np.load(path) as file:
                about = json.loads(str(file["about"]))
                count = sum(file[key].size for key in file.files if key != "about")
            rows.append((about["library"], about["version"], about["date"], f"{count:,}", about["command"]))
        return [table(("library", "version", "recorded", "answers", "command"), rows, literal=(4,))]


def short_signature(app: Sphinx, what: str, name: str, it: Any, options: Any, signature: str, returns: str) -> Any:
    """A default profile by its name, not with all its knobs."""
    return signature and re.sub(r"Profile\(name=('[^']+')[^()]*\)", r"\1", signature), returns


def setup(app: Sphinx) -> dict[str, bool]:
    """Sphinx's entry."""
    app.add_directive("formats-table", FormatsTable)
    app.add_directive("names-table", NamesTable)
    app.add_directive("codes-table", CodesTable)
    app.add_directive("knobs-table", KnobsTable)
    app.add_directive("profiles-table", ProfilesTable)
    app.add_directive("roundings-table", RoundingNames)
    app.add_directive("witnesses-table", WitnessesTable)
    app.connect("autodoc-process-signature", short_signature)
    return {"parallel_read_safe": True}
