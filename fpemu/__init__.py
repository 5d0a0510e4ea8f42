"""fpemu: bit-exact emulation of number formats.

``import fpemu as fe``, then ``fe.cast(x, "float8_e4m3fn")``.

The public names are imported, with numpy, when the first of them is used (PEP 562), since pytest imports this package
for its plugin in every run of every project.
"""

import importlib
import importlib.util
from typing import TYPE_CHECKING

from fpemu.version import __version__ as __version__

if TYPE_CHECKING:
    from fpemu._public import *  # noqa: F403
    from fpemu._public import __all__ as __all__
    from fpemu.verification.audits import audit as audit

_NAMESPACES = ("cores", "vectors")  # public modules, each imported when it is used
_SEPARATE = {"audit": "fpemu.verification.audits"}  # public names that import more than the others, and their modules


def __getattr__(name: str) -> object:
    """Import the public names when the first of them is used; `audit`, `cores` and `vectors` separately."""
    if name in _NAMESPACES:
        return importlib.import_module(f"fpemu.{name}")
    is_module = importlib.util.find_spec(f"fpemu.{name}") is not None  # `from fpemu import casting` imports it
    if is_module or (name.startswith("_") and name != "__all__"):
        raise AttributeError(f"module 'fpemu' has no attribute {name!r}")
    from fpemu.formats.keywords import with_hints

    if name in _SEPARATE:
        value = globals()[name] = with_hints(getattr(importlib.import_module(_SEPARATE[name]), name))
        return value
    from fpemu import _public

    if name == "__all__":
        return sorted([*_public.__all__, *_SEPARATE])
    if name not in _public.__all__:
        raise AttributeError(f"module 'fpemu' has no attribute {name!r}")
    globals().update((public, with_hints(getattr(_public, public))) for public in _public.__all__)
    return globals()[name]


def __dir__() -> list[str]:
    from fpemu import _public

    return sorted({*globals(), *_public.__all__, *_SEPARATE, *_NAMESPACES})
