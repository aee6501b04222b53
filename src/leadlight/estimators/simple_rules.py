"""Simple rules that a CRM can hold, in words: "asked at least 1 question in 30 days", from a plan's own sentences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from leadlight.plan import Plan, PlannedBehaviour
from leadlight.runtime.sentences import Placeholder, decoded, duration, entry_of, number, split

Values = NDArray[np.float64]
Bools = NDArray[np.bool_]

DAYS: Final = (7.0, 30.0, 90.0)
"""How recent a rule may ask something to be."""

SECONDS: Final = (60.0, 600.0, 3600.0)
SHARES: Final = (0.25, 0.5, 0.75)
QUANTILES: Final = (0.5, 0.9)
"""Beside "at least once", counts are cut at these quantiles of those who did it."""


@dataclass(frozen=True)
class SimpleRule:
    """One condition on one column.

    Attributes
    ----------
    behaviour, column : str
    text : str
        The condition in words. Entries of vocabularies stand in it as they are.
    at_least, at_most : float
        The column's value lies between; infinite on one side. A missing value meets no rule.
    """

    behaviour: str
    column: str
    text: str
    at_least: float
    at_most: float

    def met(self, values: Values) -> Bools:
        """Return whether each value of the column meets the rule."""
        return np.asarray((values >= self.at_least) & (values <= self.at_most))


def simple_rules(plan: Plan, values: Values, enough: Bools) -> list[SimpleRule]:
    """Return every rule that the plan's sentences can say and that cuts the rows somewhere.

    A sentence makes rules if it speaks of one column: it says its value, names one entry, or tells that something happened.

    Parameters
    ----------
    plan : Plan
    values : float64 array of shape (n, columns)
        Training features; thresholds of counts are quantiles of them.
    enough : bool array of shape (n,)
        Rows that thresholds are read from.
    """
    place = {name: j for j, name in enumerate(plan.column_names)}
    found: dict[tuple[str, float, float], SimpleRule] = {}
    for behaviour in plan.behaviours:
        for template in behaviour.reasons:
            for column, form, parts in _readings(behaviour, template):
                known = values[enough, place[column]]
                for low, high, said in _cuts(form, known[np.isfinite(known)]):
                    text = "".join(part if isinstance(part, str) else said for part in parts)
                    found.setdefault(
                        (column, low, high), SimpleRule(behaviour.name, column, text.strip(), low, high)
                    )
    return list(found.values())


def _readings(
    behaviour: PlannedBehaviour, template: str
) -> Iterator[tuple[str, str, list[str | Placeholder]]]:
    """Yield each column that a template can speak of alone: column, form, and its parts with entries filled in."""
    parts = split(template)
    holes = [part for part in parts if isinstance(part, Placeholder)]
    says = [hole for hole in holes if hole.says_value]
    conditions = [hole for hole in holes if not hole.says_value and not hole.entry_alone]
    if len(says) == 1 and not conditions:
        subject = says[0]
    elif not says and len(conditions) == 1 and conditions[0].form == "if":
        subject = conditions[0]
    elif not says and not conditions and holes:
        subject = holes[0]
    else:
        return
    prefixes = {hole.prefix for hole in holes if hole.starred}
    if len(prefixes) > 1 or (prefixes and not subject.starred):
        return
    for column in behaviour.columns:
        entry = entry_of(column, subject.prefix) if subject.starred else None
        if subject.starred and entry is None:
            continue
        if not subject.entry_alone and column != subject.name.replace("*", entry or ""):
            continue
        filled: list[str | Placeholder] = [
            decoded(entry or "") if isinstance(p, Placeholder) and p.entry_alone else p
            for p in parts
            if isinstance(p, str) or p.says_value or p.entry_alone
        ]
        yield column, subject.form if subject.says_value else "if", filled


def _cuts(form: str, known: Values) -> Iterator[tuple[float, float, str]]:
    """Yield (at least, at most, what is said in the value's place)."""
    inf = float("inf")
    if form == "if":
        yield 1.0, inf, ""
    elif form == "ago":
        yield from ((-inf, days, f"less than {number(days)} days ago") for days in DAYS)
    elif form == "duration":
        yield from ((s, inf, f"at least {duration(s)}") for s in SECONDS)
    elif form == "percent":
        yield from ((share, inf, f"at least {number(100 * share)} %") for share in SHARES)
    else:
        one, _, rest = form.partition("|")
        many = rest.partition("|")[0] or one
        for count in _counts(known[known > 0]):
            yield count, inf, _at_least(count, one, many)


def _counts(positive: Values) -> Sequence[float]:
    if not len(positive):
        return (1.0,)
    more = np.quantile(positive, QUANTILES, method="inverted_cdf")
    return sorted({1.0, *(float(np.ceil(v)) for v in more)})


def _at_least(count: float, one: str, many: str) -> str:
    if one == "time" and count == 1:
        return "at least once"
    return f"at least {number(count)} {one if count == 1 else many}".rstrip()
