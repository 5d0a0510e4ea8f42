"""Programs that some tests need: skip where one is missing, or fail where an environment variable requires it."""

import os

import pytest


def missing(variable, what):
    """Skip the test, or fail if the environment variable is "required"."""
    if os.environ.get(variable) == "required":
        pytest.fail(f"{variable}=required, but {what}", pytrace=False)
    pytest.skip(what)
