"""Operations in wide formats against MPFR, codes and flags; `tests.proofs.triples` draws more of them."""

from __future__ import annotations

import gmpy2
import numpy as np
import pytest

from tests.oracle.compare import DifferenceError
from tests.oracle.mpfr_arrays import INEXACT, LAYOUTS, OPERANDS, OPERATIONS, OVERFLOW, UNDERFLOW, exact, rounded, values
from tests.proofs.triples import check, compare, draw

MPFR_MODES = {
    "nearest_even": gmpy2.RoundToNearest,
    "toward_zero": gmpy2.RoundToZero,
    "toward_positive": gmpy2.RoundUp,
    "toward_negative": gmpy2.RoundDown,
    "away_from_zero": gmpy2.RoundAwayZero,
}
FAR = 1 << 20  # exponents beyond every format's


@pytest.mark.parametrize("operation", OPERANDS)
@pytest.mark.parametrize("name", LAYOUTS)
def test_triples(name, operation):
    """200,000 of each operation and format, in every mode."""
    check(operation, name, 200_000, 1)


@pytest.mark.parametrize("name", LAYOUTS)
def test_rounding_once_more(name):
    """As MPFR rounds by itself, with its emulated subnormals, in the modes that it has."""
    layout, rng = LAYOUTS[name], np.random.default_rng(5)
    for operation in OPERANDS:
        operands = draw(operation, name, 400, rng)
        results = exact(operation, operands, name)
        reals = [values(part, name).tolist() for part in operands]
        for mode, word in MPFR_MODES.items():
            digits = layout.precision
            most, least = layout.emax + 1, layout.quantum + 1
            context = gmpy2.context(precision=digits, emax=most, emin=least, subnormalize=True, round=word)
            unbounded = gmpy2.context(precision=digits, emax=FAR, emin=-FAR, round=word)
            functions = [getattr(some, OPERATIONS[operation]) for some in (context, unbounded)]
            theirs, flags = [], []
            for given in zip(*reals, strict=True):
                context.clear_flags()
                result, far = (function(*given) for function in functions)
                theirs.append(float(result))
                flags.append(INEXACT * context.inexact | OVERFLOW * context.overflow)
                if context.inexact and abs(far) < 2.0**layout.emin:  # gmpy2's own flag is set for normal results too
                    flags[-1] |= UNDERFLOW
            codes, raised = rounded(results, name, mode)
            ours, theirs = values(codes, name), np.array(theirs)
            np.testing.assert_array_equal(ours, theirs, f"{operation}, {mode}")
            numbers = ~np.isnan(theirs)
            np.testing.assert_array_equal(np.signbit(ours)[numbers], np.signbit(theirs)[numbers])
            np.testing.assert_array_equal(raised & (INEXACT | OVERFLOW | UNDERFLOW), flags, f"{operation}, {mode}")


def test_draws_are_hard():
    """Every flag, ties, subnormal results, and numbers where tininess before and after rounding differ."""
    for name, layout in LAYOUTS.items():
        for operation in ("add", "multiply", "divide", "fma"):
            results = exact(operation, draw(operation, name, 20_000, np.random.default_rng(1)), name)
            codes, flags = rounded(results, name, "nearest_even")
            magnitudes = codes & np.uint64(layout.sign - 1)
            assert (np.bincount(magnitudes[magnitudes < 1 << layout.trailing].astype(bool), minlength=2) > 50).all()
            assert (flags & OVERFLOW > 0).sum() > 10
            assert (codes != rounded(results, name, "nearest_away")[0]).any()
            if operation != "add":
                assert (flags & UNDERFLOW > 0).sum() > 500
            if operation in ("multiply", "fma"):  # quotients of p digits are 2^-p or more below a power of two
                assert (flags != rounded(results, name, "nearest_even", True)[1]).any()


def test_a_difference_is_told():
    one = np.array([1, 2], np.uint64)
    with pytest.raises(DifferenceError, match=r"add in float16, here: 1 differ: 0x2: 0x2 \(2\) for 0x3 \(2\)"):
        compare("add", "float16", (one, one), (np.array([1, 3], np.uint64), one), [one], "here")
