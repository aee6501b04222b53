"""Fit one learner on a table and predict another: a program that runs in the environment of the learner.

Usage: python learners.py LEARNER FOLDER ROWS.parquet PREDICTIONS.parquet THREADS SECONDS. FOLDER holds train.parquet and
test.parquet; ROWS says which rows train, their labels, and groups, times and weights where there are. Everybody is given
labels and weights; who takes groups keeps an account on one side of its folds. SECONDS is a budget for those that
search; the others take what they need. Prints JSON: CPU and wall seconds of the fit, which begins with the table in
memory, and versions.
"""

import json
import os
import resource
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    # Thread pools read this when they are loaded.
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = sys.argv[5]
    # Threads that wait in a loop would take the time of others on a busy machine.
    os.environ["OMP_WAIT_POLICY"] = "PASSIVE"

import numpy as np
import pandas as pd

SEED = 0
Predict = Callable[[pd.DataFrame], Any]


class Task:
    """What a learner is given: X, y, weight, and group and time or None."""

    def __init__(self, folder: Path, rows: Path, threads: int, seconds: float) -> None:
        chosen = pd.read_parquet(rows)
        self.X = pd.read_parquet(folder / "train.parquet").iloc[chosen["position"]].reset_index(drop=True)
        self.X_test = pd.read_parquet(folder / "test.parquet")
        self.y = chosen["label"].to_numpy(int)
        self.group, self.time, weight = (
            chosen[c].to_numpy() if c in chosen else None for c in ("group", "time", "weight")
        )
        self.weight = np.ones(len(self.y)) if weight is None else weight
        self.threads, self.seconds = threads, seconds
        self.text = [c for c in self.X if not pd.api.types.is_numeric_dtype(self.X[c])]

    def categorical(self, most: int | None = None) -> Callable[[pd.DataFrame], pd.DataFrame]:
        """Return what makes text categorical; values that training does not show are missing, and all but the `most` frequent."""
        levels = {c: self.X[c].value_counts().index[:most] for c in self.text}
        return lambda X: X.assign(**{c: pd.Categorical(X[c], v) for c, v in levels.items()})


def ours(task: Task) -> Predict:
    import leadlight as ll

    model = ll.LeadClassifier(n_jobs=task.threads)
    model.fit(task.X, task.y, groups=task.group, times=task.time, sample_weight=task.weight)
    return lambda X: model.predict_proba(X)[:, 1]


def stock_lightgbm(task: Task) -> Predict:
    from lightgbm import LGBMClassifier

    prepare = task.categorical()
    model = LGBMClassifier(n_jobs=task.threads, random_state=SEED, verbosity=-1)
    model.fit(prepare(task.X), task.y, sample_weight=task.weight)
    return lambda X: model.predict_proba(prepare(X))[:, 1]


def xgboost(task: Task) -> Predict:
    from xgboost import XGBClassifier

    prepare = task.categorical()
    model = XGBClassifier(n_jobs=task.threads, random_state=SEED, enable_categorical=True)
    model.fit(prepare(task.X), task.y, sample_weight=task.weight)
    return lambda X: model.predict_proba(prepare(X))[:, 1]


def catboost(task: Task) -> Predict:
    from catboost import CatBoostClassifier

    def prepare(X: pd.DataFrame) -> pd.DataFrame:
        # It takes text, and no missing text.
        return X.assign(**{c: X[c].astype(object).where(X[c].notna(), "missing") for c in task.text})

    model = CatBoostClassifier(
        cat_features=task.text,
        thread_count=task.threads,
        random_seed=SEED,
        verbose=0,
        allow_writing_files=False,
    )
    model.fit(prepare(task.X), task.y, sample_weight=task.weight)
    return lambda X: model.predict_proba(prepare(X))[:, 1]


def hist_gradient_boosting(task: Task) -> Predict:
    from sklearn.ensemble import HistGradientBoostingClassifier

    # It takes at most 255 categories, and no column without a value.
    encode, valued = task.categorical(most=254), task.X.columns[task.X.notna().any()]

    def prepare(X: pd.DataFrame) -> pd.DataFrame:
        return encode(X)[valued]

    model = HistGradientBoostingClassifier(categorical_features="from_dtype", random_state=SEED)
    model.fit(prepare(task.X), task.y, sample_weight=task.weight)
    return lambda X: model.predict_proba(prepare(X))[:, 1]


def ridge_logistic(task: Task) -> Predict:
    """One-hot, signed logs, standardised; strength by three folds, on log loss."""
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV, StratifiedGroupKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

    numbers = make_pipeline(
        FunctionTransformer(lambda X: np.sign(X) * np.log1p(np.abs(X))),
        SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True),
        StandardScaler(),
    )
    words = OneHotEncoder(handle_unknown="ignore", min_frequency=2, sparse_output=False)
    prepare = ColumnTransformer(
        [("numbers", numbers, [c for c in task.X if c not in task.text]), ("words", words, task.text)]
    )
    group = np.arange(len(task.y)) if task.group is None else task.group
    folds = StratifiedGroupKFold(3, shuffle=True, random_state=SEED)
    Z = prepare.fit_transform(task.X.astype(dict.fromkeys(task.text, object)))
    search = GridSearchCV(
        LogisticRegression(solver="newton-cholesky" if len(Z) > 5 * Z.shape[1] else "lbfgs", max_iter=500),
        {"C": [0.001, 0.01, 0.1, 1.0]},
        scoring="neg_log_loss",
        cv=list(folds.split(Z, task.y, group)),
    )
    search.fit(Z, task.y, sample_weight=task.weight)
    return lambda X: search.predict_proba(prepare.transform(X.astype(dict.fromkeys(task.text, object))))[:, 1]


def flaml(task: Task) -> Predict:
    from flaml import AutoML

    prepare = task.categorical()
    folds = {} if task.group is None else {"split_type": "group", "groups": pd.factorize(task.group)[0]}
    model = AutoML()
    model.fit(
        prepare(task.X),
        task.y,
        task="classification",
        metric="log_loss",
        time_budget=task.seconds,
        n_jobs=task.threads,
        seed=SEED,
        verbose=0,
        sample_weight=task.weight,
        **folds,
    )
    if model.model is None:
        raise RuntimeError(f"FLAML found no model in {task.seconds:.0f} seconds")
    return lambda X: model.predict_proba(prepare(X))[:, 1]


def autogluon(task: Task) -> Predict:
    from autogluon.tabular import TabularPredictor

    table, folds = task.X.assign(__label=task.y, __weight=task.weight), {}
    if task.group is not None:
        # It leaves out one value of this column at a time, so that accounts are put together to eight.
        code = pd.factorize(task.group)[0]
        table["__fold"] = np.random.default_rng(SEED).permutation(code.max() + 1)[code] % 8
        folds = {"groups": "__fold"}
    # Its trial of stacking, a fit within the fit, does not work with groups; folds by account need it less.
    stacking = {"dynamic_stacking": False} if folds else {}
    scratch = tempfile.TemporaryDirectory()
    model = TabularPredictor(
        "__label",
        "binary",
        eval_metric="log_loss",
        path=scratch.name,
        sample_weight="__weight",
        verbosity=0,
        **folds,
    )
    model.fit(
        table,
        presets="best_quality",
        time_limit=task.seconds,
        num_cpus=task.threads,
        num_gpus=0,
        **stacking,
    )

    def predict(X: pd.DataFrame) -> Any:
        with scratch:
            return model.predict_proba(X, as_multiclass=False).to_numpy()

    return predict


LEARNERS: dict[str, tuple[Callable[[Task], Predict], tuple[str, ...]]] = {
    "leadlight": (ours, ("leadlight", "lightgbm")),
    "LightGBM": (stock_lightgbm, ("lightgbm",)),
    "XGBoost": (xgboost, ("xgboost",)),
    "CatBoost": (catboost, ("catboost",)),
    "HistGradientBoosting": (hist_gradient_boosting, ("scikit-learn",)),
    "ridge logistic": (ridge_logistic, ("scikit-learn",)),
    "FLAML": (flaml, ("flaml",)),
    "AutoGluon": (autogluon, ("autogluon.tabular",)),
}


def cpu_seconds() -> float:
    """Return the CPU seconds of this process, all its threads, and the children it waited for."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def version(package: str) -> str:
    """Return an installed version; a source tree on the path has its own."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return str(__import__(package).__version__)


def main(learner: str, folder: str, rows: str, target: str, threads: str, seconds: str) -> None:
    # What libraries say about each other's versions is not ours to judge.
    warnings.filterwarnings("ignore")
    fit, packages = LEARNERS[learner]
    task = Task(Path(folder), Path(rows), int(threads), float(seconds))
    cpu, wall = cpu_seconds(), time.perf_counter()
    predict = fit(task)
    cpu, wall = cpu_seconds() - cpu, time.perf_counter() - wall
    p = np.asarray(predict(task.X_test), float)
    pd.DataFrame({"probability": p}).to_parquet(target)
    versions = {name: version(name) for name in packages}
    print(json.dumps({"cpu": cpu, "wall": wall, "versions": versions}))


if __name__ == "__main__":
    main(*sys.argv[1:])
