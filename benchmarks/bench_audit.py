"""What each rule of the leakage audit finds on public tables, and how often it cries without a cause.

Run: make bench, or python benchmarks/bench_audit.py. The lead tables are read from ../shared/data/leads; they may not be
redistributed, and without them only the simulated, the travel and the noise tables are looked at.
"""

import platform
import time
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.datasets import load_breast_cancer

import leadlight as ll
from leadlight.evaluation.audit_community import audit_community

ROOT = Path(__file__).parents[1]
LEADS = ROOT / ".." / "shared" / "data" / "leads"
TRAVEL = ROOT / "data" / "travel"
REDRAWS, NOISE, NOISE_ROWS = 200, 300, 400
AFTER_THE_CONTACT = (
    "Tags",
    "Lead Quality",
    "Last Activity",
    "Last Notable Activity",
    "Lead Profile",
    "Asymmetrique Activity Index",
    "Asymmetrique Activity Score",
    "Asymmetrique Profile Index",
    "Asymmetrique Profile Score",
    "How did you hear about X Education",
)
"""Columns of X Education that are filled in after the contact, by common knowledge; the last one in part."""


def rules(audit, column):
    """Return the rules that spoke of a column, those that fail in capitals."""
    found = audit.findings.get(column, ())
    return ", ".join(f.rule.upper() if f.fails else f.rule for f in found) or "none"


def row(name, frame, audit, base):
    """Print one line of the table of tables."""
    flagged = "; ".join(f"{c} ({rules(audit, c)})" for c in audit.columns_flagged) or "none"
    suspects = "; ".join(f"{c} ({rules(audit, c)})" for c in audit.suspects) or "none"
    print(f"| {name} | {len(frame)} | {audit.checked} | {base:.3f} | {flagged} | {suspects} |", flush=True)


def lead_tables():
    """Yield name, frame and outcome of the lead tables."""
    frame = pd.read_csv(LEADS / "x_education_leads" / "Leads.csv")
    yield "X Education", frame.drop(columns="Converted"), frame["Converted"]
    frame = pd.read_csv(LEADS / "bank_marketing" / "bank-additional-full.csv", sep=";")
    yield "bank", frame.drop(columns="y"), (frame["y"] == "yes").astype(int)
    leads = pd.read_csv(LEADS / "olist_funnel" / "olist_marketing_qualified_leads_dataset.csv")
    deals = pd.read_csv(LEADS / "olist_funnel" / "olist_closed_deals_dataset.csv")
    won = leads["mql_id"].isin(deals["mql_id"]).astype(int)
    yield "Olist, leads alone", leads, won
    yield "Olist, joined with closed deals", leads.merge(deals, on="mql_id", how="left"), won


def communities():
    """Yield name, features, outcome, accounts, community and plan."""
    community, _ = ll.simulate_community(members=6_000, weeks=130, seed=40)
    rows = ll.observe(community, every="30d", horizon="90d").labelled()
    plan = ll.CORPORATE_COMMUNITY.compile(community)
    yield "simulated, 6,000 members", ll.build_features(community, rows, plan), rows, community, plan
    if TRAVEL.exists():
        community = ll.read_stackexchange(TRAVEL)
        rows = ll.observe(
            community, every="90d", horizon="90d", enters_on="question", end="2016-03-01"
        ).labelled()
        plan = ll.QUESTION_COMMUNITY.compile(community, "2016-03-01")
        yield "travel.stackexchange", ll.build_features(community, rows, plan), rows, community, plan


def noise():
    """Print how many tables of noise raise an alarm."""
    for positives in (5, 20, 80):
        alarms = suspected = 0
        for seed in range(REDRAWS):
            rng = np.random.default_rng(seed)
            y = rng.permutation(np.r_[np.ones(positives), np.zeros(NOISE_ROWS - positives)])
            numbers = pd.DataFrame(rng.normal(size=(NOISE_ROWS, NOISE // 3))).add_prefix("n")
            counts = pd.DataFrame(rng.poisson(0.5, (NOISE_ROWS, NOISE // 3))).add_prefix("c")
            words = pd.DataFrame(rng.integers(0, 8, (NOISE_ROWS, NOISE // 3)).astype(str)).add_prefix("w")
            audit = ll.evaluation.audit_leakage(pd.concat([numbers, counts, words], axis=1), y)
            alarms += not audit.clean
            suspected += bool(audit.suspects)
        print(f"| {NOISE_ROWS} | {positives} | {REDRAWS} | {alarms} | {suspected} |", flush=True)


def main() -> None:
    """Print the tables."""
    started = time.process_time()
    print(
        f"{platform.machine()}, Python {platform.python_version()}, pandas {pd.__version__}, NumPy {np.__version__}"
    )
    print("\nRules that fail a run stand in capitals; the others make suspects.\n")
    print("| table | rows | columns | positive | flagged | suspects |\n|---|---|---|---|---|---|")
    x_education = None
    if LEADS.exists():
        for name, frame, y in lead_tables():
            audit = ll.evaluation.audit_leakage(frame, y)
            x_education = x_education or audit
            row(name, frame, audit, y.mean())
    for name, X, rows, community, plan in communities():
        audit = ll.evaluation.audit_leakage(X, rows.label, groups=rows.groups)
        row(name, X, audit.with_findings_of(audit_community(community, plan)), rows.label.mean())
    cancer = load_breast_cancer(as_frame=True)
    audit = ll.evaluation.audit_leakage(cancer.data, cancer.target)
    row("breast cancer (scikit-learn)", cancer.data, audit, cancer.target.mean())
    if x_education is None:
        print("\nThe lead tables are not in ../shared/data/leads: X Education, bank and Olist were left out.")
    else:
        print(
            "\nX Education, columns filled in after the contact\n\n| column | rules | evidence |\n|---|---|---|"
        )
        for column in AFTER_THE_CONTACT:
            said = "; ".join(f.text for f in x_education.findings.get(column, ()))
            print(f"| {column} | {rules(x_education, column)} | {said} |")
        print(f"\nIts suspects together reach an AUC of {x_education.together:.3f}.")
    print(f"\nTables of {NOISE} columns of noise: a third each of numbers, counts and words\n")
    print("| rows | positive | tables | with an alarm | with a suspect |\n|---|---|---|---|---|")
    noise()
    print(f"\n{time.process_time() - started:.0f} s of CPU time")


if __name__ == "__main__":
    main()
