"""Every key is checked, documented and can be overridden; a wrong one is refused with the closest."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
import yaml

from leadlight.errors import InputError
from leadlight.tracking import TrainConfig
from leadlight.tracking.config import example, table_of_keys
from leadlight.tracking.settings import walk

ROOT = Path(__file__).parents[2]
KEYS = [name for name, words, _, _ in walk(TrainConfig) if words]


def test_nothing_given_is_the_defaults():
    assert TrainConfig.of() == TrainConfig()


def test_an_empty_file_is_the_defaults(tmp_path):
    (tmp_path / "a.yaml").write_text("# nothing yet\n")
    assert TrainConfig.of(tmp_path / "a.yaml") == TrainConfig()


def test_a_file_is_read(tmp_path):
    (tmp_path / "a.yaml").write_text("data: {community: here}\nlabels:\n  until: 2025-01-01\n")
    found = TrainConfig.of(tmp_path / "a.yaml")
    assert (found.data.community, found.labels.until) == ("here", "2025-01-01")


def test_overrides_go_before_the_file_and_the_last_one_wins(tmp_path):
    (tmp_path / "a.yaml").write_text("labels: {horizon: 60d}\n")
    found = TrainConfig.of(
        tmp_path / "a.yaml", ["labels.horizon=30d", "labels.horizon=40d", "model.n_folds=3"]
    )
    assert (found.labels.horizon, found.model.n_folds) == ("40d", 3)


@pytest.mark.parametrize("name", KEYS)
def test_every_key_can_be_overridden(name):
    default = next(d for n, _, d, _ in walk(TrainConfig) if n == name)
    assert TrainConfig.of(None, [f"{name}={default}"]) == TrainConfig()


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("labels.horizn=30d", "no key 'labels.horizn' (did you mean 'horizon'?)"),
        ("lables.horizon=30d", "no key 'lables' (did you mean 'labels'?)"),
        ("zzz=1", "no key 'zzz'; the top has data, labels"),
        ("model.booster=lightgmb", "did you mean 'lightgbm'?"),
        ("model.n_folds=true", "model.n_folds is True; give a whole number"),
        ("model.n_folds=2.5", "model.n_folds is 2.5; give a whole number"),
        ("decision.share=much", "decision.share is 'much'; give a number or null"),
        ("model.blend=1", "model.blend is 1; give true or false"),
        ("evaluation.baselines=points", "give a list of"),
        ("evaluation.baselines=[dice]", "evaluation.baselines is 'dice'"),
        ("data.columns=[a]", "give names and values"),
        ("labels=5", "labels is 5; give keys and values"),
        ("labels.horizon=9x", "labels.horizon is '9x'"),
        ("labels.horizon=0d", "longer than nothing"),
        ("labels.until=soon", "labels.until is 'soon'"),
        ("decision.kind=costs", "needs decision.cost_call"),
        ("decision.kind=miss_rate", "needs decision.at_most"),
        ("decision.cost_call=3", "together"),
        ("tracking.patience=0", "more than 0"),
        ("tuning.trails=3", "no key 'tuning.trails' (did you mean 'trials'?)"),
        ("tuning.trials=0", "tuning.trials is 0; give 1 or more"),
        ("tuning.rounds=5", "tuning.rounds is 5; give 100 or more"),
        ("tuning.embargo=9x", "tuning.embargo is '9x'"),
        ("tuning.space={rigde: [0.1]}", "did you mean 'ridge'?"),
        ("tuning.space={ridge: 0.1}", "tuning.space is 0.1; give a list of"),
        ("tuning.space={ridge: []}", "tuning.space.ridge is empty"),
        ("tuning.space={ridge: {low: 0.1, hgih: 1.0}}", "no key 'tuning.space.ridge.hgih' (did you mean 'high'?)"),
        ("tuning.space={ridge: {low: 1.0, high: 0.1}}", "0 < low < high"),
        ("tuning.space={ridge: {low: 1.0}}", "0 < low < high"),
        ("labels.horizon", "write KEY=VALUE"),
        ("bundle.name=x", "no keys below it"),
        ("bundle=[", "no YAML"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_said(override, said):
    values = {"bundle": "models/a"}
    with pytest.raises(InputError) as caught:
        TrainConfig.of(values, [override])
    assert said in str(caught.value)


def test_a_key_twice_in_a_file_is_an_error(tmp_path):
    (tmp_path / "a.yaml").write_text("bundle: a\nbundle: b\n")
    with pytest.raises(InputError, match="names bundle twice"):
        TrainConfig.of(tmp_path / "a.yaml")


@pytest.mark.parametrize("text", ["a: [", "- a\n- b\n", "!!python/object/apply:os.getcwd []"])
def test_a_file_that_is_no_configuration_is_an_error(text, tmp_path):
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(InputError):
        TrainConfig.of(tmp_path / "a.yaml")


def test_a_file_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        TrainConfig.of(tmp_path / "none.yaml")


def test_a_date_object_is_a_date():
    assert TrainConfig.of({"labels": {"until": date(2025, 1, 1)}}).labels.until == "2025-01-01"


def test_it_survives_a_round_trip():
    found = TrainConfig.of(None, ["labels.enters_on=[question, answer]", "data.columns={occurred_at: t}"])
    assert TrainConfig.of(yaml.safe_load(found.to_yaml())) == found


def test_the_digest_is_of_what_decides_the_model():
    same = TrainConfig.of(None, ["tracking.run_name=a", "bundle=b", "evaluation.rounds=5"])
    assert same.digest == TrainConfig().digest
    assert TrainConfig.of(None, ["labels.horizon=91d"]).digest != same.digest


def test_a_search_decides_the_model_and_where_it_is_kept_does_not():
    tuned = TrainConfig.of(None, ["tuning.enabled=true"])
    assert TrainConfig.of(None, ["tuning.trials=9"]).digest == TrainConfig().digest != tuned.digest
    assert TrainConfig.of(None, ["tuning.enabled=true", "tuning.trials=9"]).digest != tuned.digest
    assert TrainConfig.of(None, ["tuning.enabled=true", "tuning.storage=a.db"]).digest == tuned.digest


def test_a_space_is_taken_as_tune_takes_it():
    from leadlight.tracking.tuning import space_of

    text = "tuning.space={ridge: {low: 0.01, high: 1}, n_folds: [3, 5], calibration: [sigmoid, null]}"
    found = TrainConfig.of(yaml.safe_load(TrainConfig.of(None, [text]).to_yaml())).tuning
    expected = {"ridge": (0.01, 1.0), "n_folds": [3, 5], "calibration": ["sigmoid", None]}
    assert space_of(found) == expected
    assert space_of(TrainConfig().tuning) is None


def test_what_can_be_tuned_are_parameters_of_the_classifier():
    from typing import get_args

    from leadlight import LeadClassifier
    from leadlight.qualifier.tuning import SPACE
    from leadlight.tracking.config import Tunable

    assert set(SPACE) <= set(get_args(Tunable)) <= set(LeadClassifier().get_params())


def test_parameters_hold_no_tracking_address():
    found = TrainConfig.of(None, ["tracking.uri=http://user:secret@host"]).flat()
    assert not [v for v in found.values() if "secret" in v]
    assert found["labels.horizon"] == "90d"


def test_every_key_is_documented():
    assert all(doc.endswith(".") for _, _, _, doc in walk(TrainConfig))


def test_the_example_holds_every_key_at_its_default_and_is_current():
    text = (ROOT / "examples" / "train.yaml").read_text(encoding="utf-8")
    assert text == example(), "write leadlight.tracking.config.example() to examples/train.yaml"
    assert TrainConfig.of(yaml.safe_load(text)) == TrainConfig()


def test_the_table_in_the_documentation_is_current():
    assert table_of_keys() in (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
