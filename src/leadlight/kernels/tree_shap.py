"""Exact path-dependent SHAP values of boosted trees: the formula, and NumPy's version, the reference for the native one.

The SHAP values follow from the multilinear extension of the game of each leaf (Owen, 1972). On the path to a
leaf of value v, let w_i be the product of the cover ratios at the splits on feature i, and o_i be 1 if the
row agrees with all of them, otherwise 0. The leaf then gives feature j::

    v * (o_j - w_j) * integral over t in [0, 1] of prod_{i != j} (w_i + t * (o_i - w_i))

With u features the integrand is a polynomial of degree u - 1, so Gauss-Legendre quadrature with ceil(u / 2)
nodes is exact. Every sum is taken in an order that does not depend on the number of rows: a row alone and the
same row in a batch give the same bits.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from leadlight.kernels.native import extension, native_kernels
from leadlight.kernels.quadrature import gauss_legendre
from leadlight.kernels.trees import Bools, Floats, Indices, Trees, blocks, cover, go_left, matrix, snap
from leadlight.kernels.trees_native import native_shap, new_explainer

_CHUNK_SLOTS: Final = 1 << 12  # leaf-feature pairs integrated at once; it decides the order of sums
_SHAP_BYTES: Final = 1 << 24  # scratch of one block of rows; near the size of a cache
_SHAP_ROWS: Final = 512


class _Chunk(NamedTuple):
    """Leaves whose paths have the same number u of unique features."""

    edge: Indices  # (u, leaves): deepest edge of the feature on the path; it carries the agreement
    weight: Floats  # (u, leaves, 1)
    column: Indices  # (u, leaves): position in _Tables.used
    value: Floats  # (leaves, 1)
    at: tuple[float, ...]  # quadrature nodes on [0, 1] and their weights
    mass: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class _Tables:
    """What NumPy needs of a model.

    An edge is a node and a side: ``node`` for left, ``n_nodes + node`` for right.

    Attributes
    ----------
    base : float
        Expected margin over the training rows, by the counts.
    used : index array
        Features that some tree splits on.
    repeats : tuple of pairs of index arrays
        Edges that follow an edge of the same feature, and that edge; shallow ones first.
    chunks : tuple
        Leaves grouped by the number of unique features on their path.
    """

    base: float
    used: Indices
    repeats: tuple[tuple[Indices, Indices], ...]
    chunks: tuple[_Chunk, ...]


@dataclass(frozen=True, eq=False)
class ShapTables:
    """What `shap` needs of valid trees, computed once by `prepare`. Read only, so threads may share it.

    Attributes
    ----------
    trees : Trees
    """

    trees: Trees

    @cached_property
    def _native(self) -> tuple[Any, float]:
        # Two threads may both make it: the results are equal, and the last one stays.
        return new_explainer(extension(), self.trees)

    @cached_property
    def _reference(self) -> _Tables:
        return _tabulated(self.trees)

    def __getstate__(self) -> dict[str, Any]:
        return {"trees": self.trees}


def prepare(trees: Trees) -> ShapTables:
    """Tabulate the paths of valid trees for `shap`.

    Raises
    ------
    BundleError
        The trees are not valid.
    """
    tables = ShapTables(trees)
    if native_kernels() is None or tables._native[0] is None:
        tables._reference  # noqa: B018 - made here, not by the first row that is explained
    return tables


def _tabulated(trees: Trees) -> _Tables:
    n, m = len(trees.left), len(trees.leaf_value)
    child = np.concatenate([trees.left, trees.right])
    feature = np.concatenate([trees.feature, trees.feature])
    ratio = cover(trees, child) / np.tile(trees.internal_count, 2)
    leaf, edge, height = _paths(child, n, m)
    # Root to leaf within each feature of each leaf.
    order = np.lexsort((-height, feature[edge], leaf))
    leaf, edge = leaf[order], edge[order]
    new = np.ones(len(leaf), dtype=bool)
    new[1:] = (leaf[1:] != leaf[:-1]) | (feature[edge[1:]] != feature[edge[:-1]])
    first = np.flatnonzero(new)
    rank = np.arange(len(leaf)) - first[np.cumsum(new) - 1]
    repeats = []
    for depth in range(1, rank.max(initial=0) + 1):
        step = np.flatnonzero(rank == depth)
        edges, pick = np.unique(edge[step], return_index=True)
        repeats.append((edges, edge[step[pick] - 1]))

    # A slot is a leaf and one of the unique features on its path.
    slot_edge = edge[np.append(first[1:], len(edge)) - 1] if len(edge) else edge
    weight = np.multiply.reduceat(ratio[edge], first) if len(edge) else np.zeros(0)
    unique = np.bincount(leaf[first], minlength=m)
    slot_start = np.cumsum(unique) - unique
    used = np.unique(trees.feature).astype(np.intp)
    expected = trees.leaf_value.copy()
    chunks = []
    for u in np.unique(unique[unique > 0]).tolist():
        at, mass = gauss_legendre((u + 1) // 2)
        alike = np.flatnonzero(unique == u)
        for part in blocks(len(alike), _CHUNK_SLOTS // u):
            leaves = alike[part]
            slot = slot_start[leaves] + np.arange(u)[:, None]
            column = np.searchsorted(used, feature[slot_edge[slot]])
            value = trees.leaf_value[leaves][:, None]
            chunks.append(_Chunk(slot_edge[slot], weight[slot][..., None], column, value, at, mass))
            expected[leaves] *= np.multiply.reduce(weight[slot], axis=0)
    return _Tables(math.fsum(expected.tolist()), used, tuple(repeats), tuple(chunks))


def _paths(child: NDArray[np.int32], n: int, m: int) -> tuple[Indices, Indices, Indices]:
    """Climb from all leaves at once; return (leaf, edge, height above the leaf) of every step."""
    above_node, above_leaf = np.full(n, -1, dtype=np.intp), np.full(m, -1, dtype=np.intp)
    index = np.arange(2 * n)
    above_node[child[child >= 0]] = index[child >= 0]
    above_leaf[~child[child < 0]] = index[child < 0]
    steps = [(np.zeros(0, dtype=np.intp),) * 3]
    leaf = np.flatnonzero(above_leaf >= 0)
    edge = above_leaf[leaf]
    while leaf.size:
        steps.append((leaf, edge, np.full(len(leaf), len(steps))))
        edge = above_node[edge % n]
        leaf, edge = leaf[edge >= 0], edge[edge >= 0]
    leaves, edges, heights = (np.concatenate(part) for part in zip(*steps, strict=True))
    return leaves, edges, heights


def shap(trees: Trees, X: Floats, tables: ShapTables | None = None, threads: int = 1) -> tuple[Floats, float]:
    """Exact path-dependent TreeSHAP values of the margin.

    Parameters
    ----------
    trees : Trees
    X : float64 array of shape (n, n_features)
    tables : ShapTables, optional
        ``prepare(trees)``; pass it when calling more than once.
    threads : int, default=1
        The native kernel shares the rows out to so many.

    Returns
    -------
    values : float64 array of shape (n, n_features)
        In units of the margin; ``values.sum(axis=1) + base`` is the margin.
    base : float

    Raises
    ------
    InputError
        X does not have `n_features` columns.
    BundleError
        The trees are not valid.
    """
    X = matrix(trees, X)
    native = native_kernels()
    tables = ShapTables(trees) if tables is None else tables
    if native is not None:
        explainer, base = tables._native
        if explainer is not None:
            return native_shap(native, explainer, X, threads), base
    return _shap(trees, X, tables._reference)


def _shap(trees: Trees, X: Floats, tables: _Tables) -> tuple[Floats, float]:
    """Return values and base without the extension."""
    values = np.zeros(X.shape)
    # A row takes the values, decisions and agreements of all nodes, and five numbers a slot of one chunk.
    largest = max((chunk.edge.size for chunk in tables.chunks), default=0)
    rows_at_once = min(_SHAP_ROWS, _SHAP_BYTES // (16 * len(trees.left) + 40 * largest + 1))
    for rows in blocks(len(X), rows_at_once):
        cells = np.ascontiguousarray(snap(X[rows]).T)
        left = go_left(trees, np.arange(len(trees.left))[:, None], cells[trees.feature])
        agree = np.concatenate([left, ~left])
        for edge, earlier in tables.repeats:
            agree[edge] &= agree[earlier]
        phi = np.zeros((len(tables.used), cells.shape[1]))
        scratch = np.empty((3, largest * cells.shape[1]))
        for chunk in tables.chunks:
            _add_chunk(chunk, agree, phi, scratch)
        values[rows, tables.used] = phi.T
    return values, tables.base


def _add_chunk(chunk: _Chunk, agree: Bools, phi: Floats, scratch: Floats) -> None:
    n = agree.shape[1]
    shape = (*chunk.edge.shape, n)
    delta, factor, total = (part[: math.prod(shape)].reshape(shape) for part in scratch)
    np.subtract(agree[chunk.edge], chunk.weight, out=delta)
    total[...] = 0.0
    for at, mass in zip(chunk.at, chunk.mass, strict=True):
        np.multiply(delta, at, out=factor)
        factor += chunk.weight
        product = factor[0] * (mass * chunk.value)
        for other in factor[1:]:
            product *= other
        np.divide(product, factor, out=factor)  # factors are positive, for the nodes are inside (0, 1)
        total += factor
    total *= delta
    # bincount adds in the order of its input, so the number of rows does not change the sum of one row.
    target = (chunk.column * n)[..., None] + np.arange(n)
    phi += np.bincount(target.ravel(), weights=total.ravel(), minlength=phi.size).reshape(phi.shape)
