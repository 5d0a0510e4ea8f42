"""Golden vectors: test cases for an implementation, with the correct answers."""

from fpemu.verification.vectors import *  # noqa: F403
from fpemu.verification.vectors import __all__ as __all__
