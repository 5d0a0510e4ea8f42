"""Golden vectors: which cases to check an implementation with, and the right answers."""

from fpemu.verification.vectors import *  # noqa: F403
from fpemu.verification.vectors import __all__ as __all__
