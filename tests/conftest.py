"""Tiny tables that fit on the screen, and one small simulated community."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from tests.postgres import PostgreSQL, serve

from leadlight.behaviours import Behaviour, Catalogue, Count, Peers, Recency, Visits
from leadlight.community import Community
from leadlight.features import build_features
from leadlight.observations import Observations, observe
from leadlight.plan import HandSetPoints
from leadlight.simulate import SimulationParameters, simulate_community

# How long an example takes says something about the machine.
settings.register_profile("leadlight", settings(), deadline=None)
settings.load_profile("leadlight")

FIELDS = {
    "tags": "tags",
    "to": "other_member_id",
    "role": "other_role",
    "job": "other_job_function",
    "domain": "other_domain",
    "group": "group_id",
    "known": "known_at",
    "for": "duration_s",
    "field": "field",
    "value": "value",
    "id": "event_id",
}


def rows(text: str) -> list[dict[str, Any]]:
    """Read "ann question 2024-03-01; bob view 2024-03-02T10:00:00 tags=a|b": a row for each part.

    A day stands for its first microsecond here, so that tests can say exactly when; `day=yes` leaves it a day.
    """
    found = []
    for part in filter(None, map(str.strip, text.split(";"))):
        member, action, when, *rest = part.split()
        extra = dict(piece.split("=", 1) for piece in rest)
        exact = extra.pop("day", None) is None
        stamp = lambda t, exact=exact: t + "T00:00:00" if exact and len(t) == 10 else t  # noqa: E731
        row = {"member_id": member, "action": action, "occurred_at": stamp(when)}
        for key, value in extra.items():
            row[FIELDS[key]] = stamp(value) if key == "known" else value
        found.append(row)
    return found


def table(text: str, **options: Any) -> Community:
    """Return the community of a text; options go to `Community`."""
    return Community(rows(text), **options)


def value(
    community: Community, feature: Any, *, member: str = "ann", cutoff: str, column: str | None = None
) -> float:
    """Return one feature of one member at a cutoff."""
    catalogue = Catalogue([Behaviour("tested", (feature,), reason="")])
    plan = catalogue.compile(community, cutoff, min_members=1)
    frame = build_features(
        community, Observations.from_frame([{"member_id": member, "cutoff": cutoff}]), plan
    )
    return float(frame[column or plan.column_names[0]].iloc[0])


def same(left: Any, right: Any) -> bool:
    """Whether two arrays are equal bit for bit, missing ones alike."""
    return bool(np.array_equal(np.asarray(left, float), np.asarray(right, float), equal_nan=True))


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    """A server that stops with the session."""
    with serve() as server:
        yield server


@pytest.fixture(name="table", scope="session")
def _table() -> Any:
    return table


@pytest.fixture(name="rows", scope="session")
def _rows() -> Any:
    return rows


@pytest.fixture(name="value", scope="session")
def _value() -> Any:
    return value


@pytest.fixture(name="same", scope="session")
def _same() -> Any:
    return same


CATALOGUE = Catalogue(
    [
        Behaviour(
            "reads",
            (Count("view", window=("30d", "90d")), Recency("view")),
            reason=("viewed {view_count_30d:page|pages} in 30 days", "last read {view_recency_days:ago}"),
            points=HandSetPoints(0.2, (("view_count_30d", 1.0),), 50),
        ),
        Behaviour(
            "asks questions",
            (Count("question", window=("30d", "all")),),
            reason="asked {question_count_30d:question|questions} in 30 days",
            points=HandSetPoints(3, (("question_count_30d", 1.0),), 20),
        ),
        Behaviour(
            "looks around",
            (
                Visits(window="90d"),
                Count(("search", "download"), window="90d"),
                Peers(Count("view", window="90d")),
            ),
            reason="came {visit_count_90d:time|times} in 90 days",
        ),
    ],
    "small",
)


@pytest.fixture(scope="session", name="catalogue")
def _catalogue():
    return CATALOGUE


@pytest.fixture(scope="session", name="community")
def _community():
    parameters = SimulationParameters(score_contacts=0.1, random_contacts=0.02)
    return simulate_community(3000, 100, 8, parameters=parameters)[0]


@pytest.fixture(scope="session", name="observations")
def _observations(community):
    return observe(community, every="60d")
