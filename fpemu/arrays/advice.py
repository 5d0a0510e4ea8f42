"""Replacements for the functions and ufuncs of numpy that do not work on Arrays, by name."""

from __future__ import annotations

from fpemu.arithmetic import MATRICES

__all__ = ["INSTEAD", "numpy_refusal"]


_PRODUCT = "fpemu.vecdot(A[:, None, :], B.T)"
_INNER = "fpemu.vecdot(A[:, None, :], B)"
_OUTER = "np.multiply.outer(A.ravel(), B.ravel())"
_CROSS = "A[..., [1, 2, 0]] * B[..., [2, 0, 1]] - A[..., [2, 0, 1]] * B[..., [1, 2, 0]]"
_NORM = "fpemu.sqrt(fpemu.dot(A.ravel(), A.ravel()))"
_VARIANCE = "fpemu.mean(np.square(A - fpemu.mean(A)))"
_NUMBERS_OF = "A[~np.isnan(A)]"
_WINDOWS = "fpemu.Array(np.lib.stride_tricks.sliding_window_view(A.codes, B.size), A.format)"

# The replacement, for Arrays A and B.  It rounds at each of its steps.
INSTEAD: dict[str, str] = {
    # products
    **dict.fromkeys(("matmul", "linalg.matmul", "linalg.multi_dot", "linalg.matrix_power", "einsum"), _PRODUCT),
    **dict.fromkeys(("tensordot", "linalg.tensordot"), _PRODUCT),
    "matvec": "fpemu.vecdot(A, B)",
    "vecmat": "fpemu.vecdot(A, B.T)",
    "inner": _INNER,
    **dict.fromkeys(("outer", "linalg.outer"), _OUTER),
    "vdot": "fpemu.dot(A.ravel(), B.ravel())",
    "linalg.vecdot": "np.vecdot(A, B)",
    "kron": "(A[:, None, :, None] * B[:, None, :]).reshape(len(A) * len(B), -1)",
    **dict.fromkeys(("cross", "linalg.cross"), _CROSS),
    **dict.fromkeys(("trace", "linalg.trace"), "fpemu.sum(np.diagonal(A))"),
    **dict.fromkeys(("linalg.norm", "linalg.vector_norm", "linalg.matrix_norm"), _NORM),
    "convolve": f"fpemu.vecdot({_WINDOWS}, B[::-1])",
    "correlate": f"fpemu.vecdot({_WINDOWS}, B)",
    "polyval": "functools.reduce(lambda y, c: fpemu.fma(y, B, c), A)",
    # sums and statistics
    "prod": "functools.reduce(np.multiply, A.ravel())",
    "cumprod": "np.stack(list(itertools.accumulate(A.ravel(), np.multiply)))",
    "cumulative_sum": "np.cumsum(A)",
    "std": f"fpemu.sqrt({_VARIANCE})",
    "var": _VARIANCE,
    "average": "fpemu.mean(A)",
    "median": "np.sort(A, axis=None)[A.size // 2]",
    "percentile": "np.sort(A, axis=None)[round(q / 100 * (A.size - 1))]",
    "quantile": "np.sort(A, axis=None)[round(q * (A.size - 1))]",
    "ptp": "np.max(A) - np.min(A)",
    "nanmax": f"np.max({_NUMBERS_OF})",
    "nanmin": f"np.min({_NUMBERS_OF})",
    "nansum": f"fpemu.sum({_NUMBERS_OF})",
    "nanmean": f"fpemu.mean({_NUMBERS_OF})",
    "nancumsum": "np.cumsum(np.where(np.isnan(A), 0, A))",
    "nan_to_num": "np.where(np.isnan(A), 0, A)",
    "diff": "A[..., 1:] - A[..., :-1]",
    "ediff1d": "A.ravel()[1:] - A.ravel()[:-1]",
    "trapezoid": "fpemu.sum(A[..., 1:] + A[..., :-1], axis=-1) / 2",
    # elementwise
    **dict.fromkeys(("round", "around"), "np.rint(A)"),
    "fix": "np.trunc(A)",
    "sign": "np.where(A > 0, 1, np.where(A < 0, -1, A))",
    "heaviside": "np.where(A > 0, 1, np.where(A < 0, 0, B))",
    **dict.fromkeys(("conjugate", "conj", "real"), "+A"),
    "imag": "np.zeros_like(A)",
    "tan": "fpemu.sin(A) / fpemu.cos(A)",
    "log10": "fpemu.log(A) / np.log(10)",
    "log1p": "fpemu.log(fpemu.add(A, 1))",
    "expm1": "fpemu.exp(A) - 1",
    "sinh": "(fpemu.exp(A) - fpemu.exp(-A)) / 2",
    "cosh": "(fpemu.exp(A) + fpemu.exp(-A)) / 2",
    "hypot": "fpemu.sqrt(fpemu.vecdot(np.stack([A, B], -1), np.stack([A, B], -1)))",
    **dict.fromkeys(("degrees", "rad2deg"), "A * (180 / np.pi)"),
    **dict.fromkeys(("radians", "deg2rad"), "A * (np.pi / 180)"),
    "float_power": "np.power(A, 2)",
    "floor_divide": "np.floor(fpemu.divide(A, B, rounding='toward_negative'))",
    "remainder": "np.fmod(A, B), which has A's sign",
    "modf": "(A - np.trunc(A), np.trunc(A))",
    "divmod": "(np.trunc(fpemu.divide(A, B, rounding='toward_zero')), np.fmod(A, B)), which has A's sign",
    "frexp": "fpemu.scaleb(A, -1 - fpemu.logb(A).values.astype(int)), fpemu.logb(A) + 1",
    "nextafter": "fpemu.next_up(A)",
    "spacing": "fpemu.spacing(A)",
    "isposinf": "np.isinf(A) & (A > 0)",
    "isneginf": "np.isinf(A) & (A < 0)",
    # truth and bits
    "logical_and": "(A != 0) & (B != 0)",
    "logical_or": "(A != 0) | (B != 0)",
    "logical_xor": "(A != 0) ^ (B != 0)",
    "logical_not": "A == 0",
    "bitwise_and": "fpemu.Array(A.codes & B.codes, A.format)",
    "bitwise_or": "fpemu.Array(A.codes | B.codes, A.format)",
    "bitwise_xor": "fpemu.Array(A.codes ^ B.codes, A.format)",
    "invert": "fpemu.Array(A.codes ^ (A.format.code_count - 1), A.format)",
    "left_shift": "fpemu.left_shift(A.astype('int16'), 1)",
    "right_shift": "fpemu.right_shift(A.astype('int16'), 1)",
    "array_equiv": "np.array_equal(*np.broadcast_arrays(A, B))",
    "isin": "np.any(np.equal.outer(A, B.ravel()), axis=-1)",
    # selection and rearrangement
    "append": "np.concatenate([A.ravel(), B.ravel()])",
    "insert": "np.concatenate([A[:1], B, A[1:]])",
    "pad": "np.concatenate([np.zeros_like(A[:1]), A, np.zeros_like(A[:1])])",
    "block": "np.concatenate([A, B])",
    "resize": "np.tile(A.ravel(), 3)[: 2 * A.size]",
    "partition": "np.sort(A)",
    "argpartition": "np.argsort(A)",
    "diag": "np.diagonal(A)",
    "linalg.diagonal": "np.diagonal(A, axis1=-2, axis2=-1)",
    **dict.fromkeys(("matrix_transpose", "linalg.matrix_transpose"), "np.swapaxes(A, -1, -2)"),
    "tril": "np.where(np.tri(*A.shape, dtype=bool), A, 0)",
    "triu": "np.where(np.tri(*A.shape, k=-1, dtype=bool), 0, A)",
    "rollaxis": "np.moveaxis(A, -1, 0)",
    "unstack": "tuple(A)",
    "compress": "A[A.values[:, 0] > 1]",
    "extract": "A[A > 1]",
    "choose": "np.where(A > 1, A, B)",
    "select": "np.where(A > 1, A, B)",
    "piecewise": "np.where(A > 1, A, B)",
    "meshgrid": "np.broadcast_arrays(A.ravel(), B.ravel()[:, None])",
    "apply_along_axis": "np.stack([np.cumsum(row) for row in A])",
    **dict.fromkeys(("put", "place", "putmask"), "A[A > 1] = 1"),
    "copyto": "A[...] = B",
    "fill_diagonal": "A[range(3), range(3)] = 1",
    "lib.stride_tricks.sliding_window_view": f"{_WINDOWS}",
    # on values
    "unique": "fpemu.array(np.unique(A.values), A.format)",
    "interp": "fpemu.array(np.interp(A.values, [0, 1], [0, 2]), A.format)",
    "linspace": "fpemu.array(np.linspace(0, 1, 5), A.format)",
    "histogram": "np.histogram(A.values)",
    "searchsorted": "np.searchsorted(A.values.ravel(), B.values)",
    "digitize": "np.digitize(A.values, [0, 1])",
    "cov": "np.cov(A.values)",
    "corrcoef": "np.corrcoef(A.values)",
    "savetxt": "np.savetxt(path, A.values)",
    "astype": "A.astype('float8_e5m2')",
    **dict.fromkeys(("save", "savez", "savez_compressed"), "fpemu.save(path, name=A), which keeps the format"),
}


def numpy_refusal(name: str) -> str:
    """The text of the error for a numpy function that does not work on Arrays.

    Parameters
    ----------
    name : str
        The name after "np.".

    Returns
    -------
    str

    Examples
    --------
    >>> from fpemu.arrays.advice import numpy_refusal
    >>> numpy_refusal("trace")
    'np.trace does not work on Arrays: use fpemu.sum(np.diagonal(A))'
    >>> numpy_refusal("gradient")
    "np.gradient does not work on Arrays; on values: np.gradient(A.values). What works: the docs' page Arrays"
    """
    instead = INSTEAD.get(name)
    if instead is None:
        on_values = f"np.{name}(A.values)"
        return f"np.{name} does not work on Arrays; on values: {on_values}. What works: the docs' page Arrays"
    if instead == _PRODUCT:
        instead = MATRICES
    return f"np.{name} does not work on Arrays: use {instead}"
