"""fpemu: bit-exact emulation of number formats.

``import fpemu as fe``, then ``fe.cast(x, "float8_e4m3fn")``.

The names below load, with numpy, when the first of them is asked for (PEP 562): pytest imports this package for its
plugin in every run of every project, also where no test uses it.
"""

import importlib
import importlib.util
from typing import TYPE_CHECKING

from fpemu.version import __version__ as __version__

if TYPE_CHECKING:
    from fpemu._public import *  # noqa: F403
    from fpemu._public import __all__ as __all__
    from fpemu.verification.audits import audit as audit

_NAMESPACES = ("cores", "vectors")  # public modules that are imported when they are asked for
_APART = {"audit": "fpemu.verification.audits"}  # public names that load more than the others, and their modules


def __getattr__(name: str) -> object:
    """Import the public names when the first of them is asked for; `audit`, `cores` and `vectors` each alone."""
    if name in _NAMESPACES:
        return importlib.import_module(f"fpemu.{name}")
    module = importlib.util.find_spec(f"fpemu.{name}") is not None  # which is imported, not asked for
    if module or (name.startswith("_") and name != "__all__"):
        raise AttributeError(f"module 'fpemu' has no attribute {name!r}")
    from fpemu.formats.keywords import with_hints

    if name in _APART:
        value = globals()[name] = with_hints(getattr(importlib.import_module(_APART[name]), name))
        return value
    from fpemu import _public

    if name == "__all__":
        return sorted([*_public.__all__, *_APART])
    if name not in _public.__all__:
        raise AttributeError(f"module 'fpemu' has no attribute {name!r}")
    globals().update((known, with_hints(getattr(_public, known))) for known in _public.__all__)
    return globals()[name]


def __dir__() -> list[str]:
    from fpemu import _public

    return sorted({*globals(), *_public.__all__, *_APART, *_NAMESPACES})
