"""What a configuration names: tables, catalogue, observations, decision."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from leadlight.errors import InputError, MissingDependencyError
from leadlight.tracking.config import DataConfig, DecisionConfig, TrainConfig

if TYPE_CHECKING:
    from leadlight.behaviours import Catalogue
    from leadlight.community import Community
    from leadlight.decision import Costs, Decision
    from leadlight.observations import Observations
    from leadlight.qualifier import LeadQualifier

TABLES: Final = ("activity", "members", "deals", "deal_contacts", "contacts")
_CATALOGUES: dict[str, Catalogue] = {}


def catalogues() -> dict[str, Catalogue]:
    """Return the catalogues by the names that a configuration uses; the same dict at each call."""
    from leadlight.behaviours import CORPORATE_COMMUNITY, PASSIVE_CANDIDATE, QUESTION_COMMUNITY

    if not _CATALOGUES:
        _CATALOGUES.update(
            corporate=CORPORATE_COMMUNITY, question=QUESTION_COMMUNITY, candidate=PASSIVE_CANDIDATE
        )
    return _CATALOGUES


def community_files(folder: Path) -> dict[str, Any]:
    """Return the canonical tables that a folder holds, by name.

    Raises
    ------
    InputError
        If it has no activity table.
    """
    found: dict[str, Any] = {}
    for name in TABLES:
        for suffix in (".csv", ".csv.gz", ".parquet"):
            path = folder / f"{name}{suffix}"
            if path.is_file():
                found.setdefault(name, path)
    if "activity" not in found:
        raise InputError(f"{folder} holds no activity.csv or activity.parquet.")
    return found


def open_community(data: DataConfig) -> Community:
    """Return the community that a configuration names.

    Raises
    ------
    InputError
        It names none, or the folder holds no log.
    """
    from leadlight.community import Community
    from leadlight.sources.stackexchange import read_stackexchange

    if data.stackexchange:
        if data.engine == "spark":
            raise InputError("--engine spark reads --activity or --community, not a Stack Exchange dump.")
        return read_stackexchange(data.stackexchange)
    paths: dict[str, Any] = {name: getattr(data, name) for name in TABLES}
    if data.community:
        found = community_files(Path(data.community))
        paths = {name: paths[name] or found.get(name) for name in TABLES}
    if paths["activity"] is None:
        raise InputError(
            "Give --community FOLDER, --activity FILE or --stackexchange FOLDER, or data.community in the configuration."
        )
    options: dict[str, Any] = {"columns": data.columns, "tz": data.tz, "match": data.match}
    notation: dict[str, Any] = {
        "values": data.values,
        "day_first": data.day_first,
        "tag_separator": data.tag_separator,
    }
    if data.engine != "spark":
        return Community(**paths, **options, **notation)
    if any(value not in (None, {}) for value in notation.values()):
        raise InputError(
            "The spark engine reads neither data.values nor data.day_first nor data.tag_separator; write the log with our "
            "words and ISO dates first."
        )
    return _on_spark(paths, options)


def _on_spark(paths: dict[str, Any], options: dict[str, Any]) -> Community:
    try:
        from pyspark.sql import SparkSession
    except ImportError as error:
        raise MissingDependencyError("Spark is not installed: pip install leadlight[spark]") from error
    from leadlight.features.cluster import SparkCommunity

    # Without a word from the user it would take the first python3 of the path, which need not hold us.
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    # Its settings are those of spark-defaults.conf, PYSPARK_SUBMIT_ARGS, or the session that is there.
    return SparkCommunity(SparkSession.builder.appName("leadlight").getOrCreate(), **paths, **options)


def rows_of(config: TrainConfig, community: Community) -> Observations:
    """Return the training rows."""
    from leadlight.observations import observe

    labels = config.labels
    enters_on = labels.enters_on or ("question" if config.data.stackexchange else None)
    return observe(
        community,
        labels.every,
        labels.horizon,
        labels.gap,
        labels.active_within,
        enters_on=enters_on,
        frozen_at=labels.until,
        censored=labels.open_windows,
    )


def qualifier_of(config: TrainConfig) -> LeadQualifier:
    """Return the qualifier, not fitted yet."""
    from leadlight.estimators import LeadClassifier
    from leadlight.qualifier import LeadQualifier

    model = config.model
    name = model.catalogue or ("question" if config.data.stackexchange else "corporate")
    classifier = LeadClassifier(
        blend=model.blend,
        booster=model.booster,
        calibration=model.calibration,
        n_folds=model.n_folds,
        random_state=model.random_state,
        n_jobs=model.n_jobs,
    )
    return LeadQualifier(
        catalogues()[name], classifier, decision_of(config.decision), selection=model.selection
    )


def decision_of(config: DecisionConfig) -> Decision:
    """Return the rule from probability to `qualified`."""
    from leadlight.decision import Capacity, MissRate

    if config.kind == "costs":
        costs = costs_of(config)
        assert costs is not None
        return costs
    if config.kind == "miss_rate":
        return MissRate(at_most=config.at_most or 0.0, confidence=config.confidence)
    share = 0.05 if config.share is None and config.n is None else config.share
    return Capacity(
        n=config.n,
        share=share,
        per_account=config.per_account,
        not_contacted_within=config.not_contacted_within,
    )


def costs_of(config: DecisionConfig) -> Costs | None:
    """Return what a wasted approach and a missed buyer cost, where that is known."""
    from leadlight.decision import Costs

    if config.cost_call is None or config.cost_missed is None:
        return None
    return Costs(false_positive=config.cost_call, false_negative=config.cost_missed)
