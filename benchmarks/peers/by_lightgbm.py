"""LightGBM's own ways to predict, one thread: the fastest call for one row, and a trained booster to ask."""

import ctypes
from dataclasses import dataclass

import lightgbm
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

ONE_THREAD = {"verbosity": -1, "num_threads": 1, "deterministic": True}
TRAINING_ROWS = 20_000


@dataclass(frozen=True)
class Size:
    """Trees, leaves a tree and columns of a model."""

    trees: int
    leaves: int
    columns: int

    def __str__(self) -> str:
        return f"{self.trees} x {self.leaves}, {self.columns} columns"


def table(size: Size, rows: int, seed: int) -> Floats:
    """Return numbers of which a third are counts and a tenth are missing."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(rows, size.columns))
    X[:, ::3] = rng.poisson(1.0, X[:, ::3].shape)
    X[rng.random(X.shape) < 0.1] = np.nan
    return X


def booster(size: Size) -> lightgbm.Booster:
    """Train on a weighted sum of all columns and noise, so that trees split on many of them."""
    rng = np.random.default_rng(1)
    X = table(size, TRAINING_ROWS, 2)
    signal = np.nan_to_num(X) @ rng.normal(size=size.columns) / np.sqrt(size.columns)
    y = (signal + rng.normal(size=len(X)) > 0.0).astype(float)
    parameters = {
        "objective": "binary",
        "num_leaves": size.leaves,
        "learning_rate": 0.05,
        "feature_fraction": 0.3,
    }
    return lightgbm.train({**parameters, **ONE_THREAD}, lightgbm.Dataset(X, y), size.trees)


class SingleRow:
    """LGBM_BoosterPredictForMatSingleRowFast: everything but the row is prepared once, and no array is made."""

    _DOUBLE, _RAW_SCORE = 1, 1

    def __init__(self, model: lightgbm.Booster, columns: int) -> None:
        library = lightgbm.basic._LIB
        self._model = model  # the prepared call reads it
        self._prepared, length = ctypes.c_void_p(), ctypes.c_int64()
        failed = library.LGBM_BoosterPredictForMatSingleRowFastInit(
            model._handle,
            self._RAW_SCORE,
            0,
            -1,
            self._DOUBLE,
            columns,
            b"num_threads=1",
            ctypes.byref(self._prepared),
        )
        if failed:
            raise SystemExit("LightGBM prepares no call for single rows.")
        self.answer = ctypes.c_double()
        self._more = ctypes.byref(length), ctypes.byref(self.answer)
        self._call = library.LGBM_BoosterPredictForMatSingleRowFast

    def __call__(self, row: ctypes.c_void_p) -> float:
        self._call(self._prepared, row, *self._more)
        return self.answer.value


def pointer(row: Floats) -> ctypes.c_void_p:
    """Return where the values of a row are."""
    return row.ctypes.data_as(ctypes.c_void_p)
