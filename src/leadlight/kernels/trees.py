"""Boosted trees: their arrays, what makes them valid, and the raw margin.

The margin in NumPy is the reference that the native one agrees with, bit for bit. Nothing here imports LightGBM.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from leadlight.errors import BundleError, InputError
from leadlight.kernels.native import extension, native_kernels
from leadlight.kernels.trees_native import (
    CATEGORICAL,
    DEFAULT_LEFT,
    MISSING_BITS,
    MISSING_ZERO,
    ZERO,
    native_margin,
    new_forest,
)

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Indices = NDArray[np.intp]

_WALK_CELLS: Final = 1 << 18  # rows x trees walked at once

_DTYPES: Final[dict[str, type[np.generic]]] = {
    "root": np.int32,
    "left": np.int32,
    "right": np.int32,
    "feature": np.int32,
    "threshold": np.float64,
    "decision": np.uint8,
    "internal_count": np.float64,
    "leaf_value": np.float64,
    "leaf_count": np.float64,
    "category_offset": np.int64,
    "category_word": np.uint32,
}


class _Rules(NamedTuple):
    """What a node does with special values."""

    zero_left: Bools
    missing_left: Bools
    categorical: Bools
    any_zero: bool
    any_categorical: bool


@dataclass(frozen=True, eq=False)
class Trees:
    """All trees of a model, concatenated.

    A child or a root that is >= 0 is the index of a node; one that is < 0 is ``~index`` of a leaf.

    Attributes
    ----------
    root : int32 array of shape (n_trees,)
    left, right : int32 arrays of shape (n_nodes,)
    feature : int32 array of shape (n_nodes,)
        Column of X.
    threshold : float64 array of shape (n_nodes,)
        Values up to and including it go left; +inf parts missing from present. In a categorical node: the
        index of its category set.
    decision : uint8 array of shape (n_nodes,)
        LightGBM's decision_type. Bit 0: categorical; bit 1: missing goes left; bits 2-3: what is missing
        (0 nothing, NaN is read as zero; 1 zero and NaN; 2 NaN).
    internal_count : float64 array of shape (n_nodes,)
        Training rows that reached the node.
    leaf_value, leaf_count : float64 arrays of shape (n_leaves,)
    category_offset : int64 array of shape (n_sets + 1,)
        Set s is ``category_word[category_offset[s]:category_offset[s + 1]]``.
    category_word : uint32 array
        Bitsets of the categories that go left.
    n_features : int
    """

    root: NDArray[np.int32]
    left: NDArray[np.int32]
    right: NDArray[np.int32]
    feature: NDArray[np.int32]
    threshold: Floats
    decision: NDArray[np.uint8]
    internal_count: Floats
    leaf_value: Floats
    leaf_count: Floats
    category_offset: NDArray[np.int64]
    category_word: NDArray[np.uint32]
    n_features: int

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return every field as an array, for storage; `from_arrays` is the inverse."""
        arrays = {name: getattr(self, name) for name in _DTYPES}
        return {**arrays, "n_features": np.array([self.n_features], dtype=np.int64)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Any]) -> Trees:
        """Build and validate trees from arrays such as `to_arrays` gives.

        Raises
        ------
        BundleError
            A field is missing or unknown, has the wrong type or shape, or the trees are not valid.
        """
        wanted = {field.name for field in fields(cls)}
        if set(arrays) != wanted:
            raise BundleError(
                f"The stored trees lack {sorted(wanted - set(arrays))} and have the unknown parts "
                f"{sorted(set(arrays) - wanted)}. The model is damaged or of another format; save it again."
            )
        parts: dict[str, Any] = {name: _cast(name, arrays[name], dtype) for name, dtype in _DTYPES.items()}
        width = _cast("n_features", np.atleast_1d(arrays["n_features"]), np.int64)
        _require(len(width) == 1, f"n_features has {len(width)} values instead of one")
        trees = cls(**parts, n_features=int(width[0]))
        trees.validate()
        return trees

    def validate(self) -> None:
        """Check that walking the trees is safe and gives finite numbers.

        Raises
        ------
        BundleError
            Lengths disagree, an index is out of bounds, a node or leaf is not reached exactly once from the
            roots, a value is not finite, a count is not positive or not the sum of its children's.
        """
        n, m = len(self.left), len(self.leaf_value)
        for name in ("right", "feature", "threshold", "decision", "internal_count"):
            size = len(getattr(self, name))
            _require(size == n, f"{name} has {size} values for {n} nodes")
        _require(len(self.leaf_count) == m, f"leaf_count has {len(self.leaf_count)} values for {m} leaves")
        _require(self.n_features >= 1, f"n_features is {self.n_features}")
        _require(not np.isnan(self.threshold).any(), "a threshold is NaN")
        # A bound on each value bounds the sum over trees, so that no margin overflows.
        largest = 1e300 / max(m, 1)
        _require((np.abs(self.leaf_value) <= largest).all(), "a leaf value is not finite or too large")
        for name in ("leaf_count", "internal_count"):
            count = getattr(self, name)
            _require(((count > 0) & (count < 1e300)).all(), f"a value of {name} is not positive and finite")
        _require(_within(self.feature, 0, self.n_features), f"a feature is not in 0..{self.n_features - 1}")
        _require((self.decision < MISSING_BITS).all(), "a decision type is unknown")
        self._validate_links()
        self._validate_categories()
        parts = cover(self, self.left) + cover(self, self.right)
        _require((parts == self.internal_count).all(), "a node's count is not the sum of its children's")

    def _validate_links(self) -> None:
        n, m = len(self.left), len(self.leaf_value)
        link = np.concatenate([self.root, self.left, self.right])
        _require(_within(link, -m, n), f"a child or root points outside the {n} nodes and {m} leaves")
        for name, size, target in (("node", n, link[link >= 0]), ("leaf", m, ~link[link < 0])):
            once = (np.bincount(target, minlength=size) == 1).all()
            _require(once, f"a {name} is not reached exactly once")
        # With one link to each node, the walk ends; nodes on a cycle are the ones that it does not meet.
        level = self.root[self.root >= 0]
        reached = 0
        while level.size:
            reached += level.size
            level = np.concatenate([self.left[level], self.right[level]])
            level = level[level >= 0]
        _require(reached == n, f"{n - reached} nodes form a cycle")

    def _validate_categories(self) -> None:
        offset, n_sets = self.category_offset, len(self.category_offset) - 1
        sound = n_sets >= 0 and offset[0] == 0 and offset[-1] == len(self.category_word)
        sound = sound and (offset[1:] > offset[:-1]).all()
        _require(sound, "the category sets do not fit their offsets")
        index = self.threshold[(self.decision & CATEGORICAL) != 0]
        known = _within(index, 0, n_sets) and (index == np.floor(index)).all()
        _require(known, f"a categorical node names none of the {n_sets} category sets")

    @cached_property
    def _rules(self) -> _Rules:
        default = (self.decision & DEFAULT_LEFT) != 0
        missing = self.decision & MISSING_BITS
        at_zero = self.threshold >= 0.0
        categorical = (self.decision & CATEGORICAL) != 0
        zero = missing == MISSING_ZERO
        return _Rules(
            zero_left=np.where(zero, default, at_zero),
            missing_left=np.where(missing == 0, at_zero, default),
            categorical=categorical,
            any_zero=bool((zero & ~categorical).any()),
            any_categorical=bool(categorical.any()),
        )

    @cached_property
    def _forest(self) -> tuple[Any, NDArray[np.int32], NDArray[np.int32]]:
        # Two threads may both make it: the results are equal, and the last one stays.
        return new_forest(extension(), self)

    def __getstate__(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in fields(self)}


def margin(trees: Trees, X: Floats, threads: int = 1) -> Floats:
    """Sum the leaf values of each row, in the order of the trees.

    Parameters
    ----------
    trees : Trees
    X : float64 array of shape (n, n_features)
        NaN is missing. Categories are codes, truncated to integers; an unknown one goes right.
    threads : int, default=1
        The native kernel shares the rows out to so many.

    Returns
    -------
    float64 array of shape (n,)
        Equal, bit for bit, to LightGBM's ``Booster.predict(X, raw_score=True)``.

    Raises
    ------
    InputError
        X does not have `n_features` columns.
    BundleError
        The trees are not valid. `Trees.validate` says so earlier, and finds more.
    """
    X = matrix(trees, X)
    native = native_kernels()
    return _margin(trees, X) if native is None else native_margin(native, trees, X, threads)


def _margin(trees: Trees, X: Floats) -> Floats:
    """Return the margin without the extension."""
    out = np.zeros(len(X))
    if not len(trees.root):
        return out
    for rows in blocks(len(X), _WALK_CELLS // len(trees.root)):
        value = trees.leaf_value[~_walk(trees, snap(X[rows]))]
        # accumulate is sequential by definition, sum is not. Like LightGBM, 0.0 + -0.0 gives 0.0.
        out[rows] = np.add.accumulate(value, axis=0)[-1] + 0.0
    return out


def _walk(trees: Trees, X: Floats) -> Indices:
    """Return ``~leaf`` of every tree and row, shape (n_trees, n), one level of all trees at a time."""
    n, width = X.shape
    cell = X.ravel()
    position = np.repeat(trees.root.astype(np.intp), n)
    live = np.flatnonzero(position >= 0)
    node, offset = position[live], (live % n) * width
    while live.size:
        left = go_left(trees, node, cell[offset + trees.feature[node]])
        node = np.where(left, trees.left[node], trees.right[node]).astype(np.intp)
        position[live] = node
        inner = node >= 0
        live, node, offset = live[inner], node[inner], offset[inner]
    return position.reshape(-1, n)


def go_left(trees: Trees, node: Indices, x: Floats) -> Bools:
    """Decide for values x at nodes; `node` broadcasts to the shape of `x`, tiny values are zero already."""
    rules = trees._rules
    left: Bools = x <= trees.threshold[node]
    if rules.any_zero:
        left = np.where(x == 0.0, rules.zero_left[node], left)
    missing = np.isnan(x)
    if missing.any():
        left = np.where(missing, rules.missing_left[node], left)
    if rules.any_categorical:
        where = np.nonzero(np.broadcast_to(rules.categorical[node], x.shape))
        left[where] = _in_category_set(trees, np.broadcast_to(node, x.shape)[where], x[where])
    return left


def _in_category_set(trees: Trees, node: Indices, x: Floats) -> Bools:
    # NaN, negatives and what does not fit an int32 are in no set; -0.5 truncates to category 0, as in C.
    valid = (x > -1.0) & (x < 2.0**31)
    code = np.where(valid, x, 0.0).astype(np.int64)
    index = trees.threshold[node].astype(np.intp)
    start = trees.category_offset[index]
    inside = valid & ((code >> 5) < trees.category_offset[index + 1] - start)
    word = trees.category_word[np.where(inside, start + (code >> 5), 0)]
    member: Bools = (word >> (code & 31).astype(np.uint32)) & np.uint32(1) != 0
    return inside & member


def cover(trees: Trees, child: NDArray[np.int32]) -> Floats:
    """Return the training rows that reached each child, a node or ``~index`` of a leaf."""
    inner = child >= 0
    count = np.empty(len(child))
    count[inner] = trees.internal_count[child[inner]]
    count[~inner] = trees.leaf_count[~child[~inner]]
    return count


def snap(X: Floats) -> Floats:
    """Return X with zero for every value that LightGBM reads as zero."""
    return np.where(np.abs(X) <= ZERO, 0.0, X)


def blocks(n: int, size: int) -> Iterator[slice]:
    """Yield slices that cover n in order, each of at most `size`, which is taken as at least 1."""
    size = max(size, 1)
    return (slice(start, start + size) for start in range(0, n, size))


def matrix(trees: Trees, X: Floats) -> Floats:
    """Return X as rows of float64, one after the other in memory.

    Raises
    ------
    InputError
        X does not have `n_features` columns.
    """
    X = np.ascontiguousarray(X, dtype=np.float64)
    if X.ndim != 2 or X.shape[1] != trees.n_features:
        wanted = f"(n, {trees.n_features})"
        raise InputError(f"X has shape {X.shape}, the trees need {wanted}. Pass the features of the model.")
    return X


def _within(index: NDArray[Any], low: int, high: int) -> bool:
    return bool(((index >= low) & (index < high)).all())


def _require(sound: bool | np.bool_, problem: str) -> None:
    if not sound:
        raise BundleError(f"The trees are not valid: {problem}. The model is damaged; train it again.")


def _cast(name: str, value: Any, dtype: type[np.generic]) -> NDArray[Any]:
    """Return a read-only array of the type, if that changes no value."""
    array = np.asarray(value)
    _require(array.ndim == 1, f"{name} has {array.ndim} dimensions instead of one")
    number = array.dtype.kind in ("iuf" if dtype is np.float64 else "iu") or array.size == 0
    _require(number, f"{name} holds {array.dtype} instead of {np.dtype(dtype)}")
    cast = array.astype(dtype)
    same = dtype is np.float64 or np.array_equal(cast, array)
    _require(same, f"{name} holds values that do not fit {np.dtype(dtype)}")
    cast.flags.writeable = False
    return cast
