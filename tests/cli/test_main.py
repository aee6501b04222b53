"""The command line, in this process."""

from __future__ import annotations

import re
import warnings

import pandas as pd
import pytest

from leadlight import Behaviour, Catalogue, Count, Recency
from leadlight.cli import commands, main
from leadlight.plan import HandSetPoints

VERBS = (
    "demo", "simulate", "train", "evaluate", "score", "explain", "report", "card",
    "promote", "rollback", "monitor", "recalibrate", "sync",
)  # fmt: skip
SMALL = Catalogue(
    [
        Behaviour(
            "reads",
            (Count("view", window="30d"), Recency("view")),
            reason="viewed {view_count_30d:page|pages} in 30 days",
            points=HandSetPoints(1.0, (("view_count_30d", 1.0),), 50.0),
        )
    ]
)


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    monkeypatch.setitem(commands.CATALOGUES, "corporate", SMALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Simulated tables, and a bundle that was trained on them."""
    path = tmp_path_factory.mktemp("cli")
    simulated = [
        "simulate",
        "--members",
        "3000",
        "--weeks",
        "90",
        "--seed",
        "8",
        "--out",
        str(path / "community"),
    ]
    assert main(simulated) == 0
    kept = commands.CATALOGUES["corporate"]
    commands.CATALOGUES["corporate"] = SMALL
    try:
        train = [
            "train",
            "--community",
            str(path / "community"),
            "--every",
            "60d",
            "--out",
            str(path / "model"),
            "--no-evaluation",
            "--no-mlflow",
        ]
        assert main(train) == 0
    finally:
        commands.CATALOGUES["corporate"] = kept
    return path


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_with_an_example(verb, capsys):
    with pytest.raises(SystemExit) as stopped:
        main([verb, "--help"])
    assert stopped.value.code == 0
    assert f"example:\n  leadlight {verb} " in capsys.readouterr().out


@pytest.mark.parametrize("verb", VERBS)
def test_the_example_of_every_verb_is_understood(verb, capsys):
    from leadlight.cli.main import build_parser

    with pytest.raises(SystemExit):
        main([verb, "--help"])
    example = re.search(r"example:\n  leadlight (.*)", capsys.readouterr().out)[1]
    assert build_parser().parse_args(example.split()).run


def test_without_a_verb_it_shows_the_verbs(capsys):
    assert main([]) == 2
    shown = capsys.readouterr().out
    assert all(verb in shown for verb in VERBS)


def test_simulate_writes_the_tables(folder):
    assert {p.name for p in (folder / "community").iterdir()} == {
        "activity.csv", "members.csv", "deals.csv", "deal_contacts.csv", "contacts.csv"
    }  # fmt: skip


def test_train_writes_a_bundle(folder):
    assert (folder / "model" / "manifest.json").is_file()


def test_score_prints_and_writes_the_list(folder, capsys):
    out = folder / "list.csv"
    at = ["--model", str(folder / "model"), "--community", str(folder / "community")]
    assert main(["score", *at, "--top", "7", "--out", str(out)]) == 0
    assert len(pd.read_csv(out)) == 7
    assert "Simulated" in capsys.readouterr().out
    assert main(["score", *at, "--everybody", "--top", "7", "--out", str(out)]) == 0
    assert len(pd.read_csv(out)) > 1000


def test_explain_adds_up(folder, capsys):
    community = str(folder / "community")
    main(
        [
            "score",
            "--model",
            str(folder / "model"),
            "--community",
            community,
            "--top",
            "1",
            "--out",
            str(folder / "1.csv"),
        ]
    )
    row = pd.read_csv(folder / "1.csv").iloc[0]
    capsys.readouterr()
    explain = [
        "explain",
        "--model",
        str(folder / "model"),
        "--community",
        community,
        "--member",
        str(row["member_id"]),
    ]
    assert main(explain) == 0
    out = capsys.readouterr().out
    terms = [float(t) for t in re.findall(r"^\s+([+-]\d+\.\d{3})  ", out, re.MULTILINE)]
    p = row["probability"]
    assert len(terms) == 2
    assert sum(terms) == pytest.approx(pd.Series([p / (1 - p)]).transform("log")[0], abs=0.002)


def test_evaluate_prints_the_sentence(folder, capsys):
    common = ["evaluate", "--community", str(folder / "community"), "--every", "60d", "--rounds", "5"]
    assert main(common) == 0
    assert "Calling the best 5%" in capsys.readouterr().out
    assert main([*common, "--train-until", "2025-01-01"]) == 2
    assert "--test-from" in capsys.readouterr().err


def test_report_writes_a_page(folder, capsys):
    page = folder / "report.html"
    every = ["--every", "60d", "--gap", "7d", "--top", "5", "--refits", "3", "--title", "Ours"]
    assert main(["report", "--community", str(folder / "community"), *every, "--out", str(page)]) == 0
    text = page.read_text()
    assert "<h1>Ours</h1>" in text
    assert text.count('class="evidence"') > 1
    for section in ("approach", "below", "reach", "drives", "points"):
        assert f'id="{section}"' in text
    assert "over 3 refits" in text
    assert "What the calls bring in" not in text


@pytest.fixture(scope="module")
def aggregate(folder):
    """An aggregate page, judged by profit, too."""
    page = folder / "aggregate.html"
    every = ["--every", "60d", "--gap", "7d", "--refits", "0", "--aggregate", "--out", str(page)]
    costs = ["--cost-call", "20", "--cost-missed", "3000"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(commands.CATALOGUES, "corporate", SMALL)
        assert main(["report", "--community", str(folder / "community"), *every, *costs]) == 0
    return page.read_text()


def test_an_aggregate_report_names_nobody(aggregate, folder):
    members = pd.read_csv(folder / "community" / "members.csv")["member_id"].astype(str)
    shown = re.sub(r"<svg.*?</svg>", "", aggregate, flags=re.DOTALL)
    assert not set(re.findall(r"\w+", shown)) & set(members)
    assert "no refits were asked for" in aggregate
    assert "<script" not in aggregate


def test_report_judges_by_profit_where_costs_are_known(aggregate):
    assert "(20 for a call in vain, 3,000 for a missed buyer)" in aggregate


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["train", "--out", "x"], "--community"),
        (["train", "--community", "nowhere", "--out", "x"], "nowhere"),
        (["train", "--activity", "nowhere.csv", "--out", "x"], "nowhere.csv"),
        (["score", "--model", "nowhere", "--community", "COMMUNITY"], "nowhere"),
        (["score", "--model", "MODEL", "--community", "COMMUNITY", "--at", "soon"], "soon"),
        (["score", "--model", "MODEL", "--community", "COMMUNITY", "--top", "0"], "n is 0"),
        (
            ["score", "--model", "MODEL", "--community", "COMMUNITY", "--out", "/nowhere/at/all.csv"],
            "nowhere",
        ),
        (["explain", "--model", "MODEL", "--community", "COMMUNITY", "--member", "nobody"], "nobody"),
        (["train", "--community", "COMMUNITY", "--out", "x", "--columns", "member_id"], "CANONICAL=OWN"),
        (["train", "--community", "COMMUNITY", "--out", "x", "--columns", "occured_at=time"], "occur"),
        (["train", "--community", "COMMUNITY", "--out", "x", "--share", "7"], "share"),
        (["train", "--community", "COMMUNITY", "--out", "x", "--tz", "Mars/Olympus"], "Mars"),
        (["simulate", "--members", "3", "--out", "x"], "members=3"),
        (["evaluate", "--community", "COMMUNITY", "--cost-call", "9"], "--cost-missed"),
    ],
    ids=str,
)
def test_errors_are_one_line_and_exit_code_two(arguments, what, folder, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    places = {"COMMUNITY": str(folder / "community"), "MODEL": str(folder / "model")}
    assert main([places.get(a, a) for a in arguments]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    # Notes, and how far the job came, may stand before it.
    assert [line for line in lines if not line.startswith(("note: ", "["))] == lines[-1:]
    assert lines[-1].startswith("leadlight: ")
    assert what in lines[-1]


def test_unknown_options_exit_with_two(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["train", "--speed", "9"])
    assert stopped.value.code == 2


def test_warnings_are_notes_and_leave_no_trace(folder, capsys):
    before = warnings.showwarning, list(warnings.filters)
    arguments = [
        "score",
        "--model",
        str(folder / "model"),
        "--community",
        str(folder / "community"),
        "--at",
        "2030-01-01",
    ]
    assert main(arguments) == 0
    assert capsys.readouterr().err.startswith("note: at=2030-01-01 is more than a month after")
    assert (warnings.showwarning, list(warnings.filters)) == before


def test_the_demo_runs(tmp_path, capsys, monkeypatch):
    import dataclasses

    from leadlight.cli import demo

    monkeypatch.setattr(demo, "BUSINESS", dataclasses.replace(demo.BUSINESS, catalogue=SMALL))
    assert main(["demo", "--members", "900", "--seed", "5", "--no-mlflow", "--out", str(tmp_path)]) == 0
    assert "Whom to approach" in capsys.readouterr().out
    written = {p.name for p in tmp_path.iterdir()}
    assert {"community-csv", "community-model", "community-scores.csv", "community-call-list.csv"} <= written
    assert "community-report.html" in written


@pytest.mark.parametrize("verb", [["train", "--out", "m"], ["score", "--model", "m"]])
def test_spark_reads_no_dump(verb, capsys):
    assert main([*verb, "--engine", "spark", "--stackexchange", "travel"]) == 2
    assert "not a Stack Exchange dump" in capsys.readouterr().err
