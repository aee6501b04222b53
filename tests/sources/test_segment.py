"""Segment calls: who is who and since when that is known, what becomes which row, what is refused."""

from __future__ import annotations

import gzip
import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from leadlight.behaviours import CORPORATE_COMMUNITY
from leadlight.community import Community
from leadlight.errors import InputError
from leadlight.features import build_features
from leadlight.observations import observe
from leadlight.simulate import simulate_community
from leadlight.sources.segment import read_segment, snake_case
from leadlight.sources.segment_people import Links

DAY = "2024-03-{:02}T10:00:00.000Z"


def call(kind: str, day: int, **given: Any) -> dict[str, Any]:
    """Return one call on a day of March at ten."""
    names = {"user": "userId", "visitor": "anonymousId", "previous": "previousId", "group": "groupId"}
    return {"type": kind, "timestamp": DAY.format(day)} | {names.get(k, k): v for k, v in given.items()}


def read(tmp_path: Any, *calls: Any, **options: Any) -> Community:
    """Write the calls, text as it is, and read them."""
    path = tmp_path / "events.jsonl"
    path.write_text("\n".join(c if isinstance(c, str) else json.dumps(c) for c in calls) + "\n")
    return read_segment(path, **options)


def rows(community: Community) -> list[tuple[Any, ...]]:
    """Return (member, day, action, day known) of each row in the order of time."""
    frame = community.activity.select(["member_id", "occurred_at", "action", "known_at"]).to_pandas()
    frame = frame.sort_values(["occurred_at", "action"])
    known = frame["known_at"].dt.day.where(frame["known_at"].notna(), frame["occurred_at"].dt.day)
    return list(zip(frame["member_id"], frame["occurred_at"].dt.day, frame["action"], known, strict=True))


class TestWhoIsWho:
    def test_what_a_visitor_did_is_known_to_be_the_members_from_the_sign_in_on(self, tmp_path):
        community = read(
            tmp_path, call("page", 1, visitor="v"), call("identify", 3, visitor="v", user="ann", traits={})
        )
        assert rows(community) == [("ann", 1, "view", 3)]

    def test_what_the_signed_in_visitor_does_later_is_known_at_once(self, tmp_path):
        community = read(
            tmp_path, call("identify", 3, visitor="v", user="ann", traits={}), call("page", 5, visitor="v")
        )
        assert rows(community) == [("ann", 5, "view", 5)]

    def test_the_order_of_lines_does_not_matter(self, tmp_path):
        calls = [
            call("page", 1, visitor="v"),
            call("identify", 3, visitor="v", user="ann", traits={"email": "a@acme.com"}),
            call("page", 4, visitor="v"),
            call("alias", 6, previous="ann", user="anna"),
            call("track", 7, user="anna", event="Trial Started"),
        ]
        first, second = (read(tmp_path, *order) for order in (calls, calls[::-1]))
        assert rows(first) == rows(second)
        assert first.fingerprint == second.fingerprint

    def test_a_shared_device_belongs_to_whom_was_seen_last(self, tmp_path):
        community = read(
            tmp_path,
            call("page", 1, visitor="v"),
            call("track", 2, visitor="v", user="ann", event="a"),
            call("page", 3, visitor="v"),
            call("track", 4, visitor="v", user="bob", event="b"),
            call("page", 5, visitor="v"),
            call("track", 6, visitor="v", user="ann", event="c"),
            call("page", 7, visitor="v"),
        )
        seen = [(member, day) for member, day, action, _ in rows(community) if action == "view"]
        assert seen == [("ann", 1), ("ann", 3), ("bob", 5), ("ann", 7)]

    def test_a_visitor_who_stays_one_is_left_out_and_counted(self, tmp_path):
        community = read(tmp_path, call("page", 1, visitor="v"), call("page", 2, user="ann"), strict=True)
        assert rows(community) == [("ann", 2, "view", 2)]
        assert community.rejects.to_dict("records") == [
            {"table": "segment", "reason": "a visitor who was never identified", "rows": 1, "sample": [0]}
        ]

    def test_a_renamed_user_keeps_the_past(self, tmp_path):
        community = read(
            tmp_path,
            call("page", 1, user="ann"),
            call("alias", 3, previous="ann", user="anna"),
            call("page", 4, user="anna"),
        )
        assert rows(community) == [("anna", 1, "view", 1), ("anna", 4, "view", 4)]

    def test_two_users_who_turn_out_to_be_one_were_two_before(self, tmp_path):
        community = read(
            tmp_path,
            call("page", 1, user="ann"),
            call("page", 2, user="anna"),
            call("alias", 3, previous="ann", user="anna"),
        )
        assert rows(community) == [("anna", 1, "view", 3), ("anna", 2, "view", 2)]

    def test_aliases_in_a_circle_end(self):
        links = Links()
        links.add("a", "b", 1)
        links.add("b", "a", 2)
        links.finish({})
        assert {links.resolve(name, 5).member for name in "ab"} <= {"a", "b"}

    def test_identifiers_beyond_2_to_53_come_back_unchanged(self, tmp_path):
        community = read(tmp_path, call("page", 1, user=2**53 + 1), call("page", 2, user=2**53))
        assert sorted(community.members.ids) == [2**53, 2**53 + 1]


class TestWhatIsSaidOfPeople:
    def test_an_account_holds_from_the_call_on(self, tmp_path):
        community = read(
            tmp_path,
            call("track", 1, user="ann", event="Signed Up"),
            call("group", 3, user="ann", group="acme"),
            call("track", 5, user="bob", event="Account Added User", context={"groupId": "acme"}),
        )
        at = [community.members.account_at(pd.Timestamp(DAY.format(day)).value // 1000) for day in (2, 4, 6)]
        assert [list(codes) for codes in at] == [[-1, -1], [0, -1], [0, 0]]

    def test_signing_up_is_joining(self, tmp_path):
        community = read(
            tmp_path, call("track", 2, user="ann", event="Signed Up"), call("page", 3, user="ann")
        )
        assert pd.Timestamp(int(community.members.joined_us[0]), unit="us").day == 2

    def test_a_trait_is_an_update_when_it_changes_and_its_value_is_not_kept(self, tmp_path):
        told = [{"phone": "555-0199"}, {"phone": "555-0199"}, {"phone": "555-0200"}, {"phone": ""}]
        calls = [call("identify", day, user="ann", traits=traits) for day, traits in enumerate(told, 1)]
        community = read(tmp_path, *calls)
        frame = community.activity.select(["occurred_at", "field", "value"]).to_pandas()
        assert frame["occurred_at"].dt.day.tolist() == [1, 3, 4]
        assert frame["field"].tolist() == ["phone"] * 3
        assert frame["value"].notna().tolist() == [True, True, False]
        assert "555" not in str(community.activity.to_pydict())

    def test_a_deal_finds_its_member_by_the_address_that_was_told(self, tmp_path):
        deals = [{"email": "Ann@Acme.com", "outcome": "won", "closed_at": "2024-03-20"}]
        community = read(
            tmp_path, call("identify", 1, user="ann", traits={"email": "ann@acme.com"}), deals=deals
        )
        assert community.matches["status"].tolist() == ["matched"]
        assert "acme.com" not in str(community.members.facts["email"].tolist())


class TestRows:
    def test_known_events_become_actions_and_others_snake_case(self, tmp_path):
        names = ["Invite Sent", "Question Asked", "Trial Started"]
        calls = [call("track", day, user="ann", event=name) for day, name in enumerate(names, 1)]
        community = read(tmp_path, *calls, actions={"Question Asked": "question"})
        assert [action for _, _, action, _ in rows(community)] == ["invite", "question", "trial_started"]

    def test_of_an_invited_address_the_domain_is_kept(self, tmp_path):
        invited = {"invitee_email": "Bo@Acme.com"}
        community = read(tmp_path, call("track", 1, user="ann", event="Invite Sent", properties=invited))
        assert community.activity["other_domain"].to_pylist() == ["acme.com"]

    def test_a_group_call_may_be_a_group_of_the_community(self, tmp_path):
        community = read(tmp_path, call("group", 1, user="ann", group="beta"), groups="community")
        assert community.activity.select(["action", "group_id"]).to_pylist() == [
            {"action": "join_group", "group_id": "beta"}
        ]
        assert not community.has_accounts

    def test_what_arrives_late_was_not_known_before(self, tmp_path):
        community = read(tmp_path, call("page", 1, user="ann", receivedAt=DAY.format(4)))
        assert rows(community) == [("ann", 1, "view", 4)]

    def test_repeated_messages_count_once(self, tmp_path):
        same = call("page", 1, user="ann", messageId="m1")
        assert read(tmp_path, same, same).repeated_events == 1

    def test_gzipped_files_and_globs_are_read(self, tmp_path):
        for day in (1, 2):
            with gzip.open(tmp_path / f"{day}.jsonl.gz", "wt") as file:
                file.write(json.dumps(call("page", day, user="ann")))
        assert len(rows(read_segment(tmp_path / "*.jsonl.gz"))) == 2

    def test_names_in_any_script_keep_their_letters(self):
        assert [snake_case(name) for name in ("Invite Sent", "invoicePaid", "Größe geändert", "—")] == [
            "invite_sent",
            "invoice_paid",
            "größe_geändert",
            "unnamed",
        ]


BAD = {
    "{": "not JSON",
    "[1]": "no JSON object",
    '{"type": "page", "userId": "\\ud800", "timestamp": "2024-03-01"}': "half a character",
    '{"userId": "a", "timestamp": "2024-03-01"}': "no type",
    '{"type": "pageview", "userId": "a", "timestamp": "2024-03-01"}': "unknown type",
    '{"type": "page", "timestamp": "2024-03-01"}': "neither userId nor anonymousId",
    '{"type": "page", "userId": {"a": 1}, "timestamp": "2024-03-01"}': (
        "an identifier is neither text nor a whole number"
    ),
    '{"type": "page", "userId": "a"}': "no timestamp",
    '{"type": "page", "userId": "a", "timestamp": "soon"}': "timestamp cannot be read",
    '{"type": "page", "userId": "a", "timestamp": 1709287200}': "timestamp cannot be read",
    '{"type": "track", "userId": "a", "timestamp": "2024-03-01"}': "track without event",
}


class TestLinesThatCannotBeUsed:
    @pytest.mark.parametrize(("text", "reason"), BAD.items(), ids=range(len(BAD)))
    def test_each_is_counted_with_its_reason(self, tmp_path, text, reason):
        community = read(tmp_path, call("page", 2, user="ann"), text)
        assert community.rejects.to_dict("records") == [
            {"table": "segment", "reason": reason, "rows": 1, "sample": [1]}
        ]

    def test_they_are_saved_whole(self, tmp_path):
        read(tmp_path, *BAD, call("page", 2, user="ann"), refused=tmp_path / "refused.jsonl")
        saved = [json.loads(line) for line in (tmp_path / "refused.jsonl").read_text().splitlines()]
        assert [(line["line"], line["reason"], line["text"]) for line in saved] == [
            (number, reason, text) for number, (text, reason) in enumerate(BAD.items())
        ]

    def test_strict_raises_at_the_first(self, tmp_path):
        with pytest.raises(InputError, match=r"events\.jsonl, line 1: no type"):
            read(
                tmp_path,
                call("page", 2, user="ann"),
                '{"userId": "a"}',
                strict=True,
                refused=tmp_path / "refused.jsonl",
            )
        assert [path.name for path in tmp_path.iterdir()] == ["events.jsonl"]

    def test_a_damaged_file_names_itself(self, tmp_path):
        (tmp_path / "x.jsonl.gz").write_bytes(b"\x1f\x8b not gzip")
        with pytest.raises(InputError, match=r"x\.jsonl\.gz cannot be read"):
            read_segment(tmp_path / "x.jsonl.gz")

    def test_an_endless_line_is_no_call(self, tmp_path, monkeypatch):
        monkeypatch.setattr("leadlight.sources.lines.LONGEST_LINE_BYTES", 200)
        community = read(tmp_path, '{"type": "' + "x" * 1000 + '"}', call("page", 2, user="ann"))
        assert community.rejects["reason"].tolist() == ["longer than a line may be"]
        assert rows(community) == [("ann", 2, "view", 2)]

    def test_no_file_is_said(self, tmp_path):
        with pytest.raises(InputError, match="No file at"):
            read_segment(tmp_path / "nothing*.jsonl")


def test_hostile_names_are_names(tmp_path):
    hostile = "'; DROP TABLE members; --\"\u0000\u202e\n"
    community = read(
        tmp_path,
        call("track", 1, user=hostile, event="Question Asked", properties={"tags": [hostile]}),
        call("group", 1, user=hostile, group=hostile),
    )
    assert list(community.members.ids) == [hostile]
    assert list(community.members.account_ids) == [hostile]
    assert community.activity["tags"].to_pylist() == [[hostile]]


def test_a_log_through_segment_has_the_features_of_its_tables(tmp_path):
    """Every column of the log under its own name, with the table of members beside it."""
    community, _ = simulate_community(members=400, weeks=60, seed=3)
    path = tmp_path / "events.jsonl"
    with path.open("w") as file:
        for row in community.activity.to_pylist():
            told = {k: v for k, v in row.items() if v is not None}
            body = {
                "type": "track",
                "userId": told.pop("member_id"),
                "event": told.pop("action"),
                "timestamp": told.pop("occurred_at").isoformat(),
            }
            told.pop("email", None)
            if "known_at" in told:
                told["known_at"] = told["known_at"].isoformat()
            file.write(
                json.dumps(body | {"messageId": told.pop("event_id", None), "properties": told}) + "\n"
            )
    tables = community._tables
    again = read_segment(
        path, members=tables.get("members"), deals=tables.get("deals"), match=community.match
    )
    observations = observe(community, every="60d", horizon="90d")
    plan = CORPORATE_COMMUNITY.compile(community, before=int(community.frozen_us))
    expected = build_features(community, observations, plan)
    np.testing.assert_array_equal(build_features(again, observations, plan).to_numpy(), expected.to_numpy())
