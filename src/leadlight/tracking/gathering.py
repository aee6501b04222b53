"""The record of a training run: parameters, metrics, tables, files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from leadlight.errors import InputError
from leadlight.moments import DAY_US, moment_text
from leadlight.tracking.folds import fold_runs
from leadlight.tracking.pictures import files_of
from leadlight.tracking.record import Record, as_metrics, as_parameters, as_table
from leadlight.tracking.surroundings import environment_file, environment_of
from leadlight.tracking.trials import kept, trial_runs, tuning_metrics, tuning_parameters, tuning_tables

if TYPE_CHECKING:
    import pandas as pd

    from leadlight.evaluation import Report
    from leadlight.observations import Observations
    from leadlight.qualifier import LeadQualifier, Scores, Tuning


def gather(
    qualifier: LeadQualifier,
    *,
    report: Report | None,
    scores: Scores | None,
    observations: Observations | None,
    tuning: Tuning | None,
    config: Mapping[str, str],
    config_text: str,
    parameters: Mapping[str, Any],
    measured: Mapping[str, float],
    note: str,
    tags: Mapping[str, str],
    parts: Mapping[str, Any] | None,
    include_members: bool,
    **where: Any,
) -> Record:
    """Return the record of a fitted qualifier; the arguments are those of `log_run`, `where` goes to `Record`.

    Raises
    ------
    InputError
        `parameters` repeat a name that is logged anyway.
    """
    from leadlight.qualifier import deal_parts

    info = qualifier.scorer_.info
    own = _parameters(qualifier, report) | tuning_parameters(tuning)
    own |= {f"config.{n}": v for n, v in config.items()}
    again = sorted(set(own) & {str(name) for name in parameters})
    if again:
        raise InputError(
            f"parameters= repeats {', '.join(again)}, which every run has; name yours differently."
        )
    moved_by = _importance(qualifier)
    if parts is None:
        # Without report and scores there is no page.
        parts = {} if report is None and scores is None else deal_parts(qualifier, refits=0)
    files = files_of(report, scores, moved_by, note, parts=parts, include_members=include_members)
    files["environment.json"] = environment_file()
    if config_text:
        files["config.yaml"] = config_text.encode()
    return Record(
        model_digest=qualifier.scorer_.digest,
        parameters=as_parameters(own | dict(parameters)),
        metrics=_metrics(info["metrics"], report) | tuning_metrics(tuning) | as_metrics(measured),
        tags={
            **tags,
            "leadlight.kind": "training",
            "simulated": str(bool(info["simulated"])).lower(),
            "estimand": qualifier.scorer_.estimand,
            "model_version": qualifier.scorer_.version,
            "trained_until": moment_text(info["windows"]["trained_until_us"]),
            **({"audit": "clean" if report.audit.clean else "flagged"} if report and report.audit else {}),
            **({} if tuning is None else {"tuning": kept(tuning)}),
            "mlflow.source.name": "leadlight",
            "mlflow.note.content": _description(qualifier, report, tuning, note),
        },
        tables=_tables(report, observations, moved_by) | tuning_tables(tuning),
        datasets=_datasets(qualifier, report, observations),
        children=fold_runs(qualifier) + trial_runs(tuning),
        files=files,
        **where,
    )


def _description(qualifier: LeadQualifier, report: Report | None, tuning: Tuning | None, note: str) -> str:
    """Return what a reader of the run has to know first, Markdown."""
    said = [note] if note else []
    if report is not None:
        said.append(f"**{report.sentence}**")
    said += [qualifier.scorer_.info["decision"]["text"], f"{qualifier.scorer_.estimand}."]
    said += [] if tuning is None else [tuning.sentence]
    if report is not None and report.audit is not None:
        said.append(str(report.audit))
    if report is not None:
        said += list(report.notes)
    return "\n\n".join(said)


def _parameters(qualifier: LeadQualifier, report: Report | None) -> dict[str, Any]:
    info = qualifier.scorer_.info
    windows = info["windows"]
    active = windows["active_within_us"]
    versions = environment_of()
    found: dict[str, Any] = {
        "plan_digest": qualifier.plan_.digest,
        "data_fingerprint": info["data_fingerprint"],
        "library_version": info["library_version"],
        "python": versions["python"],
        "kernels": versions["kernels"],
        "catalogue": qualifier.catalogue.name,
        "horizon": _days(windows["horizon_us"]),
        "gap": _days(windows["gap_us"]),
        "active_within": "all" if active is None else _days(active),
        "enters_on": ", ".join(windows["enters_on"]) or "joining",
        "trained_until": moment_text(windows["trained_until_us"]),
        "decision": info["decision"]["text"],
        "threshold": info["decision"]["threshold"],
        "selection": info["selection"],
        "selection_why": info.get("selection_why", ""),
    }
    classifier = getattr(qualifier, "classifier_", None)
    if classifier is not None:
        found["blend_weight"] = classifier.blend_weight_
        found |= {f"trees.{name}": value for name, value in classifier.settings_.items()}
    if report is not None:
        found |= {
            f"test.{name}": v for name, v in report.settings.items() if name.endswith(("_cutoff", "_until"))
        }
    return found


def _days(us: int) -> str:
    return f"{us / DAY_US:g}d"


def _metrics(training: Mapping[str, Any], report: Report | None) -> dict[str, float]:
    """Return finite figures: of training, of the test rows, and of every model with its interval."""
    found: dict[str, Any] = {}
    if report is not None:
        # MLflow shows them in this order: the model's own figures come first.
        for (model, metric), row in report.bounded().iterrows():
            name = f"{model}.{metric}"
            found |= {name: row["value"], f"{name}_low": row["low"], f"{name}_high": row["high"]}
        found |= {f"test.{name}": value for name, value in report.settings.items()}
    return as_metrics(found | dict(training))


def _importance(qualifier: LeadQualifier) -> pd.DataFrame | None:
    """What moves the scores of the latest training date, by behaviour."""
    from leadlight.explain import importance

    if not hasattr(qualifier, "training_") or not hasattr(qualifier, "classifier_"):
        return None
    X = qualifier.training_[0]
    at = X.index.get_level_values("cutoff")
    latest = X[at == at.max()]
    return importance(qualifier.plan_, qualifier.scorer_.explain_rows(latest)[0]) if len(latest) else None


def _tables(
    report: Report | None, observations: Observations | None, moved_by: pd.DataFrame | None
) -> dict[str, dict[str, list[Any]]]:
    tables = {}
    if observations is not None:
        tables["training_counts.json"] = as_table(observations.counts)
    if moved_by is not None:
        tables["importance.json"] = as_table(moved_by)
    if report is not None:
        tables["counts.json"] = as_table(report.counts)
        tables["metrics.json"] = as_table(report.bounded())
        if report.worth is not None:
            tables["worth.json"] = as_table(report.worth)
    return tables


def _datasets(
    qualifier: LeadQualifier, report: Report | None, observations: Observations | None
) -> list[dict[str, str]]:
    """Return what the run learned from and was judged on: counts, and the fingerprint of the data as digest."""
    info = qualifier.scorer_.info
    fingerprint = str(info["data_fingerprint"])
    schema = json.dumps(
        {
            "mlflow_colspec": [
                {"type": "float", "name": n, "required": True} for n in qualifier.plan_.column_names
            ]
        }
    )
    # MLflow shows the schema up to a length that some hundred columns go beyond.
    schema = schema if len(schema) < 60_000 else "{}"
    # MLflow keeps 36 characters.
    common = {"digest": fingerprint[:36], "fingerprint": fingerprint, "schema": schema}
    profile = {
        "rows": info["metrics"]["training_rows"],
        "positives": info["metrics"]["training_positives"],
        "trained_until": moment_text(info["windows"]["trained_until_us"]),
    }
    if observations is not None:
        profile["members"] = int(observations.frame["member_id"].nunique())
        profile["cutoffs"] = int(observations.frame["cutoff"].nunique())
    found = [{**common, "name": "training rows", "context": "training", "profile": json.dumps(profile)}]
    if report is not None:
        s = report.settings
        names = ("rows", "positives", "buyers", "cutoffs", "first_cutoff", "last_cutoff")
        judged = json.dumps({n: s[n] for n in names if n in s})
        found.append({**common, "name": "test rows", "context": "evaluation", "profile": judged})
    return found
