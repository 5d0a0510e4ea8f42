"""Operations over all codes of a format: tables of results, and errors in ulp of several methods.

Exact values are correctly rounded to float64: their error is at most 2^-29 ulp of a format of 24 digits.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fpemu.arithmetic.flags import Flags
from fpemu.arrays import Array
from fpemu.casting import decode, encode
from fpemu.formats import FloatFormat, IntFormat, Profile, TableFormat, dtype
from fpemu.formats.facts.codes import ranks
from fpemu.formats.facts.exactness import finite_range, quantum_exponents
from fpemu.formats.rules import Rounding, Stochastic, Through
from fpemu.inspection.evaluation import compute
from fpemu.inspection.expressions import parse_expression
from fpemu.inspection.operations import Operation, find_operation

__all__ = ["Accuracy", "Method", "OperationTable", "measure", "operation_table", "tabulated", "usual_methods"]

MAX_BITS = {1: 16, 2: 8}  # of operands, by their number
OPERANDS_AT_ONCE = 1 << 12
CORRECT, FLOAT32, NUMPY = "correctly rounded", "float32", "numpy"

# Common compositions of functions
_COMPOSED = {
    "sigmoid": "1 / (1 + exp(-x))",
    "tanh": "1 - 2 / (exp(2 * x) + 1)",
    "rsqrt": "1 / sqrt(x)",
    "exp": "exp2(x * 1.4426950408889634)",
    "log": "log2(x) * 0.6931471805599453",
    "log2": "log(x) * 1.4426950408889634",
    "divide": "x * reciprocal(y)",
    "pow": "exp(y * log(x))",
}
_NUMPY_NAMES = {"pow": "power", "round_to_integral": "rint", "minimum_number": "fmin", "maximum_number": "fmax"}

ResultFormat = FloatFormat | IntFormat


def tabulated(name: str, fmt: Any) -> tuple[Operation, ResultFormat]:
    """Return the operation and the format for two names; raise ValueError if a table would have too many results."""
    operation, operand = find_operation(name), dtype(fmt)
    if isinstance(operand, TableFormat):
        raise ValueError(f"{operand.name} is a codebook: operations are only for float and integer formats")
    if operation.name == "scaleb" or operation.operands not in MAX_BITS:
        raise ValueError(
            f"{operation.name} has no table: only operations on one or two numbers have one, such as "
            f"{'multiply' if operation.name == 'scaleb' else 'multiply and add'}"
        )
    most = MAX_BITS[operation.operands]
    if operand.bits > most:
        count = f"2^{operand.bits * operation.operands}"
        raise ValueError(
            f"{operation.name} of {operand.name} has {count} results: too many for a table; use a format of "
            f"at most {most} bits for {'one operand' if operation.operands == 1 else 'two operands'}"
        )
    return operation, operand


def _all_codes(fmt: ResultFormat, operands: int) -> list[NDArray[Any]]:
    """All combinations of codes, in one dimension; the last operand's code varies fastest."""
    codes = np.arange(fmt.code_count, dtype=fmt.code_dtype)
    return [np.ascontiguousarray(grid.ravel()) for grid in np.meshgrid(*[codes] * operands, indexing="ij")]


def _exact(operation: Operation, operands: Sequence[Array], rules: Profile) -> NDArray[np.float64]:
    """Exact values, correctly rounded to float64."""
    out = np.empty(operands[0].shape, np.uint64)
    rounding = rules.rounding if operation.name == "round_to_integral" else Rounding.NEAREST_EVEN
    operation.call(*operands, result="float64", profile="ieee", rounding=rounding, out=out)
    return out.view(np.float64)


def _to_float64(codes: NDArray[Any], fmt: ResultFormat) -> NDArray[np.float64]:
    return np.asarray(decode(codes, fmt, dtype=np.float64))


def _check_float64(fmt: ResultFormat) -> None:
    if isinstance(fmt, FloatFormat) and (fmt.precision > 24 or fmt.quantum_exponent < -960 or _top(fmt) > 1000):
        raise ValueError(f"errors in {fmt.name} cannot be measured: its precision or range is too large for float64")


def _top(fmt: FloatFormat) -> int:
    """The exponent of the largest finite value."""
    significand, exponent = fmt.scaled(fmt.max_code)
    return significand.bit_length() - 1 + exponent


def ulps(values: NDArray[np.float64], exact: NDArray[np.float64], fmt: ResultFormat) -> NDArray[np.float64]:
    """Signed errors in units of the format's quantum at the exact values; NaN where either is not finite.

    Parameters
    ----------
    values, exact : numpy.ndarray of float64
    fmt : FloatFormat or IntFormat

    Returns
    -------
    numpy.ndarray of float64

    Examples
    --------
    >>> import numpy as np
    >>> import fpemu as fe
    >>> from fpemu.inspection.accuracy import ulps
    >>> ulps(np.array([1.0, 2.0]), np.array([1.25, 1.75]), fe.dtype("float8_e4m3fn"))
    array([-2.,  2.])
    """
    exponents = quantum_exponents(np.where(np.isfinite(exact), exact, 0.0), fmt)
    with np.errstate(invalid="ignore"):
        errors = np.asarray(values - exact)
    errors[~np.isfinite(errors)] = np.nan
    scaled: NDArray[np.float64] = np.ldexp(errors, -exponents)
    return scaled


# -- tables -----------------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, eq=False)
class OperationTable:
    """All results of an operation.

    Parameters
    ----------
    operation : Operation
    format, result : FloatFormat or IntFormat
        Of the operands and of the results.
    profile : Profile
    codes : numpy.ndarray
        The results: axis 0 by x's code, axis 1 by y's code, if there is a y.
    flags : Flags or None
        None under rules that round twice, which have none.
    """

    operation: Operation
    format: ResultFormat
    result: ResultFormat
    profile: Profile
    codes: NDArray[Any]
    flags: Flags | None

    def values(self) -> NDArray[Any]:
        """The results as floats."""
        return np.asarray(decode(self.codes, self.result))

    def relative_errors(self) -> NDArray[np.float64]:
        """Magnitudes of relative errors; NaN where a value is not finite or the exact one is 0."""
        _check_float64(self.result)
        operands = [Array.from_codes(codes, self.format) for codes in _all_codes(self.format, self.codes.ndim)]
        exact = _exact(self.operation, operands, self.profile).reshape(self.codes.shape)
        with np.errstate(invalid="ignore", divide="ignore"):
            relative = np.abs(_to_float64(self.codes, self.result) - exact) / np.abs(exact)
        relative[~np.isfinite(relative)] = np.nan
        return np.asarray(relative)


def operation_table(name: str, fmt: Any, result: Any = None, profile: Profile | None = None) -> OperationTable:
    """The table of an operation on all codes of a format.

    Parameters
    ----------
    name : str
        An operation; see `fpemu.inspection.operations.find_operation`.
    fmt : str, Format or dtype
        The operands' format, of 16 bits at most, of 8 for two operands.
    result : str, Format or dtype, optional
        The results' format; default the operands'.
    profile : Profile, optional
        The rules; default the result format's own.

    Returns
    -------
    OperationTable

    Raises
    ------
    ValueError
        If the table would be too large, the rounding is stochastic, or a name is unknown.

    Examples
    --------
    >>> from fpemu.inspection.accuracy import operation_table
    >>> operation_table("multiply", "int2").values()
    array([[ 0,  0,  0,  0],
           [ 0,  1, -2, -1],
           [ 0, -2,  1,  1],
           [ 0, -1,  1,  1]], dtype=int8)
    """
    operation, operand = tabulated(name, fmt)
    target = operand if result is None else dtype(result)
    if isinstance(target, TableFormat):
        raise ValueError(f"{target.name} is a codebook: results must be in a float or integer format")
    rules = target.check_profile(target.profile if profile is None else profile)
    if isinstance(rules.rounding, Stochastic):
        raise ValueError("there are no tables for stochastic rounding")
    operands = [Array.from_codes(codes, operand) for codes in _all_codes(operand, operation.operands)]
    shape = (operand.code_count,) * operation.operands
    out = np.empty(operands[0].shape, target.code_dtype)
    with_flags = rules.through is not Through.FLOAT32
    returned = operation.call(*operands, result=target, profile=rules, out=out, return_flags=with_flags)
    flags = Flags(returned[1].bits.reshape(shape)) if with_flags else None
    return OperationTable(operation, operand, target, rules, out.reshape(shape), flags)


# -- errors -----------------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, eq=False)
class Method:
    """The errors of one method of computing a function.

    Parameters
    ----------
    name : str
    codes : numpy.ndarray
        Its results.
    ulps : numpy.ndarray of float64
        Signed errors; NaN where they are not measured.
    differs : float
        The share of results that differ from the correctly rounded ones.
    distance : int
        The largest distance from the correctly rounded result, in values of the format, where both are finite.
    special : int
        The number of results that are NaN or infinite where the exact value lies in the format's range.
    """

    name: str
    codes: NDArray[Any]
    ulps: NDArray[np.float64]
    differs: float
    distance: int
    special: int

    @property
    def max_ulp(self) -> float:
        """The largest magnitude of an error; NaN if no error is measured."""
        known = np.abs(self.ulps[~np.isnan(self.ulps)])
        return float(known.max()) if known.size else float("nan")

    @property
    def mean_ulp(self) -> float:
        """The mean magnitude of an error; NaN if no error is measured."""
        known = np.abs(self.ulps[~np.isnan(self.ulps)])
        return float(known.mean()) if known.size else float("nan")

    @property
    def worst(self) -> int | None:
        """The index of the first of the largest errors; None if no error is measured."""
        return None if np.isnan(self.ulps).all() else int(np.nanargmax(np.abs(self.ulps)))


@dataclasses.dataclass(frozen=True, eq=False)
class Accuracy:
    """Errors of a function over the codes of a format.

    Parameters
    ----------
    operation : Operation
    format : FloatFormat or IntFormat
    profile : Profile
    operands : tuple of numpy.ndarray
        Their codes.
    values : tuple of numpy.ndarray of float64
        The operands as numbers.
    exact : numpy.ndarray of float64
    measured : numpy.ndarray of bool
        Where errors are measured: the operands are finite, and the exact value lies in the format's finite range.
    methods : tuple of Method
        The first is the correctly rounded function.
    """

    operation: Operation
    format: ResultFormat
    profile: Profile
    operands: tuple[NDArray[Any], ...]
    values: tuple[NDArray[np.float64], ...]
    exact: NDArray[np.float64]
    measured: NDArray[np.bool_]
    methods: tuple[Method, ...]

    def where(self, index: int | None) -> list[float]:
        """The operands at an index."""
        return [] if index is None else [float(value[index]) for value in self.values]

    def binades(self) -> list[dict[str, Any]]:
        """Errors by binade of a single operand, or of the exact value; zeros are left out."""
        sorted_by = np.abs(self.values[0] if len(self.values) == 1 else self.exact)
        inside = self.measured & (sorted_by != 0)
        exponents = np.frexp(np.where(inside, sorted_by, 1.0))[1] - 1
        rows: list[dict[str, Any]] = []
        for exponent in np.unique(exponents[inside]).tolist():
            chosen = inside & (exponents == exponent)
            errors = [np.abs(method.ulps[chosen]) for method in self.methods]
            known = [some[~np.isnan(some)] for some in errors]
            rows.append(
                {
                    "binade": exponent,
                    "count": int(chosen.sum()),
                    "max_ulp": [float(some.max()) if some.size else float("nan") for some in known],
                    "mean_ulp": [float(some.mean()) if some.size else float("nan") for some in known],
                }
            )
        return rows

    def to_dict(self) -> dict[str, Any]:
        """All properties by name except single results, ready for JSON."""
        return {
            "operation": self.operation.name,
            "format": self.format.name,
            "profile": self.profile.name,
            "count": int(self.exact.size),
            "measured": int(self.measured.sum()),
            "methods": [
                {
                    "name": method.name,
                    "max_ulp": method.max_ulp,
                    "at": self.where(method.worst),
                    "mean_ulp": method.mean_ulp,
                    "differs": method.differs,
                    "distance": method.distance,
                    "special": method.special,
                }
                for method in self.methods
            ],
            "binades": self.binades(),
        }


def usual_methods(name: str, fmt: Any) -> list[str]:
    """The default methods of `measure` besides correct rounding: float32, numpy's function, a composition.

    Parameters
    ----------
    name : str
    fmt : str, Format or dtype

    Returns
    -------
    list of str

    Examples
    --------
    >>> from fpemu.inspection.accuracy import usual_methods
    >>> usual_methods("sigmoid", "bfloat16"), usual_methods("sin", "bfloat16")
    (['float32', '1 / (1 + exp(-x))'], ['float32', 'numpy'])
    """
    operation = find_operation(name)
    methods = [FLOAT32, *([NUMPY] if _numpy_function(operation) is not None else [])]
    return methods + ([_COMPOSED[operation.name]] if operation.name in _COMPOSED else [])


def _numpy_function(operation: Operation) -> Any:
    return getattr(np, _NUMPY_NAMES.get(operation.name, operation.name), None)


def measure(
    name: str,
    fmt: Any,
    against: Sequence[str] | None = None,
    profile: Profile | None = None,
    low: float | None = None,
    high: float | None = None,
    advance: Callable[[int], None] | None = None,
) -> Accuracy:
    """Measure the errors of a function over all codes of a format: correctly rounded, and by other methods.

    Parameters
    ----------
    name : str
        An operation of one or two operands; see `fpemu.inspection.operations.find_operation`.
    fmt : str, Format or dtype
        The operands' and the results' format, of 16 bits at most, of 8 for two operands.
    against : sequence of str, optional
        Other methods: "float32", correctly rounded to float32 and then to the format; "numpy", numpy's function of
        float32, rounded to the format; or an expression in x (and y), every step of which is rounded to the format.
        Default `usual_methods`.
    profile : Profile, optional
        The rules; default the format's own.
    low, high : float, optional
        The range of operands.
    advance : callable, optional
        Called with the number of results just computed; in total, there is one for each method and operand.

    Returns
    -------
    Accuracy

    Raises
    ------
    ValueError
        If there are too many codes, none in the range, the rounding is stochastic, or a method is unknown.

    Examples
    --------
    >>> from fpemu.inspection.accuracy import measure
    >>> found = measure("sigmoid", "float8_e4m3fn", against=["1 / (1 + exp(-x))"])
    >>> [(method.name, method.max_ulp <= 0.5) for method in found.methods]
    [('correctly rounded', True), ('1 / (1 + exp(-x))', False)]
    """
    operation, target = tabulated(name, fmt)
    rules = target.check_profile(target.profile if profile is None else profile)
    if isinstance(rules.rounding, Stochastic):
        raise ValueError("errors cannot be measured for stochastic rounding")
    _check_float64(target)
    names = list(usual_methods(name, target) if against is None else against)
    variables = ("x", "y")[: operation.operands]
    for method in names:
        if method == NUMPY and _numpy_function(operation) is None:
            raise ValueError(f"numpy has no {operation.name}: compare with float32, or an expression")
        if method not in (NUMPY, FLOAT32):
            parse_expression(method, variables)

    least, most = -np.inf if low is None else low, np.inf if high is None else high
    if np.isnan(least) or np.isnan(most):
        raise ValueError("NaN is not a valid end of the range of operands")
    operands = _all_codes(target, operation.operands)
    values = [_to_float64(codes, target) for codes in operands]
    if low is not None or high is not None:
        inside = np.logical_and.reduce([(some >= least) & (some <= most) for some in values])
        operands, values = [codes[inside] for codes in operands], [some[inside] for some in values]
    if not operands[0].size:
        raise ValueError(f"no value of {target.name} lies between {least} and {most}")
    exact = np.empty(operands[0].size)
    results = [np.empty(operands[0].size, target.code_dtype) for _ in range(1 + len(names))]
    for start in range(0, exact.size, OPERANDS_AT_ONCE):
        chunk = slice(start, start + OPERANDS_AT_ONCE)
        arrays = [Array.from_codes(codes[chunk], target) for codes in operands]
        exact[chunk] = _exact(operation, arrays, rules)
        for codes, method in zip(results, [CORRECT, *names], strict=True):
            codes[chunk] = _computed(operation, arrays, target, rules, method, variables)
            if advance is not None:
                advance(arrays[0].size)

    lowest, highest = finite_range(target)
    finite = np.logical_and.reduce([np.isfinite(some) for some in values])
    measured = finite & (exact >= lowest) & (exact <= highest)
    methods = [
        _method(method, codes, results[0], exact, measured, target)
        for method, codes in zip([CORRECT, *names], results, strict=True)
    ]
    return Accuracy(operation, target, rules, tuple(operands), tuple(values), exact, measured, tuple(methods))


def _computed(
    operation: Operation,
    arrays: list[Array],
    target: ResultFormat,
    rules: Profile,
    method: str,
    variables: tuple[str, ...],
) -> NDArray[Any]:
    """The codes of a function's results, by one method."""
    out = np.empty(arrays[0].shape, target.code_dtype)
    if method == CORRECT:
        operation.call(*arrays, result=target, profile=rules, out=out)
        return out
    if method == FLOAT32:
        first = np.empty(arrays[0].shape, np.uint32)
        operation.call(*arrays, result="float32", profile="ieee", out=first)
        return np.asarray(encode(first.view(np.float32), target, profile=rules))
    if method == NUMPY:
        numbers = [np.asarray(decode(array.codes, array.format, dtype=np.float32)) for array in arrays]
        with np.errstate(all="ignore"):
            single = np.asarray(_numpy_function(operation)(*numbers), np.float32)
        return np.asarray(encode(single, target, profile=rules))
    computed = compute(method, target, dict(zip(variables, arrays, strict=True)), rules)
    return np.broadcast_to(computed.codes, out.shape)


def _method(
    name: str,
    codes: NDArray[Any],
    correct: NDArray[Any],
    exact: NDArray[np.float64],
    measured: NDArray[np.bool_],
    fmt: ResultFormat,
) -> Method:
    values = _to_float64(codes, fmt)
    errors = ulps(values, exact, fmt)
    errors[~measured] = np.nan
    ranked, nans = ranks(codes, fmt)
    correct_ranked, correct_nans = ranks(correct, fmt)
    both = np.isfinite(values) & np.isfinite(_to_float64(correct, fmt))
    apart = np.where(both, np.maximum(ranked, correct_ranked) - np.minimum(ranked, correct_ranked), np.uint64(0))
    same = (codes == correct) | (nans & correct_nans)
    special = int((measured & ~np.isfinite(values)).sum())
    return Method(name, codes, errors, float(1 - same.mean()), int(apart.max(initial=0)), special)
