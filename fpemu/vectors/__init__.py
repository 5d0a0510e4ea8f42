"""Golden vectors: which cases to check an implementation with, and the right answers."""

from fpemu.vectors.bench import write_bench
from fpemu.vectors.cells import Cell
from fpemu.vectors.classes import CLASSES
from fpemu.vectors.generating import Vectors, generate
from fpemu.vectors.reading import VectorFile, read
from fpemu.vectors.situations import SITUATIONS
from fpemu.vectors.writing import write

__all__ = ["CLASSES", "SITUATIONS", "Cell", "VectorFile", "Vectors", "generate", "read", "write", "write_bench"]
