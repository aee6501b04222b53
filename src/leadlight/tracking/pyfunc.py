"""The bundle as an MLflow model: a loader module, so that nothing is pickled and the Scorer does the arithmetic.

Imports stay inside the functions: a scoring server needs the runtime, pandas and MLflow, not the training stack.
"""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from leadlight._version import __version__
from leadlight.errors import InputError
from leadlight.runtime import Scorer, load
from leadlight.runtime.bundle import MAX_BYTES
from leadlight.runtime.npy import from_npy
from leadlight.runtime.storage import read_files

if TYPE_CHECKING:
    import pandas as pd

REASONS: Final = 3
EXAMPLE_ROWS: Final = 5

_NUMBERS: Final = ("probability", "low", "high", "percentile")
_GOLDEN: Final = "golden_x.npy"


class LeadModel:
    """What `mlflow.pyfunc.load_model` wraps.

    Parameters
    ----------
    scorer : Scorer
    """

    def __init__(self, scorer: Scorer) -> None:
        self.scorer = scorer

    def predict(self, model_input: Any, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """Score feature rows.

        Parameters
        ----------
        model_input : DataFrame of shape (n, columns)
            Columns are found by name; NaN is missing.
        params : dict, optional
            `reasons`: at most so many reasons a row, by default 3.

        Returns
        -------
        DataFrame of shape (n, 8)
            probability, low, high (95 % interval of the calibration), percentile, grade, qualified, reasons (list of
            str, the heaviest first) and model_version, with the index of the input.

        Raises
        ------
        SchemaError, ColumnTypeError, InputError
            The rows, or the number of reasons, cannot be used.
        """
        import pandas as pd

        reasons = (params or {}).get("reasons", REASONS)
        if isinstance(reasons, bool) or not isinstance(reasons, int | np.integer) or reasons < 0:
            raise InputError(f"reasons is {reasons!r}; give the number of reasons, 0 or more.")
        found = self.scorer.predict_rows(model_input, reasons=int(reasons))
        columns: dict[str, Any] = {n: np.array([getattr(p, n) for p in found], float) for n in _NUMBERS}
        columns["grade"] = pd.Series([p.grade for p in found], dtype=object).to_numpy()
        columns["qualified"] = np.array([p.qualified for p in found], bool)
        columns["reasons"] = pd.Series([[r.text for r in p.reasons] for p in found], dtype=object).to_numpy()
        columns["model_version"] = np.full(len(found), self.scorer.version, dtype=object)
        return pd.DataFrame(columns, index=getattr(model_input, "index", None))


def _load_pyfunc(data_path: str) -> LeadModel:
    """Return the model of a bundle; MLflow finds this function by its name."""
    return LeadModel(load(data_path))


def save(bundle: Path, target: Path, model: Any = None) -> None:
    """Write a bundle as an MLflow model folder; no server is asked.

    Parameters
    ----------
    bundle : Path
        A folder or .zip that `Scorer.save` wrote.
    target : Path
        A folder that does not exist yet.
    model : mlflow.models.Model, optional
        Names the run and the logged model that it belongs to.
    """
    import mlflow.pyfunc
    import pandas as pd

    files = read_files(bundle, MAX_BYTES)
    scorer = Scorer.from_files(files)
    # Made from the names of the columns: an example that shows nobody.
    example = pd.DataFrame(from_npy(files[_GOLDEN], _GOLDEN)[:EXAMPLE_ROWS], columns=list(scorer.columns))
    mlflow.pyfunc.save_model(
        path=str(target),
        loader_module="leadlight.tracking.pyfunc",
        data_path=str(bundle),
        mlflow_model=model,
        signature=_signature(scorer),
        input_example=(example, {"reasons": REASONS}),
        pip_requirements=_requirements(),
    )


def _signature(scorer: Scorer) -> Any:
    """Every feature as a double, which holds a float32 exactly, and NaN where it is missing."""
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema
    from mlflow.types.schema import Array

    inputs = [ColSpec(DataType.double, name) for name in scorer.columns]
    outputs = [ColSpec(DataType.double, name) for name in _NUMBERS]
    outputs += [ColSpec(DataType.string, "grade"), ColSpec(DataType.boolean, "qualified")]
    outputs += [ColSpec(Array(DataType.string), "reasons"), ColSpec(DataType.string, "model_version")]
    params = ParamSchema([ParamSpec("reasons", DataType.long, REASONS)])
    return ModelSignature(inputs=Schema(inputs), outputs=Schema(outputs), params=params)


def _requirements() -> list[str]:
    pinned = [f"{name}=={version(name)}" for name in ("mlflow", "numpy", "pandas")]
    return [f"leadlight=={__version__}", *pinned]
