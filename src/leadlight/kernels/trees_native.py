"""Trees as the native kernels read them: every node is one comparison, whatever it says of missing values.

A node of the extension asks ``x[slot] <= number``; true leads to its first child, false and NaN to its second. A slot
is a feature as it is, negated, with zeros made missing, or both. So where missing values go left, the node compares
the negated value with the next larger threshold and has its children swapped. Values that LightGBM reads as zero
cannot lie on both sides of a threshold, once thresholds among them have been moved to their ends.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from leadlight.errors import BundleError
from leadlight.kernels.quadrature import gauss_legendre

if TYPE_CHECKING:
    from leadlight.kernels.trees import Trees

Floats = NDArray[np.float64]

# LightGBM keeps this constant as a 32-bit float and reads anything as small as it as zero, in every node.
ZERO: Final = float(np.float32(1e-35))
CATEGORICAL, DEFAULT_LEFT, MISSING_ZERO, MISSING_NAN, MISSING_BITS = 1, 2, 4, 8, 12

_NEGATED, _ZERO_MISSING, _VARIANTS = 1, 2, 4
_RULES: Final = (4, 8, 16, 32)
"""Numbers of quadrature nodes: exact for paths of up to 8, 16, 32 and 64 features."""

_ROWS_A_THREAD: Final = 256


def new_forest(native: Any, trees: Trees) -> tuple[Any, NDArray[np.int32], NDArray[np.int32]]:
    """Return the extension's copy of the trees, the features they split on, and each slot's position among these.

    Raises
    ------
    BundleError
        The trees are not valid, so that walking them would read outside of them.
    """
    try:
        return _packed(native, trees)
    except (ValueError, IndexError, OverflowError) as error:
        raise _damaged(error) from error


def _packed(native: Any, trees: Trees) -> tuple[Any, NDArray[np.int32], NDArray[np.int32]]:
    decision, threshold = trees.decision, trees.threshold
    categorical = (decision & CATEGORICAL) != 0
    missing = decision & MISSING_BITS
    missing_left = np.where(missing == 0, threshold >= 0.0, (decision & DEFAULT_LEFT) != 0)
    number = threshold.copy()
    number[(threshold >= 0.0) & (threshold < ZERO)] = ZERO
    number[(threshold < 0.0) & (threshold >= -ZERO)] = np.nextafter(-ZERO, -math.inf)
    swapped = missing_left & ~categorical
    # Nothing is above +inf: NaN makes the comparison false, and every value goes left.
    above = np.where(number == math.inf, math.nan, -np.nextafter(number, math.inf))
    number = np.where(categorical, threshold, np.where(swapped, above, number))
    variant = swapped * _NEGATED + (~categorical & (missing == MISSING_ZERO)) * _ZERO_MISSING
    # A feature that is none stays none: the extension checks them.
    keys = (variant.astype(np.int64) << 32) + trees.feature.astype(np.uint32)
    slots, slot = np.unique(keys, return_inverse=True)
    slot_variant, slot_feature = slots >> 32, (slots & 0xFFFFFFFF).astype(np.uint32).astype(np.int32)
    used, slot_column = np.unique(slot_feature, return_inverse=True)
    parts = (
        _whole(trees.root),
        _whole(np.where(swapped, trees.right, trees.left)),
        _whole(np.where(swapped, trees.left, trees.right)),
        _whole(slot),
        _numbers(number),
        np.ascontiguousarray(categorical),
        _numbers(trees.leaf_value),
        _whole(slot_feature),
        np.ascontiguousarray(trees.category_offset, dtype=np.int64),
        np.ascontiguousarray(trees.category_word, dtype=np.uint32),
    )
    counts = tuple(np.bincount(slot_variant, minlength=_VARIANTS)[:_VARIANTS].tolist())
    return native.new_forest(parts, counts, trees.n_features), _whole(used), _whole(slot_column)


def new_explainer(native: Any, trees: Trees) -> tuple[Any, float]:
    """Return the extension's tables for SHAP values, None where a path is too long for them, and the base.

    Raises
    ------
    BundleError
        The trees are not valid.
    """
    forest, used, slot_column = trees._forest
    at, mass = (np.concatenate(parts) for parts in zip(*map(gauss_legendre, _RULES), strict=True))
    expected = np.zeros(len(trees.leaf_value))
    counts = _numbers(trees.internal_count), _numbers(trees.leaf_count)
    try:
        explainer = native.new_explainer(forest, used, slot_column, *counts, at, mass, expected)
        return explainer, math.fsum(expected.tolist())
    except (ValueError, OverflowError) as error:
        raise _damaged(error) from error


def native_margin(native: Any, trees: Trees, X: Floats, threads: int) -> Floats:
    """Return the margin of the rows of a C-contiguous X of the trees' width."""
    out = np.empty(len(X))
    forest = trees._forest[0]
    if threads == 1 or len(X) <= _ROWS_A_THREAD:
        native.forest_margin(forest, X, out)
    else:
        _in_parts(lambda rows: native.forest_margin(forest, X[rows], out[rows]), len(X), threads)
    return out


def native_shap(native: Any, explainer: Any, X: Floats, threads: int) -> Floats:
    """Return the SHAP values of the rows of a C-contiguous X of the trees' width."""
    values = np.zeros(X.shape)
    if threads == 1 or len(X) <= _ROWS_A_THREAD:
        native.forest_shap(explainer, X, values)
    else:
        _in_parts(lambda rows: native.forest_shap(explainer, X[rows], values[rows]), len(X), threads)
    return values


def _damaged(error: Exception) -> BundleError:
    return BundleError(f"The trees are not valid: {error}. The model is damaged; train it again.")


def _in_parts(call: Callable[[slice], Any], n: int, threads: int) -> None:
    """Call with slices of at least 256 rows that cover n, on so many threads."""
    if threads < 1:
        raise ValueError(f"threads is {threads}; it must be at least 1.")
    size = max(_ROWS_A_THREAD, -(-n // (4 * threads)))
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(call, (slice(start, start + size) for start in range(0, n, size))))


def _whole(values: NDArray[Any]) -> NDArray[np.int32]:
    return np.ascontiguousarray(values, dtype=np.int32)


def _numbers(values: NDArray[Any]) -> Floats:
    return np.ascontiguousarray(values, dtype=np.float64)
