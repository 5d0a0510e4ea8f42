"""Speed and size, as ratios taken in one run: `python -m tests.benchmarks [--only ...]`.  Not part of the tests."""
