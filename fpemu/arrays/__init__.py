"""Arrays of codes that behave as numpy arrays do."""

from fpemu.arrays.array_class import Array
from fpemu.arrays.creation import array, asarray
