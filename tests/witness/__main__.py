"""Record what the big libraries answer, or check that they still answer what is recorded.

`python -m tests.witness record [library ...]`, `python -m tests.witness check [library ...]`.
"""

import argparse
import datetime
import sys

import numpy as np

from tests.witness.records import file_of, libraries, live_answers, load, save


def check(library, peers):
    """Compare the recorded answers with live ones; the number of arrays that differ."""
    recorded, about = load(library)
    answers, digests = live_answers(peers)
    version = next(iter(peers.values())).version()
    print(f"{library}: recorded with {about['version']} on {about['date']}, here {version}")
    wrong = sorted(k for k in recorded.keys() | answers.keys() if not np.array_equal(recorded.get(k), answers.get(k)))
    wrong += [f"source {k}" for k in digests if digests[k] != about["sources"].get(k)]
    for key in wrong:
        print(f"  differs: {key}")
    print(f"  {sum(codes.size for codes in answers.values()):,} answers, {len(wrong)} arrays differ")
    return len(wrong)


def main():
    """The command."""
    known = libraries()
    parser = argparse.ArgumentParser(prog="python -m tests.witness", description=__doc__.partition("\n")[0])
    parser.add_argument("action", choices=["record", "check"])
    parser.add_argument("library", nargs="*", help=f"default: all that are installed, of {', '.join(known)}")
    words = parser.parse_args()
    unknown = [name for name in words.library if name not in known]
    if unknown:
        parser.error(f"unknown library {unknown[0]!r}: allowed are {', '.join(known)}")
    failures = 0
    for library, peers in known.items():
        if words.library and library not in words.library:
            continue
        if not next(iter(peers.values())).available():
            print(f"{library}: not installed here")
            failures += library in words.library
        elif words.action == "record":
            save(library, peers, datetime.date.today().isoformat())
            print(f"{library}: {file_of(library).stat().st_size:,} bytes")
        else:
            failures += check(library, peers) > 0
    return failures > 0


if __name__ == "__main__":
    sys.exit(main())
