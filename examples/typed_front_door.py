"""Every name of the front door, as a type checker sees it: `make types` runs mypy and pyright over this file.

Each annotation is what the name promises; a signature that loses its types, or another type, fails there. It also runs:
`python examples/typed_front_door.py`.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

import leadlight as ll
from leadlight.simulate import SimulationParameters

BUSY = SimulationParameters(score_contacts=0.02, random_contacts=0.003)
"""Sales calls often, so that a small community has deals to learn from."""


def own_behaviours() -> ll.Catalogue:
    """Return behaviours of all kinds that the algebra has."""
    asks = ll.Behaviour(
        "asks questions",
        (
            ll.Count("question", window=("30d", "90d")),
            ll.Recency("question"),
            ll.FirstTime("question"),
            ll.Trend("question"),
            ll.Surprise("question"),
        ),
        reason="asked {question_count_30d:question|questions} in a month",
    )
    reads = ll.Behaviour(
        "reads",
        (
            ll.Visits("30d"),
            ll.Sum("view", window="30d"),
            ll.Distinct("tag"),
            ll.Entropy("tag"),
            ll.Ratio(ll.Count("download", window="90d"), ll.Count("view", window="90d")),
        ),
        reason="came {visit_count_30d:time|times} in a month",
    )
    stands_out = ll.Behaviour(
        "is known",
        (ll.Completeness(), ll.Tenure(), ll.Peers(ll.Count("view", window="90d"))),
        reason="filled {profile_completeness:percent} of the profile",
    )
    return ll.Catalogue([asks, reads, stands_out], name="typed")


def other_sources(folder: Path) -> list[ll.Community]:
    """Read the public log that the repository holds, and one call of a web tracker."""
    call = '{"type": "track", "userId": "ann", "event": "question", "timestamp": "2024-03-01T10:00:00Z", "messageId": "1"}'
    (folder / "events.jsonl").write_text(call + "\n", encoding="utf-8")
    tracked: ll.Community = ll.read_segment(folder / "events.jsonl")
    beer: ll.Community = ll.read_stackexchange(Path(__file__).parents[1] / "data" / "beer", deal="bounty")
    ready: list[ll.Catalogue] = [ll.QUESTION_COMMUNITY, ll.PASSIVE_CANDIDATE]
    print([len(catalogue) for catalogue in ready], tracked, beer)
    return [tracked, beer]


def learn(community: ll.Community, decision: ll.Capacity | ll.Costs | ll.MissRate) -> ll.LeadQualifier:
    """Fit on the earlier windows, judge on the later ones, print what a manager asks."""
    observations: ll.Observations = ll.observe(community, every="30d", horizon="90d")
    train, test = observations.split(train_until="2025-01-01", test_from="2025-01-01")
    qualifier: ll.LeadQualifier = ll.LeadQualifier(
        own_behaviours(), ll.LeadClassifier(n_folds=3), decision
    ).fit(community, train)
    report: ll.evaluation.Report = ll.evaluate(
        qualifier, community, test, ("points", "recency", "random"), rounds=20
    )
    low, high = report.interval("auc")
    reached: float = report.metric("buyers_reached")
    print(report.sentence, f"AUC {low:.2f} to {high:.2f}, {reached:.0f} reached")
    return qualifier


def features(community: ll.Community) -> pd.DataFrame:
    """Return features alone, and what an audit says of them."""
    rows: ll.Observations = ll.observe(community, every="90d")
    X: pd.DataFrame = ll.build_features(community, rows, own_behaviours())
    audit: ll.evaluation.Audit = ll.evaluation.audit_leakage(X, rows.label)
    flagged: dict[str, str] = audit.columns_flagged
    print(len(flagged), "columns flagged")
    transformer: ll.CommunityFeatures = ll.CommunityFeatures(community, ll.CORPORATE_COMMUNITY)
    folds: ll.TemporalSplit = ll.TemporalSplit(2, "90d")
    points: ll.PointsScorer = ll.PointsScorer(points={"visit_count_30d": 2.0})
    print(type(transformer).__name__, folds.get_n_splits(), type(points).__name__)
    asks: ll.Behaviour = next(iter(own_behaviours()))
    ll.testing.assert_point_in_time(community, asks, cutoffs=["2025-01-01"])
    return X


def short_path(community: ll.Community, folder: Path) -> Path:
    """Write a call list in one call, and record the model in MLflow if it is to be."""
    leads = ll.qualify(community, top=10, catalogue=own_behaviours(), rounds=20)
    leads.to_csv(folder / "call_list.csv")
    if folder.name == "recorded":
        run = ll.tracking.log_run(leads.qualifier, report=leads.report, bundle=folder / "model")
        print(run.pending)
    return folder / "call_list.csv"


def serve(bundle: Path) -> ll.Prediction:
    """Answer for one member from a saved model."""
    scorer: ll.Scorer = ll.load(bundle)
    events = [{"occurred_at": "2025-06-01T09:00:00", "action": "question"}]
    prediction: ll.Prediction = scorer.predict(events, at="2025-06-10")
    reasons: tuple[ll.Reason, ...] = prediction.reasons
    chances: NDArray[np.float64] = scorer.predict_proba(scorer.features(events, at="2025-06-10")[None])
    told: list[str] = [reason.text for reason in reasons]
    print(prediction.probability, prediction.grade, prediction.qualified, told, chances.shape)
    return prediction


def main() -> None:
    """Run all of it on a simulated community."""
    community, truth = ll.simulate_community(members=1_500, weeks=90, seed=11, parameters=BUSY)
    buyers: pd.DataFrame = truth.at("2025-03-01")
    would: NDArray[np.bool_] = buyers["would_buy"].to_numpy(bool)
    print(f"Simulated: {would.sum()} of {len(would)} would buy")
    features(community)
    qualifier = learn(community, ll.Capacity(share=0.05, per_account=2))
    scores = qualifier.score(community, at="2025-06-01")
    calls: pd.DataFrame = scores.top(10).to_pandas()
    print(len(calls), "calls")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        other_sources(folder)
        qualifier.save(folder / "model")
        serve(folder / "model")
        print(short_path(community, folder).stat().st_size > 0, f"leadlight {ll.__version__}")


if __name__ == "__main__":
    main()
