"""Speed and size, as ratios within one run: `python -m tests.benchmarks [--only ...]`.  Not part of the tests."""
