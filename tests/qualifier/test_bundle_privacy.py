"""A bundle holds nothing of a member: every private text and number of a community is marked, and the bundle searched for it."""

from __future__ import annotations

import base64
import hashlib
import os
import struct
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import leadlight as ll
from leadlight.errors import LeadlightWarning

MARK = "qzmark"
FIRST_ID = 7_313_000_000_001
DAYS = pd.date_range("2024-01-01", periods=10, freq="30D")
ENOUGH = 20
"""Members who must share a tag, group or role before a plan may name it."""

CATALOGUE = ll.Catalogue(
    [
        ll.Behaviour("asks", (ll.Count("question", window="30d"), ll.Recency("question")), reason="asked"),
        ll.Behaviour(
            "reads",
            (
                ll.Count("view", window="30d"),
                ll.Count(by="tag", window="90d"),
                ll.Count(by="group", window="90d"),
                ll.Count(by="role", window="90d"),
                ll.Count(by="job_function", window="90d"),
                ll.Count("view", window="30d", same_domain=True),
                ll.Peers(ll.Count("view", window="30d")),
                ll.Tenure(),
            ),
            reason="read {view_count_30d:page|pages} on {tag.*}",
        ),
    ]
)


def person(m, *, numbers):
    return {
        "member_id": FIRST_ID + m if numbers else f"{MARK}-member-{m}",
        "account_id": f"{MARK}-account-{m // 2}",
        "email": f"{MARK}.person{m}@{MARK}-firm{m // 2}.example",
    }


def tables(*, numbers):
    """Members who asked in a month buy in the next; 19 of them share what is rare, all of them what is not."""
    log, members, deals = [], [], []
    for m in range(240):
        who = person(m, numbers=numbers)
        members.append(who | {"joined_at": DAYS[0], "job_function": "sales"})
        rare = m < ENOUGH - 1
        for i, day in enumerate(DAYS):
            log.append(
                {
                    "member_id": who["member_id"],
                    "occurred_at": day + pd.Timedelta(hours=9, minutes=m),
                    "action": "view",
                    "event_id": f"{MARK}-event-{m}-{i}",
                    "content_id": f"{MARK}-content-{m}",
                    "source": f"{MARK}-source-{m}",
                    "tags": ["everyday", f"{MARK}-rare-tag"] if rare else ["everyday"],
                    "group_id": f"{MARK}-rare-group" if rare else "everybody",
                    "other_member_id": person((m + 7) % 240, numbers=numbers)["member_id"],
                    "other_role": f"{MARK}-rare-role" if rare else "prospect",
                    "other_job_function": f"{MARK}-rare-job" if rare else "sales",
                    "other_domain": f"{MARK}-firm{m // 2}.example",
                    "duration_s": 1.0,
                }
            )
        if m < 80:
            bought = DAYS[1 + m % 8]
            log.append(
                log[-1]
                | {
                    "occurred_at": bought - pd.Timedelta("2D"),
                    "action": "question",
                    "event_id": f"{MARK}-{m}",
                }
            )
            deals.append(
                {
                    "deal_id": f"{MARK}-deal-{m}",
                    "member_id": who["member_id"],
                    "outcome": "won",
                    "closed_at": bought + pd.Timedelta("12h"),
                    "amount": 31_337.25 + m,
                }
            )
    return pd.DataFrame(log), pd.DataFrame(members), pd.DataFrame(deals)


@pytest.fixture(scope="module", params=[False, True], ids=["text ids", "number ids"])
def saved(request, tmp_path_factory):
    activity, members, deals = tables(numbers=request.param)
    community = ll.Community(activity=activity, members=members, deals=deals)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LeadlightWarning)
        observations = ll.observe(community, every="30d", horizon="30d")
        qualifier = ll.LeadQualifier(CATALOGUE, decision=ll.Capacity(n=5)).fit(community, observations)
    folder = tmp_path_factory.mktemp("private")
    qualifier.save(folder / "m")
    qualifier.save(folder / "m.zip")
    return folder, community


def contents(folder):
    """Return every byte of the folder and of the unpacked zip, names included."""
    parts = [path.name.encode() + b"\n" + path.read_bytes() for path in sorted((folder / "m").iterdir())]
    with zipfile.ZipFile(folder / "m.zip") as archive:
        parts += [
            archive.comment,
            *(info.filename.encode() + archive.read(info) for info in archive.infolist()),
        ]
    return b"\n".join(parts)


def found(secrets, data):
    low = data.lower()
    return [secret for secret in secrets if secret.lower() in low]


def test_no_text_of_a_member_is_in_it(saved):
    data = contents(saved[0])
    assert b"everyday" in data, "what all share may be named; else the search proves nothing"
    assert b"everybody" in data
    forms = [MARK.encode(code) for code in ("utf-8", "utf-16-le", "utf-32-le")]
    assert found([*forms, MARK.encode()[::-1], MARK.encode().hex().encode()], data) == []


def test_no_hash_of_an_address_or_an_identifier_is_in_it(saved):
    secrets = []
    for m in range(0, 240, 7):
        for text in (str(value).encode() for value in person(m, numbers=False).values()):
            for digest in (hashlib.sha256(text), hashlib.md5(text), hashlib.sha1(text)):
                secrets += [
                    digest.hexdigest()[:16].encode(),
                    digest.digest()[:8],
                    base64.b64encode(digest.digest())[:12],
                ]
    assert found(secrets, contents(saved[0])) == []


def test_no_number_of_a_member_is_in_it(saved):
    data = contents(saved[0])
    secrets = []
    for m in range(240):
        number = FIRST_ID + m
        secrets += [str(number).encode(), struct.pack("<q", number), struct.pack("<d", number)]
        secrets += [struct.pack("<d", 31_337.25 + m), repr(31_337.25 + m).encode()]
    assert [secret for secret in secrets if secret in data] == []


def test_no_moment_of_the_log_is_in_it_but_the_bounds_of_training(saved):
    folder, community = saved
    log, _, _ = tables(numbers=False)
    moments = pd.to_datetime(log["occurred_at"]).dt.as_unit("us").astype(np.int64).unique().tolist()
    text = (folder / "m" / "manifest.json").read_text() + (folder / "m" / "plan.json").read_text()
    assert [moment for moment in moments if str(moment) in text] == []
    assert community.frozen_us not in moments or str(community.frozen_us) not in text


def test_no_clock_host_user_or_path_is_in_it(saved):
    folder, _ = saved
    data = contents(folder)
    secrets = [
        str(folder),
        str(Path.cwd()),
        str(Path.home()),
        os.uname().nodename,
        str(os.getpid()) + ".",
        "__reduce__",
    ]
    assert [secret for secret in secrets if len(secret) > 4 and secret.encode() in data] == []
    for path in (folder / "m").iterdir():
        assert not path.read_bytes().startswith(b"\x80"), "a pickle"
        os.utime(path, (0, 0))
    assert ll.load(folder / "m").digest == ll.load(folder / "m.zip").digest
