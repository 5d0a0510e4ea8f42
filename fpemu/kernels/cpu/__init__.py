"""Loops over arrays, on the scalar cores or on the FPU."""
