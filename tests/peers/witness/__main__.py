"""Record what the big libraries answer, or check that they still answer what is recorded.

`python -m tests.peers.witness record [name ...]`, `python -m tests.peers.witness check [name ...]`: a name is a
library's, for its casts, or "torchao scaled", for its quantizers.
"""

import argparse
import datetime
import sys

import numpy as np

from tests.peers.witness import records, scaled
from tests.peers.witness.records import file_of, load, save


def check(name, record):
    """Compare the recorded answers with live ones; the number of arrays that differ."""
    recorded, about = load(name)
    answers, more = record.answers()
    print(f"{name}: recorded with {about['version']} on {about['date']}, here {record.version()}")
    wrong = sorted(k for k in recorded.keys() | answers.keys() if not np.array_equal(recorded.get(k), answers.get(k)))
    wrong += [f"{what} {k}" for what, found in more.items() for k in found if found[k] != about[what].get(k)]
    for key in wrong:
        print(f"  differs: {key}")
    print(f"  {sum(codes.size for codes in answers.values()):,} answers, {len(wrong)} arrays differ")
    return len(wrong)


def main():
    """The command."""
    known = records.records() | scaled.records()
    parser = argparse.ArgumentParser(prog="python -m tests.peers.witness", description=__doc__.partition("\n")[0])
    parser.add_argument("action", choices=["record", "check"])
    parser.add_argument("name", nargs="*", help=f"default: all whose library is installed, of {', '.join(known)}")
    words = parser.parse_args()
    unknown = [name for name in words.name if name not in known]
    if unknown:
        parser.error(f"unknown name {unknown[0]!r}: allowed are {', '.join(known)}")
    failures = 0
    for name, record in known.items():
        if words.name and name not in words.name:
            continue
        if not record.available():
            print(f"{name}: not installed here")
            failures += name in words.name
        elif words.action == "record":
            save(name, record, datetime.date.today().isoformat())
            print(f"{name}: {file_of(name).stat().st_size:,} bytes")
        else:
            failures += check(name, record) > 0
    return failures > 0


if __name__ == "__main__":
    sys.exit(main())
