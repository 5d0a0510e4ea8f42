"""The declared lower bounds as constraints for pip, with one ``name==version`` on each line.

``python tests/structure/lower_bounds.py EXTRA...`` prints them.

Run by the Python that they are for, which needs nothing but its pip; `.ci/run` installs what it prints.
"""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

from pip._vendor.packaging.requirements import Requirement

PROJECT = Path(__file__).parents[2] / "pyproject.toml"


def floors(extras: list[str]) -> list[str]:
    """The lowest versions of the dependencies and of extras, if their markers apply."""
    project = tomllib.loads(PROJECT.read_text())["project"]
    lines = [*project["dependencies"], *(line for extra in extras for line in project["optional-dependencies"][extra])]
    found = []
    for wanted in map(Requirement, lines):
        if wanted.marker is not None and not wanted.marker.evaluate():
            continue
        [lowest] = [each.version for each in wanted.specifier if each.operator == ">="]
        found.append(f"{wanted.name}=={lowest}")
    return found


if __name__ == "__main__":
    print("\n".join(floors(sys.argv[1:])))
