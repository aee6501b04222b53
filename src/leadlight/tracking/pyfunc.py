"""The bundle as an MLflow model: a loader module, so that nothing is pickled and the Scorer does the arithmetic.

Imports stay inside the functions: a scoring server needs the runtime, pandas and MLflow, not the training stack.
"""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import numpy as np

from leadlight._version import __version__
from leadlight.errors import InputError, closest
from leadlight.runtime import Scorer, load
from leadlight.runtime.bundle import MAX_BYTES
from leadlight.runtime.npy import from_npy
from leadlight.runtime.storage import read_files
from leadlight.tracking.served_events import EVENT_COLUMNS, NUMBERS, are_events, as_frame, predict_events

REASONS: Final = 3
EXAMPLE_ROWS: Final = 5

OUTPUTS: Final = (*NUMBERS, "grade", "qualified")

_GOLDEN: Final = "golden_x.npy"


class LeadModel:
    """What `mlflow.pyfunc.load_model` wraps.

    Parameters
    ----------
    scorer : Scorer
    output : str, optional
        Return this column alone, as an array: what `mlflow.models.evaluate` asks of a classifier ("qualified") or a
        regressor ("probability").
    """

    def __init__(self, scorer: Scorer, output: str | None = None) -> None:
        if output is not None and output not in OUTPUTS:
            raise InputError(f"output is {output!r}; choose from {OUTPUTS}{closest(output, OUTPUTS)}.")
        self.scorer, self.output = scorer, output

    def predict(self, model_input: Any, params: dict[str, Any] | None = None) -> Any:
        """Score feature rows, or members by their events.

        Parameters
        ----------
        model_input : DataFrame of shape (n, columns)
            With the columns occurred_at and action: events, see `leadlight.tracking.served_events`. Else feature rows:
            columns are found by name; NaN is missing.
        params : dict, optional
            `reasons`: at most so many reasons a row, by default 3. `at`: for events the moment to score at, ISO 8601;
            by default one microsecond after the newest event of the frame.

        Returns
        -------
        DataFrame, or an array where one output was asked for
            probability, low, high (95 % interval of the calibration), percentile, grade, qualified, reasons (list of
            str, the heaviest first) and model_version. Of feature rows one each, with the index of the input. Of events
            one for each member_id in order of appearance, with that column first and the columns cold_start and missing
            (facts that were not given) last.

        Raises
        ------
        SchemaError, ColumnTypeError, InputError
            The rows, the number of reasons or the moment cannot be used.
        """
        given = params or {}
        reasons = given.get("reasons", REASONS)
        if isinstance(reasons, bool) or not isinstance(reasons, int | np.integer) or reasons < 0:
            raise InputError(f"reasons is {reasons!r}; give the number of reasons, 0 or more.")
        reasons = 0 if self.output is not None else int(reasons)
        if are_events(model_input):
            found = predict_events(self.scorer, model_input, given.get("at"), reasons)
        elif given.get("at") is not None:
            raise InputError("at is for events; feature rows are of the moment that they were made for.")
        else:
            rows = self.scorer.predict_rows(model_input, reasons=reasons)
            found = as_frame(rows, self.scorer.version, getattr(model_input, "index", None))
        return found if self.output is None else found[self.output].to_numpy()


def _load_pyfunc(data_path: str, model_config: dict[str, Any] | None = None) -> LeadModel:
    """Return the model of a bundle; MLflow finds this function by its name.

    `model_config` may name one `output`; see `LeadModel`.
    """
    return LeadModel(load(data_path), (model_config or {}).get("output") or None)


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
        # MLflow passes on only what is named here; "" is none.
        model_config={"output": ""},
        signature=_signature(scorer),
        input_example=(example, {"reasons": REASONS}),
        pip_requirements=_requirements(),
    )


def _signature(scorer: Scorer) -> Any:
    """Every feature as a double, which holds a float32 exactly, and NaN where it is missing; or the columns of events.

    All are optional, since a frame holds the ones or the others; the Scorer names a feature that is lacking.
    """
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema
    from mlflow.types.schema import AnyType, Array

    inputs = [ColSpec(DataType.double, name, required=False) for name in scorer.columns]
    # Identifiers are text or integers, times text or timestamps: the Scorer reads them all.
    inputs += [ColSpec(AnyType(), name, required=False) for name in EVENT_COLUMNS]
    outputs = [ColSpec(DataType.double, name) for name in NUMBERS]
    outputs += [ColSpec(DataType.string, "grade"), ColSpec(DataType.boolean, "qualified")]
    outputs += [ColSpec(Array(DataType.string), "reasons"), ColSpec(DataType.string, "model_version")]
    params = ParamSchema(
        [ParamSpec("reasons", DataType.long, REASONS), ParamSpec("at", DataType.string, None)]
    )
    return ModelSignature(inputs=Schema(inputs), outputs=Schema(outputs), params=params)


def _requirements() -> list[str]:
    pinned = [f"{name}=={version(name)}" for name in ("mlflow", "numpy", "pandas")]
    return [f"leadlight=={__version__}", *pinned]
