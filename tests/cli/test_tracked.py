"""The verbs around MLflow, from the command line."""

from __future__ import annotations

import pytest
from mlflow import MlflowClient
from tests.tracking.small import SMALL, small_community

from leadlight.cli import main


@pytest.fixture(scope="module", name="data")
def _data(tmp_path_factory, _catalogues):
    """The small community as CSV files."""
    folder = tmp_path_factory.mktemp("community")
    community = small_community()
    activity = community.activity.to_pandas()[["member_id", "occurred_at", "action"]]
    activity.to_csv(folder / "activity.csv", index=False)
    facts = community.members.facts[["account_id"]].rename_axis("member_id").reset_index()
    facts.to_csv(folder / "members.csv", index=False)
    deals = community.deals.assign(
        member_id=community.members.ids[community.deals["member"].to_numpy()],
        closed_at=community.deals["closed_us"].astype("datetime64[us]"),
    )
    deals[["deal_id", "member_id", "outcome", "closed_at"]].to_csv(folder / "deals.csv", index=False)
    return folder


@pytest.fixture(scope="module", name="_catalogues")
def _keep_catalogues():
    from leadlight.tracking.inputs import catalogues

    kept = dict(catalogues())
    catalogues()["corporate"] = SMALL
    yield
    catalogues().update(kept)


def test_train_promote_monitor_recalibrate_rollback(data, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (tmp_path / "train.yaml").write_text("labels: {until: 2025-03-01}\nevaluation: {rounds: 20, refits: 0}\n")
    train = ["train", "--config", "train.yaml", "--community", str(data), "--out", "models/a", "--quiet"]
    assert main([*train, "--set", "evaluation.baselines=[points]"]) == 0
    assert "version 1" in capsys.readouterr().out
    common = ["--community", str(data), "--rounds", "20"]
    assert main(["promote", *common]) == 0
    assert "is the champion" in capsys.readouterr().out
    assert main(["promote", *common]) == 0  # judged again, and still the champion
    capsys.readouterr()
    assert main(["monitor", "--model", "@champion", *common]) in (0, 3, 4)
    assert "Model " in capsys.readouterr().out
    again = ["recalibrate", "--model", "models/a", "--community", str(data), "--out", "models/b"]
    assert main(again) == 0
    assert "intercept" in capsys.readouterr().out
    assert main(["promote", *common]) == 2
    assert "No verdict" in capsys.readouterr().err
    assert main(["rollback"]) == 2
    assert "no version" in capsys.readouterr().err
    assert main(["sync"]) == 0
    assert "Nothing is pending" in capsys.readouterr().out
    client = MlflowClient(tracking_uri=f"sqlite:///{tmp_path / 'mlflow.db'}")
    assert str(client.get_model_version_by_alias("leadlight", "challenger").version) == "2"


def test_flags_go_before_the_file_and_set_before_flags(data, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.yaml").write_text("labels: {every: 90d, until: 2025-03-01}\n")
    arguments = ["train", "--config", "t.yaml", "--community", str(data), "--no-mlflow", "--no-evaluation"]
    more = ["--every", "60d", "--set", "labels.every=30d", "--share", ".1", "--out", "m", "--quiet"]
    assert main([*arguments, *more]) == 0
    said = capsys.readouterr().out
    assert "best-scored 10%" in said
    assert "Saved m" in said
    assert not (tmp_path / "mlflow.db").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["train", "--set", "labels.horizn=3d"], "did you mean 'horizon'?"),
        (["train", "--config", "none.yaml"], "none.yaml"),
        (["train", "--tune", "--set", "tuning.storage=nosuch://x"], "tuning.storage"),
        (["monitor", "--model", "none", "--community", "DATA"], "none"),
        (["rollback", "--tracking-uri", "sqlite:///empty.db"], "no champion"),
    ],
)
def test_errors_are_one_line(arguments, said, data, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main([str(data) if a == "DATA" else a for a in arguments]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert said in lines[0]
