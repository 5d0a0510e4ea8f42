"""The directive `drawn`: a figure made when the pages are built, of what the page's own blocks have worked out.

    ```{drawn} sampling.quantized
    :alt: What the picture shows, for those who don't see it.

    The caption.
    ```

runs the page's `pycon` and `python` blocks, once for each page, and calls the function `quantized` of
`figures/sampling.py`: its parameters are names that the blocks leave behind, and it returns a matplotlib `Figure`.
So a figure shows the page's own numbers, and one that no longer fits its page stops the build.
"""

from __future__ import annotations

import contextlib
import doctest
import importlib
import inspect
import io
import os
import re
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.directives.patches import Figure as FigureDirective
from sphinx.util.docutils import SphinxDirective

from fpemu.files.atomic import replacing

BLOCK = re.compile(r"^```(pycon|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def names_of(page: Path) -> dict[str, Any]:
    """What the blocks of a page define, run in order; what they print is dropped: tests/test_docs.py compares it."""
    names: dict[str, Any] = {"__name__": page.stem}
    with contextlib.redirect_stdout(io.StringIO()):
        for kind, text in BLOCK.findall(page.read_text(encoding="utf-8")):
            sources = [text]
            if kind == "pycon":
                sources = [example.source for example in doctest.DocTestParser().get_examples(text)]
            for source in sources:
                exec(compile(source, str(page), "exec"), names)
    return names


class Drawn(FigureDirective, SphinxDirective):
    """A figure of docs/figures; its argument is MODULE.FUNCTION, its options are those of `figure`."""

    def run(self) -> list[nodes.Node]:
        module, _, function = self.arguments[0].partition(".")
        draw = getattr(importlib.import_module(f"figures.{module}"), function)
        self.env.note_dependency(inspect.getfile(draw))
        page = Path(self.env.doc2path(self.env.docname))
        if "drawn" not in self.env.temp_data:
            self.env.temp_data["drawn"] = names_of(page)
        names = self.env.temp_data["drawn"]
        figure = draw(**{name: names[name] for name in inspect.signature(draw).parameters})
        picture = Path(self.env.app.doctreedir) / "figures" / f"{module}-{function}.png"
        picture.parent.mkdir(parents=True, exist_ok=True)
        with replacing(picture) as stream:
            figure.savefig(stream, metadata={"Software": None})
        self.arguments[0] = os.path.relpath(picture, page.parent)
        return super().run()


def setup(app: Sphinx) -> dict[str, bool]:
    """Sphinx's entry."""
    app.add_directive("drawn", Drawn)
    return {"parallel_read_safe": True}
