"""The bundle: a model as files that hold numbers and JSON, nothing that runs.

::

    manifest.json         format, columns, weights, calibration, decision, estimand, ..., sha256 of every file
    plan.json             the plan, canonical
    trees_*.npy           the arrays of `Trees`, if there are trees
    linear_*.npy          the arrays of `Linear`, if there is a linear half
    encoding_*.npy        the tables of `Encoding`, if there are columns of categories; their levels stand in the manifest
    quantiles.npy         out-of-fold probabilities
    profile.npy           how the training rows were spread over tenths of each column, if that was kept
    golden_x.npy          synthetic rows, made from the names of the columns
    golden_log_odds.npy   what the model said of them when it was saved; replayed on loading

There is no clock, host or path in it: equal models give byte-identical bundles. Its digest is the sha256 of manifest.json.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.ma  # np.unique would import it while a bundle is loaded, and loading imports nothing
from numpy.typing import NDArray

from leadlight.errors import BundleError, InputError
from leadlight.kernels.native import extension
from leadlight.kernels.trees import Trees
from leadlight.plan import Plan
from leadlight.runtime.archive import FIRST, Files
from leadlight.runtime.encoding import ARRAYS as ENCODED
from leadlight.runtime.encoding import encoding_from
from leadlight.runtime.golden import check_golden, check_runs, golden_rows
from leadlight.runtime.manifest import (
    FORMAT,
    INFO_TYPES,
    LEVELS,
    OWN,
    read_json,
    read_manifest,
    write_manifest,
)
from leadlight.runtime.model import Calibration, Linear, Model
from leadlight.runtime.npy import from_npy, to_npy

extension()  # looked for now, as above

MAX_BYTES: Final = 256 << 20

_LINEAR: Final = ("mean", "scale", "coef", "missing_coef", "missing_rate")
_TREES: Final = tuple(name for name in Trees.__dataclass_fields__)
_HELD: Final = ("low", "high")
_ALGORITHM: Final = "sha256:"
_LEAST_DIGITS: Final = 12


class Parts(NamedTuple):
    """What a bundle holds."""

    model: Model
    plan: Plan
    info: dict[str, Any]
    files: Files | None = None


def digest(files: Files) -> str:
    """Return the digest of a packed bundle, 64 hex digits."""
    return hashlib.sha256(files[FIRST]).hexdigest()


def pack(model: Model, plan: Plan, info: Mapping[str, Any]) -> Files:
    """Return the files of a bundle.

    Parameters
    ----------
    model : Model
    plan : Plan
        Its columns are the model's.
    info : mapping
        Plain values: library_version, data_fingerprint, estimand (a sentence), simulated, windows, metrics,
        decision {kind, parameters, text} and whatever else should be kept. Not-a-number becomes null.

    Raises
    ------
    BundleError
        The model is not valid.
    InputError
        `info` holds something that JSON does not, or a name that the bundle itself uses.
    """
    check(model, plan)
    kept = described(model, info)
    golden = golden_rows(model.columns)
    plan_json = plan.to_json().encode()
    files: Files = {"plan.json": plan_json}
    arrays: dict[str, NDArray[Any]] = {"quantiles": model.quantiles, "golden_x": golden}
    arrays["golden_log_odds"] = model.log_odds(golden)
    if model.trees is not None:
        arrays |= {f"trees_{name}": array for name, array in model.trees.to_arrays().items()}
    if model.linear is not None:
        arrays |= {f"linear_{name}": array for name, array in zip(_LINEAR, model.linear.arrays, strict=True)}
        if model.linear.low is not None and model.linear.high is not None:
            arrays |= {"linear_low": model.linear.low, "linear_high": model.linear.high}
    if model.profile is not None:
        arrays["profile"] = model.profile
    if model.encoding is not None:
        arrays |= {f"encoding_{name}": array for name, array in model.encoding.to_arrays().items()}
        # Only here, so that a bundle of numbers alone stays what older versions wrote.
        kept[LEVELS] = [None if levels is None else list(levels) for levels in model.encoding.levels]
    files |= {f"{name}.npy": to_npy(array) for name, array in arrays.items()}
    manifest = {
        **kept,
        "format": FORMAT,
        "plan_digest": plan.digest,
        "columns": list(model.columns),
        "weights": {"trees": float(model.tree_weight), "linear": float(model.linear_weight)},
        "linear_intercept": None if model.linear is None else float(model.linear.intercept),
        "calibration": {
            "slope": float(model.calibration.slope),
            "intercept": float(model.calibration.intercept),
            "covariance": [[float(v) for v in row] for row in model.calibration.covariance],
        },
        "files": {name: hashlib.sha256(data).hexdigest() for name, data in sorted(files.items())},
    }
    return {FIRST: write_manifest(manifest), **dict(sorted(files.items()))}


def described(model: Model, info: Mapping[str, Any]) -> dict[str, Any]:
    """Return `info` as plain values with every part that a bundle has, the decision's threshold from the model.

    Raises
    ------
    InputError
        It holds something that JSON does not, or a name that the bundle itself uses.
    """
    reserved = sorted(OWN.intersection(info))
    if reserved:
        raise InputError(f"info holds {reserved}, which the bundle writes itself; leave them out.")
    kept = {name: _plain(value, name) for name, value in info.items()}
    for name, kind in INFO_TYPES.items():
        if name == "library_version":
            kept.setdefault(name, _library_version())
        kept.setdefault(name, kind())
        if not isinstance(kept[name], kind):
            raise InputError(f"info[{name!r}] is a {type(kept[name]).__name__}; give a {kind.__name__}.")
    decision = kept.get("decision", {})
    if not isinstance(decision, dict):
        raise InputError(
            f"info['decision'] is a {type(decision).__name__}; give a dict of kind, parameters and text."
        )
    threshold = None if math.isnan(model.threshold) else float(model.threshold)
    defaults: dict[str, Any] = {"kind": "", "parameters": {}, "text": ""}
    return {**kept, "decision": {**defaults, **decision, "threshold": threshold}}


def unpack(files: Files, *, expected: str | None = None, check_hashes: bool = True) -> Parts:
    """Check the files of a bundle and rebuild what they hold.

    Parameters
    ----------
    files : dict of name to bytes
    expected : str, optional
        The digest that the bundle must have, or at least its first 12 digits, with or without "sha256:" before them.
    check_hashes : bool
        Whether the files must have the hashes that the manifest names. Without it the model must still be valid and
        replay its golden rows. With `expected` they are checked in any case.

    Raises
    ------
    BundleError
        Something is missing, damaged, edited or of a newer format.
    InputError
        `expected` is no text.
    """
    if expected is not None and not isinstance(expected, str):
        raise InputError(f"digest is a {type(expected).__name__}; give the text that Scorer.digest gives.")
    try:
        return _unpack(files, expected, check_hashes)
    except BundleError:
        raise
    except Exception as error:  # a damaged bundle has one error, whatever it broke
        raise BundleError(f"The bundle is damaged: {error!r}. Copy or save it again.") from error


def check(model: Model, plan: Plan) -> None:
    """Raise `BundleError` unless model and plan are valid and fit each other; an empty plan leaves the columns to the model."""
    model.validate()
    plan.check()
    if plan.columns and model.columns != plan.column_names:
        raise BundleError(
            f"The model has {len(model.columns)} columns and the plan {len(plan.columns)}, or their names differ. "
            "Train the model on the features of this plan."
        )


def _unpack(files: Files, expected: str | None, check_hashes: bool) -> Parts:
    if FIRST not in files:
        raise BundleError(
            f"There is no {FIRST}: this is no bundle. Give the folder or .zip that save() wrote."
        )
    if expected is not None:
        _check_digest(digest(files), expected)
    # A digest names the manifest, and only its hashes name the other files.
    check_hashes = check_hashes or expected is not None
    manifest = read_manifest(files[FIRST], check_seal=check_hashes)
    _check_files(files, manifest["files"], check_hashes)
    plan = _plan(files["plan.json"], manifest["plan_digest"])
    model = _model(
        manifest,
        {n[:-4]: from_npy(d, n) for n, d in files.items() if n in manifest["files"] and n.endswith(".npy")},
    )
    check(model, plan)
    check_golden(
        model,
        from_npy(files["golden_x.npy"], "golden_x.npy"),
        from_npy(files["golden_log_odds.npy"], "golden_log_odds.npy"),
    )
    check_runs(plan)
    info = {name: value for name, value in manifest.items() if name not in OWN}
    return Parts(model, plan, info, {name: files[name] for name in (FIRST, *sorted(manifest["files"]))})


def _check_digest(found: str, expected: str) -> None:
    wanted = expected.lower().removeprefix(_ALGORITHM)
    if len(wanted) < _LEAST_DIGITS or not found.startswith(wanted):
        raise BundleError(
            f"The bundle has digest {found}, not {expected}. It is another model, or an edited one."
        )


def _check_files(files: Files, wanted: Mapping[str, str], check_hashes: bool) -> None:
    lacking = sorted(set(wanted) - set(files))
    if lacking:
        raise BundleError(f"The bundle lacks {', '.join(lacking[:5])}. Copy or save it again.")
    if not check_hashes:
        return
    for name, expected in wanted.items():
        if hashlib.sha256(files[name]).hexdigest() != expected:
            raise BundleError(
                f"{name} is damaged or was edited: its hash is not the manifest's. Copy or save the bundle again."
            )


def _plan(data: bytes, expected: str) -> Plan:
    plan = Plan.from_dict(read_json(data))
    if plan.digest != expected:
        raise BundleError(
            "plan.json is not the plan that the model was trained with. Copy or save the bundle again."
        )
    return plan


def _model(manifest: Mapping[str, Any], arrays: dict[str, NDArray[Any]]) -> Model:
    trees = {name[6:]: array for name, array in arrays.items() if name.startswith("trees_")}
    linear = {name[7:]: array for name, array in arrays.items() if name.startswith("linear_")}
    encoding = {name[9:]: array for name, array in arrays.items() if name.startswith("encoding_")}
    known = {"quantiles", "golden_x", "golden_log_odds"} | ({"profile"} & set(arrays))
    known |= {f"linear_{n}" for n in _HELD if n in linear}
    known |= {f"encoding_{n}" for n in ENCODED if LEVELS in manifest}
    known |= {f"trees_{n}" for n in _TREES if trees} | {f"linear_{n}" for n in _LINEAR if linear}
    if known != set(arrays):
        raise BundleError(
            f"The bundle lacks or adds arrays: {sorted(known ^ set(arrays))[:5]}. Copy or save it again."
        )
    calibration, threshold = manifest["calibration"], manifest["decision"]["threshold"]
    (aa, ab), (ba, bb) = calibration["covariance"]
    intercept = manifest["linear_intercept"]
    return Model(
        columns=tuple(manifest["columns"]),
        trees=Trees.from_arrays(trees) if trees else None,
        linear=Linear(**linear, intercept=_float(intercept)) if linear else None,
        tree_weight=_float(manifest["weights"]["trees"]),
        linear_weight=_float(manifest["weights"]["linear"]),
        calibration=Calibration(
            _float(calibration["slope"]),
            _float(calibration["intercept"]),
            ((_float(aa), _float(ab)), (_float(ba), _float(bb))),
        ),
        quantiles=arrays["quantiles"],
        threshold=math.nan if threshold is None else _float(threshold),
        encoding=encoding_from(manifest[LEVELS], encoding) if encoding else None,
        profile=arrays.get("profile"),
    )


def _plain(value: Any, name: str) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _plain(part, f"{name}.{key}") for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part, name) for part in value]
    raise InputError(f"info[{name!r}] is a {type(value).__name__}; give numbers, text, lists and dicts.")


def _float(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BundleError(f"{FIRST} holds {value!r} where a number belongs. Copy or save the bundle again.")
    return float(value)


def _library_version() -> str:
    from leadlight._version import __version__

    return __version__
