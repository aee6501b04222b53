"""The simulator is frozen: values, names, mechanism and the page that describes them."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pyarrow.compute as pc
import pytest

from leadlight.simulate import FROZEN_DIGEST, SimulationParameters, digest, names, simulate_tables

PAGE = Path(__file__).parents[2] / "docs" / "simulator.md"

# What a small community came out as when the simulator was frozen. Values outside the digest (constants in the code, the
# order of draws) show here. Changing it needs a decision document, as changing FROZEN_DIGEST does.
SAMPLE = {
    True: {
        "activity": 7053,
        "members": 302,
        "deals": 5,
        "deal_contacts": 3,
        "contacts": 116,
        "views": 3850,
        "sum of members": 706358508,
        "sum of contents": 151908860,
    },
    False: {
        "activity": 7664,
        "members": 302,
        "deals": 6,
        "deal_contacts": 6,
        "contacts": 114,
        "views": 4190,
        "sum of members": 767544427,
        "sum of contents": 163464514,
    },
}


def test_the_default_parameters_are_the_frozen_ones():
    """If this fails, a parameter or a name list changed: put it back, or write a decision document first."""
    assert digest(SimulationParameters()) == FROZEN_DIGEST


@pytest.mark.parametrize(
    ("name", "value"), [("need_rate", 0.01), ("late_tags", ("pricing",)), ("win", (0.0, 0.0, 0.0, 0.8, 0.6))]
)
def test_the_digest_changes_with_a_parameter(name: str, value: object):
    assert digest(dataclasses.replace(SimulationParameters(), **{name: value})) != FROZEN_DIGEST


@pytest.mark.parametrize("name", ["FIRST_NAMES", "LAST_NAMES", "COMPANY_HEADS", "COMPANY_TAILS", "FREE_MAIL"])
def test_the_digest_changes_with_a_name_list(monkeypatch: pytest.MonkeyPatch, name: str):
    monkeypatch.setattr(names, name, [*getattr(names, name), "another"])
    assert digest(SimulationParameters()) != FROZEN_DIGEST


@pytest.mark.parametrize("markov", [True, False])
def test_a_small_community_comes_out_as_it_did_when_frozen(markov: bool):
    parameters = SimulationParameters(score_contacts=0.01, random_contacts=0.003)
    tables, _ = simulate_tables(members=300, weeks=30, seed=0, markov=markov, parameters=parameters)
    found = {name: table.num_rows for name, table in tables.items()}
    found["views"] = pc.sum(pc.equal(tables["activity"]["action"], "view")).as_py()
    found["sum of members"] = pc.sum(tables["activity"]["member_id"]).as_py()
    found["sum of contents"] = pc.sum(tables["activity"]["content_id"]).as_py()
    assert found == SAMPLE[markov]


def test_the_page_names_every_parameter_and_the_digest():
    page = PAGE.read_text(encoding="utf-8")
    missing = [f.name for f in dataclasses.fields(SimulationParameters) if f"`{f.name}`" not in page]
    assert not missing
    assert FROZEN_DIGEST in page
