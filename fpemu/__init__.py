"""fpemu: bit-exact emulation of number formats.

``import fpemu as fe``, then ``fe.cast(x, "float8_e4m3fn")``.

The names below load, with numpy, when the first of them is asked for (PEP 562): pytest imports this package for its
plugin in every run of every project, also where no test uses it.
"""

import importlib
import importlib.util
import sys
from types import ModuleType
from typing import TYPE_CHECKING

from fpemu.version import __version__ as __version__

if TYPE_CHECKING:
    from fpemu.auditing import audit as audit
    from fpemu.public import *  # noqa: F403
    from fpemu.public import __all__ as __all__

# Modules that have the name of a public function: ``fpemu.array`` is the function, whoever imported the module first.
_HIDDEN_MODULES = ("array", "errstate", "report")
_ROOMS = ("cores", "vectors")  # modules that are not imported with the public names
_APART = {"audit": "auditing"}  # public names that are not either, and their modules


class _Package(ModuleType):
    def __setattr__(self, name: str, value: object) -> None:
        if not (name in _HIDDEN_MODULES and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def __getattr__(name: str) -> object:
    """The public names; `fpemu.cores`, which loads numba, and other rooms apart when they are asked for."""
    if name in _ROOMS:
        return importlib.import_module(f"fpemu.{name}")
    if name in _APART:
        from fpemu.keywords import with_hints

        found = globals()[name] = with_hints(getattr(importlib.import_module(f"fpemu.{_APART[name]}"), name))
        return found
    module = name not in _HIDDEN_MODULES and importlib.util.find_spec(f"fpemu.{name}") is not None
    if not module and (name == "__all__" or not name.startswith("_")):  # a module is imported, not asked for
        from fpemu import public

        if name == "__all__":
            return sorted([*public.__all__, *_APART])
        if name in public.__all__:
            from fpemu.keywords import with_hints

            names = globals()
            names.update((known, with_hints(getattr(public, known))) for known in public.__all__)
            return names[name]
    raise AttributeError(f"module 'fpemu' has no attribute {name!r}")


def __dir__() -> list[str]:
    from fpemu import public

    return sorted({*globals(), *public.__all__, *_APART, *_ROOMS})
