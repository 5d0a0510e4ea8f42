"""The API pages: one for each public function and class, made by the build; and their table, which is checked in.

`python docs/_ext/api.py` writes the table, `reference/api.md`.  In a clone its rows lead to the source, on the site to
the pages.
"""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fpemu
import fpemu.cores
import fpemu.quantization
import fpemu.reports
import fpemu.strategies
import fpemu.testing
import fpemu.vectors
import fpemu.verification

if TYPE_CHECKING:  # the table is made and tested without it
    from sphinx.application import Sphinx

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/reference/api.md"
FOLDER = ROOT / "docs/reference/api"

INTRODUCTION = """# API

Write `import fpemu as fe` once. A parameter that takes a name also takes the object of that name. A wrong name raises a
ValueError that lists the names near it. Each row leads to the full description, which `help(fe.cast)` shows too.
"""

# Heading -> module, introduction, names
SECTIONS: dict[str, tuple[Any, str, str]] = {
    "Casts": (fpemu, "", "cast encode decode pack unpack set_num_threads get_num_threads"),
    "Arrays": (fpemu, "[Arrays](array.md) hold codes and their format.", "array asarray Array save load"),
    "Arithmetic": (
        fpemu,
        "[Operations](arithmetic.md) round the exact result once.",
        "add subtract multiply divide fma sqrt fmod ieee_remainder round_to_integral scaleb logb left_shift "
        "right_shift convert absolute negative copysign minimum maximum minimum_number maximum_number",
    ),
    "Comparisons and predicates": (
        fpemu,
        "",
        "equal not_equal less less_equal greater greater_equal unordered total_order total_order_magnitude is_nan "
        "is_signaling is_infinite is_finite is_zero is_subnormal is_normal is_sign_minus is_canonical",
    ),
    "Elementary functions": (
        fpemu,
        "[Elementary functions](elementary.md) round correctly.",
        "exp exp2 log log2 sin cos tanh sigmoid erf rsqrt reciprocal pow",
    ),
    "Sums": (fpemu, "", "sum mean dot vecdot cumsum"),
    "Flags": (fpemu, "[Flags](arithmetic.md#flags) are IEEE 754's exceptions.", "Flags errstate FlagError FlagWarning"),
    "Formats": (
        fpemu,
        "[Formats](formats.md) are data.",
        "dtype dtypes register same_codes FloatFormat IntFormat TableFormat",
    ),
    "Properties of formats": (
        fpemu,
        "",
        "finfo iinfo describe compare next_up next_down spacing classify NumberClass",
    ),
    "Rules": (
        fpemu,
        "[Rules](rounding.md) and the [profiles](profiles.md) of tools.",
        "profile profile_names rounding_mode Profile Rounding Stochastic",
    ),
    "Scaled formats": (
        fpemu,
        "[Blocks of codes that share scales](scaled.md).",
        "quantize fake_quantize scheme schemes calibrate Calibration quantized_matmul Quantized ScaledFormat ScaleRule "
        "ScaleProfile",
    ),
    "fpemu.quantization": (fpemu.quantization, "", "Packed Steps scale_profile"),
    "Reports": (fpemu, "", "report"),
    "fpemu.reports": (fpemu.reports, "", "Report Row"),
    "Audits": (fpemu, "[Audits](../guides/audit.md) of implementations.", "audit"),
    "fpemu.verification": (
        fpemu.verification,
        "",
        "Claim Batch Audit RuleSet Difference function program library recorded Recorded probe recordings Recordings",
    ),
    "fpemu.vectors": (
        fpemu.vectors,
        "[Golden vectors](../guides/vectors.md).",
        "generate Vectors Cell write read write_bench VectorFile",
    ),
    "fpemu.testing": (
        fpemu.testing,
        "[Assertions](../guides/testing.md).",
        "assert_same_codes assert_max_ulp assert_within_ulps assert_same_flags",
    ),
    "fpemu.strategies": (
        fpemu.strategies,
        "[Strategies of hypothesis](../tutorials/property-tests.md).",
        "formats codes values sources hard_cases arrays",
    ),
    "fpemu.cores": (
        fpemu.cores,
        "[Scalar cores](../guides/cores.md) for your own loops, compiled by numba.",
        "rules key njit cache_folder decode encode recode from_float to_float round_float add subtract multiply divide "
        "fma sqrt add_mixed subtract_mixed multiply_mixed divide_mixed fma_mixed sqrt_mixed minimum maximum negative "
        "absolute compare is_nan random_bits",
    ),
}

# Public values that are neither functions nor classes
CONSTANTS = {
    "fpemu.Format": "FloatFormat, IntFormat or TableFormat, for annotations and isinstance.",
    "fpemu.cores.DIGEST": "The digest of the kernels: 16 hexadecimal digits; it differs if any result may.",
    **dict.fromkeys(
        (f"fpemu.cores.{name}" for name in ("FINITE", "INFINITE", "NOT_A_NUMBER")),
        "A category that `fpemu.cores.decode` returns.",
    ),
    **dict.fromkeys(
        (f"fpemu.cores.{name}" for name in ("LESS", "EQUAL", "GREATER", "UNORDERED")),
        "A relation that `fpemu.cores.compare` returns.",
    ),
    **dict.fromkeys(
        (f"fpemu.cores.{name}" for name in ("INEXACT", "UNDERFLOW", "OVERFLOW", "DIVIDE_BY_ZERO", "INVALID")),
        "A flag, as in `Flags.bits`.",
    ),
}

# Classes whose fields are described by their parameters: the members to show
MEMBERS = {
    "fpemu.FloatFormat": ":members:\n   :inherited-members:\n   :exclude-members: name, bits, precision, bias, signed, "
    "subnormals, zero, infinities, negative_zero, nan, profile, kind",
    "fpemu.IntFormat": ":members:\n   :exclude-members: name, bits, signed, fraction_bits, symmetric, encoding, "
    "profile, kind",
    "fpemu.TableFormat": ":members:\n   :exclude-members: name, entries, bits, profile, kind",
    "fpemu.Array": ":members:\n   :inherited-members:",
    "fpemu.NumberClass": ":members: words",
    "fpemu.Profile": ":members: replace, for_codes",
    "fpemu.Rounding": ":members:\n   :undoc-members:",
    "fpemu.Quantized": ":members: from_parts, dequantize, pack, spread, elements, scale_values, bits_per_element, "
    "nbytes",
    "fpemu.quantization.Packed": ":members: unpack, nbytes",
    "fpemu.ScaledFormat": ":members: replace, profiles",
    "fpemu.ScaleProfile": ":members: of, replace",
    "fpemu.reports.Report": ":members: to_dict",
    **dict.fromkeys(
        (
            *("fpemu.Flags", "fpemu.Calibration", "fpemu.verification.Claim", "fpemu.vectors.Vectors"),
            *("fpemu.vectors.VectorFile", "fpemu.verification.Audit", "fpemu.verification.RuleSet"),
        ),
        ":members:",
    ),
}


def objects() -> dict[str, Any]:
    """The functions and classes that have a page: qualified name -> object."""
    return {
        f"{module.__name__}.{name}": getattr(module, name)
        for module, _, names in SECTIONS.values()
        for name in names.split()
    }


def table() -> str:
    """The text of `reference/api.md`."""
    lines = [INTRODUCTION]
    for heading, (module, introduction, names) in SECTIONS.items():
        lines += [f"## {heading}\n", *([f"{introduction}\n"] if introduction else []), "| name | |", "|---|---|"]
        prefix = "" if module is fpemu else f"{module.__name__.removeprefix('fpemu.')}."
        for name in names.split():
            documented = getattr(module, name)
            lines.append(f"| [`{prefix}{name}`]({_source(documented)}) | {_summary(documented)} |")
        lines.append("")
    lines += ["## Constants\n", "| name | |", "|---|---|"]
    lines += [f"| `{name}` | {text} |" for name, text in CONSTANTS.items()]
    return "\n".join(lines) + "\n"


def _source(documented: Any) -> str:
    source = Path(str(inspect.getsourcefile(inspect.unwrap(documented)))).resolve()
    return f"../../{source.relative_to(ROOT).as_posix()}"


def _summary(documented: Any) -> str:
    text = (inspect.getdoc(documented) or "").partition("\n\n")[0]
    return " ".join(text.split()).replace("|", "\\|")


def write_pages(app: Sphinx) -> None:
    """Write the page of each function and class."""
    FOLDER.mkdir(exist_ok=True)
    pages = {f"{name}.md": _page(name, documented) for name, documented in objects().items()}
    for path in FOLDER.glob("*.md"):
        if path.name not in pages:
            path.unlink()
    for name, text in pages.items():
        path = FOLDER / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def _page(name: str, documented: Any) -> str:
    options = MEMBERS.get(name)
    directive = "autoclass" if inspect.isclass(documented) else "autofunction"
    body = f".. {directive}:: {name}\n" + (f"   {options}\n" if options else "")
    return f"# {name}\n\n```{{eval-rst}}\n{body}```\n"


def link_pages(app: Sphinx, page: str, source: list[str]) -> None:
    """Let the rows of the table lead to the pages instead of the source."""
    if page != "reference/api":
        return
    text = re.sub(r"\[`(.*)`\]\(\.\./\.\./fpemu/[^)]*\)", r"[`\1`](api/fpemu.\1.md)", source[0])
    entries = "\n".join(f"api/{name}" for name in objects())
    source[0] = f"{text}\n```{{toctree}}\n:hidden:\n\n{entries}\n```\n"


def setup(app: Sphinx) -> dict[str, bool]:
    """Sphinx's entry."""
    app.connect("builder-inited", write_pages)
    app.connect("source-read", link_pages)
    return {"parallel_read_safe": True}


if __name__ == "__main__":
    PAGE.write_text(table(), encoding="utf-8")
