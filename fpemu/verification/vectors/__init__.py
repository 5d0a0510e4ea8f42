"""Golden vectors: test cases for an implementation, with the correct answers."""

from fpemu.verification.vectors.code_classes import CLASSES
from fpemu.verification.vectors.coverage import Cell
from fpemu.verification.vectors.generation import Vectors, generate
from fpemu.verification.vectors.reading import VectorFile, read
from fpemu.verification.vectors.situations import SITUATIONS
from fpemu.verification.vectors.verilog import write_bench
from fpemu.verification.vectors.writing import write

__all__ = ["CLASSES", "SITUATIONS", "Cell", "VectorFile", "Vectors", "generate", "read", "write", "write_bench"]
