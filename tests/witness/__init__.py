"""Recorded answers of libraries too big for the gate; `python -m tests.witness record` and `check` need them live."""
