"""Behaviours, catalogues, and their compilation to a plan."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from leadlight.behaviours import buying, describe
from leadlight.behaviours.selection import Actions, Feature
from leadlight.errors import InputError, closest
from leadlight.moments import Moment, moment_us
from leadlight.plan import ATTRIBUTES, Column, HandSetPoints, Key, Plan, PlannedBehaviour

PLACEHOLDER = re.compile(r"\{([^{}:]+)(?::([^{}]*))?\}")


class VocabularySource(Protocol):
    """What compilation asks of a community.

    It may also have `own_actions`, which go into the plan, and `action_counts(before)`: no reason then speaks of an action that
    the log does not have.
    """

    def vocabulary(
        self, attribute: str, *, action: Actions, before: int | None, top: int, min_members: int
    ) -> tuple[str, ...]:
        """Return the most frequent entries known before a time."""

    @property
    def has_accounts(self) -> bool:
        """Whether members belong to accounts."""


@dataclass(frozen=True)
class Behaviour:
    """One thing that members do, in the words of a salesperson, with the features that measure it.

    Parameters
    ----------
    name : str
        Short, in the third person: "asks questions".
    features : tuple of features
        From the algebra: `Count`, `Recency`, ...
    reason : str or tuple of str
        Sentence templates for the call list. `{column}` is replaced by the member's value of a plan column;
        `{column:question|questions}` adds the noun in its number, `{column:ago}` reads days as time past,
        `{column:duration}` reads seconds, `{column:percent}` a share. In `{tag.*_count_30d:time|times}` and `{tag.*}`
        the star stands for the entry that weighs most. `{column:if}` and `{column:more}` write nothing: the template is
        used only where the value is above 0, or above 1. The template whose columns weigh most is used.
    points : HandSetPoints, optional
        What a marketer would give for it before any deal has taught better.

    Examples
    --------
    >>> import leadlight as ll
    >>> asks = ll.Behaviour(
    ...     "asks questions",
    ...     (ll.Count("question", window="28d"), ll.Recency("question")),
    ...     reason="asked {question_count_28d:question|questions} in four weeks",
    ... )
    >>> ll.Catalogue([asks]).compile(ll.testing.small_community()).column_names
    ('question_count_28d', 'question_recency_days')
    """

    name: str
    features: tuple[Feature, ...]
    reason: str | tuple[str, ...]
    points: HandSetPoints | None = None

    def __post_init__(self) -> None:
        if not self.name or not self.features:
            raise InputError("A behaviour needs a name and at least one feature.")

    @property
    def reasons(self) -> tuple[str, ...]:
        """The sentence templates as a tuple."""
        return (self.reason,) if isinstance(self.reason, str) else tuple(self.reason)


class Catalogue:
    """An ordered set of behaviours: data only.

    Parameters
    ----------
    behaviours : sequence of Behaviour
        Names must differ.
    name : str
        Shown in reports.

    Examples
    --------
    >>> from leadlight.behaviours import Behaviour, Catalogue, Count
    >>> asks = Behaviour(
    ...     "asks", (Count("question", window="28d"),), reason="asked {question_count_28d} questions"
    ... )
    >>> Catalogue([asks])
    Catalogue('custom': asks)
    """

    def __init__(self, behaviours: list[Behaviour] | tuple[Behaviour, ...], name: str = "custom") -> None:
        self.behaviours = tuple(behaviours)
        self.name = name
        names = [b.name for b in self.behaviours]
        repeated = sorted({n for n in names if names.count(n) > 1})
        if repeated or not names:
            raise InputError(f"A catalogue needs behaviours with different names; repeated: {repeated}.")

    def __iter__(self) -> Iterator[Behaviour]:
        return iter(self.behaviours)

    def __len__(self) -> int:
        return len(self.behaviours)

    def __add__(self, other: Catalogue) -> Catalogue:
        return Catalogue(self.behaviours + other.behaviours, f"{self.name} + {other.name}")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Catalogue) and self.behaviours == other.behaviours

    def __hash__(self) -> int:
        return hash(self.behaviours)

    def __repr__(self) -> str:
        return f"Catalogue({self.name!r}: {', '.join(b.name for b in self.behaviours)})"

    def _repr_html_(self) -> str:
        return describe.html(self.name, self.describe())

    def describe(self) -> list[dict[str, str]]:
        """Return one row for each behaviour: what is measured, what is said, what points it earns.

        Returns
        -------
        list of dict
            With the keys "behaviour", "measures", "says" and "points", all text. `pandas.DataFrame` takes it.
        """
        return describe.rows(self.behaviours)

    def to_markdown(self) -> str:
        """Return `describe` as a Markdown table."""
        return describe.markdown(self.describe())

    def extended(
        self,
        behaviour: str,
        features: tuple[Feature, ...],
        *,
        reason: str | tuple[str, ...] = (),
        points: HandSetPoints | None = None,
    ) -> Catalogue:
        """Return a copy in which one behaviour measures more; their number and order stay.

        Parameters
        ----------
        behaviour : str
            Its name.
        features : tuple of features
            Come after its own.
        reason : str or tuple of str
            More sentences.
        points : HandSetPoints, optional
            In place of its own.

        Raises
        ------
        InputError
            If the catalogue has no such behaviour.
        """
        names = [b.name for b in self.behaviours]
        if behaviour not in names:
            raise InputError(
                f"There is no behaviour {behaviour!r} in {self.name!r}{closest(behaviour, names)}."
            )
        added = (reason,) if isinstance(reason, str) else tuple(reason)
        return Catalogue(
            [
                replace(
                    b, features=b.features + features, reason=b.reasons + added, points=points or b.points
                )
                if b.name == behaviour
                else b
                for b in self.behaviours
            ],
            self.name,
        )

    @property
    def reads_tags(self) -> bool:
        """Whether a behaviour measures tags."""
        return any(_of_tags(f) for b in self.behaviours for f in b.features)

    @property
    def knows_buying_tags(self) -> bool:
        """Whether buying tags are marked."""
        return any(getattr(f, "total", None) == buying.TOTAL for b in self.behaviours for f in b.features)

    def with_buying_tags(self, *tags: str, points: bool = True) -> Catalogue:
        """Return a copy that knows which tags speak of buying, such as "pricing" and "migration".

        The first behaviour that reads tags then measures each of them and all together: counts, share of all tags,
        recency, first time, trend, surprise, questions, and what colleagues did. The tags need no minimum of members,
        since you chose them: name none that would name a person.

        Parameters
        ----------
        *tags : str
            As they stand in the log.
        points : bool, default=True
            A use earns hand-set points, too. Not where deals chose the tags: points are what was known before.

        Raises
        ------
        InputError
            If no tag is given, no behaviour reads tags, or buying tags are marked already.

        Examples
        --------
        >>> from leadlight.behaviours import CORPORATE_COMMUNITY
        >>> len(CORPORATE_COMMUNITY.with_buying_tags("pricing", "migration"))
        10
        """
        features = buying.buying_features(tags)
        if self.knows_buying_tags:
            raise InputError(f"{self.name!r} has buying tags already; name all of them in one call.")
        reads = next((b for b in self.behaviours if any(_of_tags(f) for f in b.features)), None)
        if reads is None:
            raise InputError(
                f"No behaviour of {self.name!r} reads tags; add one that does, such as "
                "Behaviour('reads', (Count(by='tag'),), reason='looked into {tag.*}')."
            )
        earned = reads.points
        if earned is not None and points:
            earned = HandSetPoints(earned.each, earned.units + buying.UNITS, earned.cap)
        return self.extended(reads.name, features, reason=buying.REASONS, points=earned)

    def compile(
        self, community: VocabularySource, before: Moment | None = None, *, min_members: int = 20
    ) -> Plan:
        """Return the plan: keys, columns, and vocabularies of the training period.

        Parameters
        ----------
        community : Community
        before : moment, optional
            Only events known before this time (UTC) make vocabularies; None reads the whole log.
        min_members : int
            An entry enters a vocabulary when at least this many members used it, so that no plan names a member.

        Raises
        ------
        InputError
            If two behaviours make the same column, or a reason names a column that its behaviour does not have.
        """
        builder = _PlanBuilder(
            community, None if before is None else moment_us(before, name="before"), min_members
        )
        counts: dict[str, int] = {}
        if hasattr(community, "action_counts"):
            counts = community.action_counts(builder.before)
        planned: list[PlannedBehaviour] = []
        for behaviour in self.behaviours:
            names = builder.add(behaviour)
            reasons, points = behaviour.reasons, behaviour.points
            if not builder.has_accounts():
                reasons, points = _without_peers(reasons, points)
            _check_reasons(behaviour, reasons, names)
            if counts:
                reasons = _of_what_happens(reasons, builder.never(names, counts))
            if points is not None and any(column not in names for column, _ in points.units):
                raise InputError(
                    f"The points of {behaviour.name!r} use columns that it does not measure: {points.units}."
                )
            planned.append(PlannedBehaviour(behaviour.name, names, reasons, points))
        return Plan(
            keys=tuple(builder.keys),
            columns=tuple(builder.plan_columns),
            behaviours=tuple(planned),
            vocabularies=builder.vocabularies,
            compiled_before_us=builder.before,
            own_actions=dict(getattr(community, "own_actions", {})),
        )


class _PlanBuilder:
    def __init__(self, community: VocabularySource, before: int | None, min_members: int) -> None:
        self.community, self.before, self.min_members = community, before, min_members
        self.keys: dict[Key, int] = {}
        self.plan_columns: list[Column] = []
        self.vocabularies: dict[str, tuple[str, ...]] = {}
        self._owner: dict[str, str] = {}

    def key(self, key: Key) -> int:
        return self.keys.setdefault(key, len(self.keys))

    def vocabulary(self, attribute: str, action: Actions, top: int) -> tuple[str, ...]:
        entries = self.community.vocabulary(
            attribute, action=action, before=self.before, top=top, min_members=self.min_members
        )
        known = self.vocabularies.get(attribute, ())
        self.vocabularies[attribute] = known + tuple(e for e in entries if e not in known)
        return entries

    def has_accounts(self) -> bool:
        return self.community.has_accounts

    def never(self, names: tuple[str, ...], counts: Mapping[str, int]) -> frozenset[str]:
        """Return which columns count nothing but actions that the log does not have."""
        keys = list(self.keys)
        found = []
        for column in self.plan_columns:
            # Of a ratio what stands above the line.
            counted = column.keys[: column.split] if column.split else column.keys
            actions = [keys[k].action for k in counted]
            if column.name in names and actions and all(a is not None and a not in counts for a in actions):
                found.append(column.name)
        return frozenset(found)

    def add(self, behaviour: Behaviour) -> tuple[str, ...]:
        names: list[str] = []
        for feature in behaviour.features:
            for column in feature.columns(self):
                owner = self._owner.setdefault(column.name, behaviour.name)
                if owner != behaviour.name:
                    raise InputError(
                        f"Column {column.name!r} is made by {owner!r} and by {behaviour.name!r}; keep one."
                    )
                if column.name in names:
                    if column not in self.plan_columns:
                        raise InputError(
                            f"{behaviour.name!r} makes two different columns {column.name!r}; keep one."
                        )
                    continue
                self.plan_columns.append(column)
                names.append(column.name)
        return tuple(names)


def _of_what_happens(reasons: tuple[str, ...], never: frozenset[str]) -> tuple[str, ...]:
    """Leave out what is said of actions that the log does not have, as long as something is left to say.

    "Asked no questions" is no reason where nobody can ask.
    """
    return tuple(t for t in reasons if not any(n in never for n, _ in PLACEHOLDER.findall(t))) or reasons


def _of_tags(feature: Feature) -> bool:
    return "tag" in (getattr(feature, "by", None), getattr(feature, "of", None))


class _AnyVocabulary:
    """A builder for which every vocabulary has one entry: shows which columns a behaviour can make."""

    def key(self, key: Key) -> int:
        return 0

    def vocabulary(self, attribute: str, action: Actions, top: int) -> tuple[str, ...]:
        return ("entry",)

    def has_accounts(self) -> bool:
        return True


def _measured(name: str, columns: tuple[str, ...], possible: frozenset[str]) -> bool:
    """Whether a placeholder names a column; one with a star, a column that some vocabulary would make."""
    if "*" not in name:
        return name in columns
    head, _, rest = name.partition("*")
    attribute = head.removesuffix(".").removeprefix("peers_")
    return attribute in ATTRIBUTES and any(c.startswith(head) and c.endswith(rest) for c in possible)


def _without_peers(
    reasons: tuple[str, ...], points: HandSetPoints | None
) -> tuple[tuple[str, ...], HandSetPoints | None]:
    """Leave out what is said of colleagues: where nobody has an account, `Peers` makes no columns."""
    kept = tuple(t for t in reasons if not any(n.startswith("peers_") for n, _ in PLACEHOLDER.findall(t)))
    if points is None:
        return kept, None
    units = tuple(unit for unit in points.units if not unit[0].startswith("peers_"))
    return kept, HandSetPoints(points.each, units, points.cap) if units else None


def _check_reasons(behaviour: Behaviour, reasons: tuple[str, ...], columns: tuple[str, ...]) -> None:
    possible = frozenset(c.name for f in behaviour.features for c in f.columns(_AnyVocabulary()))
    for template in reasons:
        for name, _ in PLACEHOLDER.findall(template):
            if not _measured(name, columns, possible):
                raise InputError(
                    f"The reason of {behaviour.name!r} names {name!r}, which it does not measure{closest(name, columns)}."
                )
