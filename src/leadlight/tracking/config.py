"""The configuration of a training job: every key with its type, default and documentation."""

# ruff: noqa: RUF009  `key` and `section` return fields, which ruff cannot know

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from leadlight.errors import InputError, closest
from leadlight.moments import duration_us, moment_us
from leadlight.tracking.settings import as_yaml, build, key, read_yaml, section, walk, with_overrides

CatalogueName = Literal["corporate", "question", "candidate"]
Baseline = Literal["points", "recency", "logistic", "lightgbm", "random"]
Tunable = Literal["blend", "booster", "calibration", "n_folds", "ridge"]
Choice = bool | int | float | str | None
DURATION = "a duration such as 90d"


@dataclass(frozen=True)
class DataConfig:
    """Where the tables are."""

    community: str | None = key(
        None, "Folder with activity, members, deals, deal_contacts, contacts, CSV or Parquet."
    )
    activity: str | None = key(
        None, "The log: path or glob. Goes before the table in `community`, as do the next four."
    )
    members: str | None = key(None, "Path or glob of the members.")
    deals: str | None = key(None, "Path or glob of the deals.")
    deal_contacts: str | None = key(None, "Path or glob of the members whom each deal reached.")
    contacts: str | None = key(None, "Path or glob of the approaches by sales.")
    stackexchange: str | None = key(None, "Folder of a Stack Exchange dump, instead of all above.")
    columns: dict[str, str] = key(
        {}, "Canonical column to your own, such as `{occurred_at: timestamp, deals.email: Contact Email}`."
    )
    values: dict[str, dict[str, str]] = key(
        {}, "What words mean, such as `{action: {topic_viewed: view}, outcome: {Proposal: open}}`."
    )
    day_first: bool | None = key(
        None,
        "Order of dates such as 03/04/2025: false: the month first, true: the day. null: they cannot be read.",
    )
    tag_separator: str | None = key(None, "What stands between tags in one text (default: | or ;).")
    match: Literal["email", "domain", "id"] = key("email", "How deals without identifiers find their member.")
    tz: str = key("UTC", "Zone of timestamps that name none.")
    engine: Literal["local", "spark"] = key(
        "local",
        "Where features are made: on this machine, or on the cluster that Spark's own settings name.",
    )


@dataclass(frozen=True)
class LabelsConfig:
    """Which rows there are and what counts as a yes."""

    every: str = key("30d", "Distance of cutoffs.", words=DURATION)
    horizon: str = key("90d", "Length of the label window.", words=DURATION)
    gap: str = key("0d", "Between cutoff and label window.", words=DURATION)
    active_within: str = key(
        "180d", "Population: members active in this time before the cutoff.", words=DURATION
    )
    enters_on: str | tuple[str, ...] | None = key(
        None,
        "Population: members enter with this action (default: joining; `question` for a Stack Exchange dump).",
    )
    until: str | None = key(
        None,
        "Use windows that had ended by this date only. A challenger that is to be promoted needs later windows, which it has "
        "not seen, to be judged on.",
        words="a date or null",
    )
    open_windows: bool = key(False, "Whether windows that are still open teach what they have seen.")


@dataclass(frozen=True)
class ModelConfig:
    """What is learned."""

    catalogue: CatalogueName | None = key(
        None, "Behaviours to measure (default: `corporate`; `question` for a Stack Exchange dump)."
    )
    selection: Literal["auto", "none", "discount", "contacted-only"] = key(
        "auto", "What a member means whom nobody approached and who did not buy."
    )
    blend: bool = key(True, "Blend the trees with a ridge.")
    booster: Literal["lightgbm", "hist_gradient_boosting"] = key("lightgbm", "What grows the trees.")
    calibration: Literal["sigmoid"] | None = key("sigmoid", "Map from margin to log-odds; null: none.")
    n_folds: int = key(5, "Folds by account; each is a child run.")
    random_state: int = key(0, "Seed.")
    n_jobs: int = key(1, "Folds fitted at once.")


@dataclass(frozen=True)
class TuningConfig:
    """Whether the job looks for better parameters first."""

    enabled: bool = key(
        False,
        "Look for parameters that lose less than those of `model`, on the training period alone; keep these unless others "
        "surely do. Needs `leadlight[tune]`.",
    )
    trials: int = key(30, "Settings to judge beside those of `model`; each is a child run.")
    windows: int = key(3, "Validation windows within the training period, each with training rows before it.")
    embargo: str | None = key(
        None,
        "Between training rows and the window that judges them (default, and the least: gap and horizon).",
        words=f"{DURATION} or null",
    )
    rounds: int = key(500, "Bootstrap draws of accounts.")
    seed: int = key(0, "Seed of the search.")
    space: dict[Tunable, tuple[Choice, ...] | dict[str, float]] = key(
        {},
        "What is tried, such as `{ridge: {low: 0.01, high: 1.0}, n_folds: [3, 5]}` (default: blend, booster, n_folds and ridge).",
        words="parameters with a list of choices, or low and high of a range on the log scale",
    )
    storage: str | None = key(
        None,
        "Where trials are kept as they finish, a SQLite file or a URL (default: the bundle's name with `.tuning.db`). A job that "
        "was interrupted goes on from there.",
    )

    def check(self) -> None:
        """Raise `InputError` where a value cannot be used."""
        for name, least in (("trials", 1), ("windows", 1), ("rounds", 100), ("seed", 0)):
            if getattr(self, name) < least:
                raise InputError(f"tuning.{name} is {getattr(self, name)}; give {least} or more.")
        if self.embargo is not None:
            duration_us(self.embargo, name="tuning.embargo", zero=True)
        for name, values in self.space.items():
            if isinstance(values, dict):
                for part in set(values) - {"low", "high"}:
                    near = closest(part, ("low", "high")) or "; a range has low and high"
                    raise InputError(f"There is no key 'tuning.space.{name}.{part}'{near}.")
                if len(values) != 2 or not 0 < values["low"] < values["high"]:
                    raise InputError(f"tuning.space.{name} is {values}; give low and high, 0 < low < high.")
            elif not values:
                raise InputError(f"tuning.space.{name} is empty; give choices.")


@dataclass(frozen=True)
class DecisionConfig:
    """From probability to `qualified`."""

    kind: Literal["capacity", "costs", "miss_rate"] = key("capacity", "The rule.")
    share: float | None = key(None, "capacity: share of the population (default: .05, unless `n` is given).")
    n: int | None = key(None, "capacity: members a date.")
    per_account: int | None = key(None, "capacity: members of one account on a call list.")
    not_contacted_within: str | None = key(
        None, "capacity: contacted more recently stays off the list.", words=DURATION
    )
    cost_call: float | None = key(
        None, "costs: an approach that had no chance. With `cost_missed` also judges by profit."
    )
    cost_missed: float | None = key(None, "costs: a buyer whom nobody approached.")
    at_most: float | None = key(None, "miss_rate: share of buyers that may be missed.")
    confidence: float = key(0.9, "miss_rate: confidence of that bound.")


@dataclass(frozen=True)
class EvaluationConfig:
    """How the job judges itself before it fits on everything."""

    enabled: bool = key(True, "Fit on earlier windows and judge on later ones first. Doubles the time.")
    baselines: tuple[Baseline, ...] = key(
        ("points", "recency", "logistic", "lightgbm", "random"), "What it must beat."
    )
    rounds: int = key(500, "Bootstrap draws of accounts.")
    refits: int = key(
        8, "Refits that say on the page of the run what drives deals and how sure that is; 0: leave that out."
    )
    excuse: tuple[str, ...] = key((), "Columns that the leakage audit flags and that are known to be fine.")


@dataclass(frozen=True)
class TrackingConfig:
    """What MLflow gets."""

    enabled: bool = key(True, "Log a run.")
    uri: str | None = key(
        None, "Tracking server or database (default: MLFLOW_TRACKING_URI, else `sqlite:///mlflow.db`)."
    )
    experiment: str = key("leadlight", "Created if need be.")
    run_name: str | None = key(None, "Name of the run.")
    note: str = key("", "Description of the run, Markdown.")
    tags: dict[str, str] = key({}, "More tags of the run.")
    artifact_root: str | None = key(
        None,
        "Folder of a new experiment's artifacts (default: `mlartifacts` beside a SQLite database, else the server's).",
    )
    registered_model: str | None = key(
        "leadlight", "Registered as a version of this model, alias `challenger`; null: not."
    )
    include_members: bool = key(False, "Whether the page may name members.")
    patience: float = key(60.0, "Seconds that MLflow may take before the run is left to `leadlight sync`.")


@dataclass(frozen=True)
class TrainConfig:
    """A training job."""

    data: DataConfig = section(
        DataConfig, "Where the tables are. Paths are relative to the current directory."
    )
    labels: LabelsConfig = section(LabelsConfig, "Which rows there are, and what counts as a yes.")
    model: ModelConfig = section(ModelConfig, "What is learned.")
    tuning: TuningConfig = section(TuningConfig, "Whether the job looks for better parameters first.")
    decision: DecisionConfig = section(DecisionConfig, "From probability to `qualified`.")
    evaluation: EvaluationConfig = section(
        EvaluationConfig, "How the job judges itself before it fits on everything."
    )
    tracking: TrackingConfig = section(TrackingConfig, "What MLflow gets.")
    bundle: str = key(
        "models/leadlight", "Where the model is saved, a folder or a .zip; written before MLflow is called."
    )

    @classmethod
    def of(cls, source: Any = None, overrides: list[str] | None = None) -> TrainConfig:
        """Return the configuration of a YAML file, of nested plain values, or of nothing but defaults.

        Parameters
        ----------
        source : path, mapping, TrainConfig or None
        overrides : list of str, optional
            "labels.horizon=120d": applied in order, values are YAML.

        Raises
        ------
        InputError
            A key is unknown (the closest is named), or a value cannot be used.
        """
        values = (
            source.to_dict()
            if isinstance(source, TrainConfig)
            else source
            if isinstance(source, Mapping)
            else {}
            if source is None
            else read_yaml(os.fspath(source))
        )
        found = build(cls, with_overrides(values, overrides or []))
        found.check()
        return found

    def check(self) -> None:
        """Raise `InputError` where values do not go together or durations and dates cannot be read."""
        for name in ("every", "horizon", "gap", "active_within"):
            duration_us(getattr(self.labels, name), name=f"labels.{name}", zero=name == "gap")
        if self.labels.until is not None:
            moment_us(self.labels.until, name="labels.until")
        if self.decision.not_contacted_within is not None:
            duration_us(self.decision.not_contacted_within, name="decision.not_contacted_within")
        if (self.decision.cost_call is None) != (self.decision.cost_missed is None):
            raise InputError("Give decision.cost_call and decision.cost_missed together, or neither.")
        needs = {"costs": "cost_call", "miss_rate": "at_most"}.get(self.decision.kind)
        if needs is not None and getattr(self.decision, needs) is None:
            raise InputError(f"decision.kind is {self.decision.kind!r}, which needs decision.{needs}.")
        self.tuning.check()
        if self.evaluation.rounds < 0:
            raise InputError(f"evaluation.rounds is {self.evaluation.rounds}; give 0 or more.")
        if not self.tracking.patience > 0:
            raise InputError(f"tracking.patience is {self.tracking.patience}; give seconds, more than 0.")

    def to_dict(self) -> dict[str, Any]:
        """Return nested plain values that `of` reads."""
        plain: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return plain

    def flat(self) -> dict[str, str]:
        """Return every key but those of `tracking` and `tuning.storage` as one line of YAML, by dotted name."""
        found: dict[str, str] = {}
        for name, value in self.to_dict().items():
            inner = value.items() if isinstance(value, dict) else ()
            found |= {f"{name}.{k}": as_yaml(v) for k, v in inner if name != "tracking"}
        # Like the address of a tracking server, it may hold a password.
        del found["tuning.storage"]
        return found

    def to_yaml(self) -> str:
        """Return the whole configuration as YAML."""
        import yaml

        text: str = yaml.safe_dump(self.to_dict(), sort_keys=False, width=10_000)
        return text

    @property
    def digest(self) -> str:
        """Sha256 of what decides the model: data, labels, model, decision, and the tuning where there is one."""
        plain = {n: v for n, v in self.to_dict().items() if n in ("data", "labels", "model", "decision")}
        if self.tuning.enabled:
            plain["tuning"] = {n: v for n, v in self.to_dict()["tuning"].items() if n != "storage"}
        return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()


def table_of_keys() -> str:
    """Return the keys as Markdown tables, one for each section, as `docs/training.md` holds them."""
    lines: list[str] = []
    head = ["| key | value | default | meaning |", "|---|---|---|---|"]
    for name, words, default, doc in walk(TrainConfig):
        if not words:
            lines += ["", f"**`{name}`**: {doc}", "", *head]
        elif "." in name:
            lines.append(f"| `{name}` | {words.replace('|', '/')} | `{default}` | {doc} |")
        else:
            lines += ["", *head, f"| `{name}` | {words} | `{default}` | {doc} |"]
    return "\n".join(lines).strip() + "\n"


def example() -> str:
    """Return an annotated configuration that holds every key at its default, as `examples/train.yaml` does."""
    lines = ["# Every key of a training job at its default. Keep what you change: the others may go."]
    for name, words, default, doc in walk(TrainConfig):
        indent = "  " if "." in name else ""
        lines.append(f"{indent}# {doc}" if words else f"\n# {doc}")
        lines.append(f"{indent}{name.rpartition('.')[2]}:{f' {default}' if words else ''}")
    return "\n".join(lines) + "\n"


def write_docs(page: Path) -> str:
    """Return a page with what stands between its two markers replaced by the table of keys."""
    begin, end = "<!-- keys: begin -->\n", "<!-- keys: end -->"
    text = page.read_text(encoding="utf-8")
    head, _, rest = text.partition(begin)
    _, _, tail = rest.partition(end)
    return f"{head}{begin}\n{table_of_keys()}\n{end}{tail}"
