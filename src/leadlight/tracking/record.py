"""What a run holds, as plain values, complete before MLflow is asked; nothing here imports MLflow."""

from __future__ import annotations

import json
import math
import re
import secrets
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

_LONGEST: Final = 6000  # MLflow's limit for the value of a parameter
_SECRET: Final = re.compile(r"(?<=//)[^/@\s]+@")


@dataclass(frozen=True)
class Record:
    """All that a run holds but the bundle.

    Attributes
    ----------
    record_id : str
        Tag of everything that is made of it in MLflow, so that nothing is made twice.
    tracking_uri, artifact_root, experiment, run_name
        Where the run goes, and its name.
    started_ms, ended_ms : int
        Unix time of the work itself, not of its logging.
    model_digest : str or None
        Digest of the bundle that goes with it; None: a run without a model.
    parameters, metrics, tags
        As MLflow holds them.
    tables : dict of str to dict of str to list
        Shown as tables by MLflow: name to columns.
    datasets : list of dict
        name, digest, context, schema, profile (the last two JSON).
    children : list of dict
        Runs below this one: name, parameters, metrics; also tags, status, started_ms and ended_ms where they are not the
        run's own.
    registered_model : str or None
        Gets a version, and the alias `challenger`.
    files : dict of str to bytes
    """

    tracking_uri: str
    artifact_root: str | None
    experiment: str
    run_name: str | None
    started_ms: int
    ended_ms: int
    model_digest: str | None
    parameters: dict[str, str]
    metrics: dict[str, float]
    tags: dict[str, str]
    tables: dict[str, dict[str, list[Any]]] = field(default_factory=dict)
    datasets: list[dict[str, str]] = field(default_factory=list)
    children: list[dict[str, Any]] = field(default_factory=list)
    registered_model: str | None = None
    record_id: str = field(default_factory=lambda: secrets.token_hex(16))
    files: dict[str, bytes] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values that JSON can hold: without the files, and without the password of the tracking URI."""
        plain = asdict(self)
        del plain["files"]
        return {**plain, "tracking_uri": redacted(self.tracking_uri)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], files: dict[str, bytes]) -> Record:
        """Rebuild it from `to_dict`; names that this version does not know are left out."""
        known = {f.name for f in fields(cls)}
        return cls(**{name: value for name, value in values.items() if name in known}, files=files)


def redacted(text: str) -> str:
    """Return the text without the user and password of any URI in it."""
    return _SECRET.sub("***@", text)


def as_parameters(values: Mapping[str, Any]) -> dict[str, str]:
    """Return values as text, cut to what MLflow takes."""
    text = {str(name): str(value) for name, value in values.items()}
    return {n: v if len(v) <= _LONGEST else f"{v[: _LONGEST - 4]} ..." for n, v in text.items()}


def as_metrics(values: Mapping[str, Any]) -> dict[str, float]:
    """Return the finite numbers among the values."""
    return {name: float(value) for name, value in values.items() if _is_number(value)}


def _is_number(value: Any) -> bool:
    # NumPy's float64 is a float; its integers are not int, and have item().
    value = value.item() if hasattr(value, "item") else value
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def as_table(frame: pd.DataFrame) -> dict[str, list[Any]]:
    """Return the columns of a frame as plain lists, its named index levels first."""
    named = frame.reset_index() if any(frame.index.names) else frame.reset_index(drop=True)
    plain = json.loads(named.to_json(orient="split", date_format="iso", index=False))
    rows = plain["data"]
    return {str(name): [row[j] for row in rows] for j, name in enumerate(plain["columns"])}
