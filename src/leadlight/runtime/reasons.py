"""Contributions of columns -> the behaviours that moved the score, each as a sentence."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Final, NamedTuple, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from leadlight.errors import InputError, closest
from leadlight.plan import Plan, PlannedBehaviour
from leadlight.runtime.prediction import Reason
from leadlight.runtime.sentences import CONDITIONS, Placeholder, amount, decoded, entry_of, in_words, split
from leadlight.runtime.words import ENGLISH, Words

Templates = Mapping[str, Sequence[str]]
Floats = NDArray[np.float64]
_Found = TypeVar("_Found")

_COUNTS: Final = frozenset({"count", "visits", "distinct", "peers"})
_AMOUNTS: Final = ("duration", "percent")
_FORMS: Final = ("", "ago", "duration", "percent", *CONDITIONS)

TIE: Final = 1e-4
"""Contributions (log-odds) that differ by less count as equal, so that the last digit of a feature reorders nothing."""

NOTHING: Final = 1e-9
"""A contribution below it is rounding, and no reason."""


def reasons(
    plan: Plan, values: ArrayLike, contributions: ArrayLike, n: int = 3, templates: Templates | None = None
) -> tuple[Reason, ...]:
    """Return the behaviours that moved one score most.

    Parameters
    ----------
    plan : Plan
    values, contributions : arrays of shape (columns,)
        Features in the order of the plan, and what each adds to the calibrated log-odds.
    n : int
        At most so many; behaviours that add nothing are never among them.
    templates : mapping of behaviour to sequence of str, optional
        Sentences that replace the plan's, such as translations.

    Returns
    -------
    tuple of Reason
        By the absolute sum of the contributions of a behaviour's columns, heaviest first; a run of sums each within `TIE`
        of the next goes in the plan's order. A behaviour that speaks for a member only by what was not done is passed over.

    Raises
    ------
    InputError
        Shapes do not fit the plan, `n` is negative, or `templates` names an unknown behaviour.
    """
    return reasons_many(plan, np.asarray(values)[None], np.asarray(contributions)[None], n, templates)[0]


def reasons_many(
    plan: Plan, values: ArrayLike, contributions: ArrayLike, n: int = 3, templates: Templates | None = None
) -> list[tuple[Reason, ...]]:
    """Return the reasons of each row; `values` and `contributions` have shape (rows, columns)."""
    return Writer(plan, templates).write(values, contributions, n)


class _Draft(NamedTuple):
    """A template with its entries chosen, for one member; its text is written if it is the one that is said."""

    template: _Template
    chosen: Mapping[str, str]
    places: Sequence[int]

    def weight(self, weights: Sequence[float]) -> float:
        """Return what the columns that it refers to add."""
        total = 0.0
        for j in self.places:
            total += weights[j]
        return total


class _Star(NamedTuple):
    """What can take the place of a template's star.

    Attributes
    ----------
    prefix : str
    entries : list of str
    holes : list of (places, above)
        For each placeholder with the star: where its value stands for each entry, and what it must be above.
    """

    prefix: str
    entries: list[str]
    holes: list[tuple[list[int], float]]

    def best(self, values: Sequence[float], weights: Sequence[float], sign: float) -> int | None:
        """Return the number of the heaviest entry that fits; None where no entry does."""
        fitting: Sequence[int] = range(len(self.entries))
        for places, above in self.holes:
            # Of an entry that the member never touched a sentence cannot speak.
            fitting = [e for e in fitting if (v := values[places[e]]) and above < v < math.inf]
        if len(fitting) <= 1:
            return fitting[0] if fitting else None
        # Hole by hole, as above: entries are many, holes are one or two.
        weighed = [0.0] * len(fitting)
        for places, _ in self.holes:
            weighed = [weight + sign * weights[places[e]] for weight, e in zip(weighed, fitting, strict=True)]
        return _first_best(fitting, weighed)


class _Template:
    """A template of one behaviour: its parts, and the columns that they may refer to."""

    def __init__(
        self,
        template: str,
        behaviour: PlannedBehaviour,
        position: Mapping[str, int],
        counts: frozenset[str],
        typical: Mapping[str, float],
        words: Words,
    ) -> None:
        parts = split(template)
        self._parts = [(part, _is_word(after)) for part, after in zip(parts, (*parts, "")[1:], strict=True)]
        self.counts, self.words = counts, words
        self.columns = {c: position[c] for c in behaviour.columns}
        holes = [part for part in parts if isinstance(part, Placeholder)]
        self._valued = [h for h in holes if h.says_value]
        self._column_at = {j: c for c, j in self.columns.items()}
        fixed = [h for h in holes if not h.starred]
        self.usable = all(h.name in self.columns for h in fixed)
        # Asked of every template of every member, so found once.
        own = fixed if self.usable else []
        self._holds = [(self.columns[h.name], CONDITIONS.get(h.form, -math.inf)) for h in own]
        self._referenced = tuple(dict.fromkeys(self.columns[h.name] for h in own))
        counted = [h for h in own if h.form not in _FORMS or h.form in _AMOUNTS or h.name in counts]
        self._zeros = [self.columns[h.name] for h in counted]
        prefixes = dict.fromkeys(h.prefix for h in holes if h.starred)
        self._stars = [self._star(prefix, holes) for prefix in prefixes]
        self._starless = _Draft(self, {}, self._referenced)
        self._usual = self._said_of_others(typical)

    def _star(self, prefix: str, holes: list[Placeholder]) -> _Star:
        """Return the entries that can take the star's place, with the columns that are then referred to."""
        starred = [h for h in holes if h.starred and h.prefix == prefix]
        patterns = [h for h in starred if not h.entry_alone]
        found: dict[tuple[str, tuple[int, ...]], None] = {}
        for column in self.columns:
            entry = entry_of(column, prefix)
            if entry is None:
                continue
            # A star alone refers to whatever column of the entry is there.
            names = [h.name.replace("*", entry) for h in patterns] or [column]
            if all(name in self.columns for name in names):
                found[entry, tuple(self.columns[name] for name in names)] = None
        above = [CONDITIONS.get(h.form, -math.inf) for h in patterns or starred[:1]]
        places = [[at[k] for _, at in found] for k in range(len(above))]
        return _Star(prefix, [entry for entry, _ in found], list(zip(places, above, strict=True)))

    def _said_of_others(self, typical: Mapping[str, float]) -> dict[str, str]:
        """Return in words what is typical of each column that may be the first whose value the sentence says."""
        if not self._valued:
            return {}
        hole = self._valued[0]
        names = [hole.name]
        if hole.starred:
            entries = next(star.entries for star in self._stars if star.prefix == hole.prefix)
            # Most members never touch one tag or group among many, whoever they are: zero tells nothing.
            names = [name for entry in entries if typical.get(name := hole.name.replace("*", entry))]
        return {name: self._amount(typical[name], name, hole) for name in names if name in typical}

    def _amount(self, value: float, name: str, hole: Placeholder) -> str:
        return amount(value, hole.form, counts=name in self.counts, words=self.words)

    def draft(self, values: Sequence[float], weights: Sequence[float], sign: float) -> _Draft | None:
        """Fill the template for one member; None where a value is missing, a condition fails or no entry fits."""
        for j, above in self._holds:
            if not (above < values[j] < math.inf):
                return None
        if not self._stars:
            return self._starless
        chosen, referenced = {}, list(self._referenced)
        for star in self._stars:
            best = star.best(values, weights, sign)
            if best is None:
                return None
            chosen[star.prefix] = star.entries[best]
            referenced += [places[best] for places, _ in star.holes]
        return _Draft(self, chosen, tuple(dict.fromkeys(referenced)))

    def said(self, values: Sequence[float], draft: _Draft) -> tuple[str, tuple[str, ...]]:
        """Return the sentence and the columns that it speaks of: those whose values it says, else all that it refers to."""
        names = [self._name(hole, draft.chosen) for hole in self._valued]
        columns = tuple(dict.fromkeys(names or [self._column_at[j] for j in draft.places]))
        return "".join(self._words(values, draft.chosen)) + self._typical(values, draft.chosen), columns

    def holds_zero(self, values: Sequence[float]) -> bool:
        """Whether the sentence would say zero."""
        return 0 in [values[j] for j in self._zeros]

    def _name(self, hole: Placeholder, chosen: Mapping[str, str]) -> str:
        """Return the column of a placeholder."""
        return hole.name.replace("*", chosen[hole.prefix]) if hole.starred else hole.name

    def _words(self, values: Sequence[float], chosen: Mapping[str, str]) -> Iterator[str]:
        for part, before_word in self._parts:
            if isinstance(part, str):
                yield part
            elif part.entry_alone:
                yield decoded(chosen[part.prefix])
            else:
                name = self._name(part, chosen)
                yield in_words(
                    values[self.columns[name]],
                    part.form,
                    counts=name in self.counts,
                    before_word=before_word,
                    words=self.words,
                )

    def _typical(self, values: Sequence[float], chosen: Mapping[str, str]) -> str:
        """Return what is typical of the first value that the sentence says; nothing where that is the member's own."""
        if not self._usual:
            return ""
        hole = self._valued[0]
        name = self._name(hole, chosen)
        usual = self._usual.get(name)
        if usual is None or usual == self._amount(values[self.columns[name]], name, hole):
            return ""
        return self.words.typical.replace("{}", usual)


class Writer:
    """Writes the reasons of a plan; holds its templates in parsed form. Read only, so threads may share it.

    Parameters
    ----------
    plan : Plan
    templates : mapping of behaviour to sequence of str, optional
        Sentences that replace the plan's.
    typical : mapping of column to float, optional
        What is typical of a column among members; a sentence that says a column's value says it, too.
    words : Words
        Of the language of the templates.

    Raises
    ------
    InputError
        `templates` names a behaviour that the plan does not have.
    """

    def __init__(
        self,
        plan: Plan,
        templates: Templates | None = None,
        *,
        typical: Mapping[str, float] | None = None,
        words: Words = ENGLISH,
    ) -> None:
        names = [b.name for b in plan.behaviours]
        own = dict(templates or {})
        for name in own:
            if name not in names:
                raise InputError(
                    f"templates= names the behaviour {name!r}, which the plan does not have{closest(name, names)}."
                )
        position = {name: j for j, name in enumerate(plan.column_names)}
        counts = frozenset(c.name for c in plan.columns if c.operation in _COUNTS)
        self.names, self.words = tuple(names), words
        self._width = len(plan.columns)
        self._columns = np.array([position[c] for b in plan.behaviours for c in b.columns], dtype=np.intp)
        self._behaviour = np.repeat(np.arange(len(names)), [len(b.columns) for b in plan.behaviours])
        made = [
            [
                _Template(text, b, position, counts, typical or {}, words)
                for text in _sentences(own.get(b.name, b.reasons))
            ]
            for b in plan.behaviours
        ]
        self._templates = [[template for template in found if template.usable] for found in made]

    def write(self, values: ArrayLike, contributions: ArrayLike, n: int = 3) -> list[tuple[Reason, ...]]:
        """Return the reasons of each row; see `reasons`."""
        X, C = np.asarray(values, dtype=np.float64), np.asarray(contributions, dtype=np.float64)
        if X.shape != C.shape or X.ndim != 2 or X.shape[1] != self._width:
            raise InputError(
                f"values have shape {X.shape}, contributions {C.shape}; the plan has {self._width} columns."
            )
        if isinstance(n, bool) or n < 0:
            raise InputError(f"n is {n!r}; give the number of reasons, 0 or more.")
        return [tuple(islice(self._row(x, c), n)) for x, c in zip(X, C, strict=True)]

    def _row(self, x: Floats, c: Floats) -> Iterator[Reason]:
        # Added from the first column to the last.
        sums = np.bincount(self._behaviour, c.take(self._columns), len(self.names)).tolist()
        values, weights = x.tolist(), c.tolist()
        for b in _heaviest([abs(added) for added in sums]):
            if abs(sums[b]) < NOTHING:
                continue
            found = self._text(b, values, weights, positive=sums[b] > 0)
            if found is not None:
                yield Reason(self.names[b], sums[b], *found)

    def _text(
        self, b: int, values: list[float], weights: list[float], *, positive: bool
    ) -> tuple[str, tuple[str, ...]] | None:
        """Return the sentence and the columns that it speaks of."""
        sign = 1.0 if positive else -1.0
        drafts = [d for t in self._templates[b] if (d := t.draft(values, weights, sign)) is not None]
        if positive and drafts:
            # What a member did speaks for the member; "asked no questions" is no reason to call anybody.
            drafts = [d for d in drafts if not d.template.holds_zero(values)]
            if not drafts:
                return None
        if not drafts:
            name = self.words.name(self.names[b])
            return (name if positive else self.words.little.replace("{}", name)), ()
        best = _first_best(drafts, [sign * d.weight(weights) for d in drafts])
        return best.template.said(values, best)


def _heaviest(size: Sequence[float]) -> Iterator[int]:
    """Yield the places from the largest down, runs of near ties in their own order."""
    run: list[int] = []
    for place in sorted(range(len(size)), key=size.__getitem__, reverse=True):
        if run and size[run[-1]] - size[place] > TIE:
            yield from sorted(run)
            run = []
        run.append(place)
    yield from sorted(run)


def _first_best(found: Sequence[_Found], weights: Sequence[float]) -> _Found:
    """Return the first whose weight is the largest, or as good as that."""
    enough, first = max(weights) - TIE, 0
    while weights[first] < enough:
        first += 1
    return found[first]


def _is_word(part: str | Placeholder) -> bool:
    """Whether a part of a template goes on with a word."""
    return isinstance(part, str) and part[:1] == " " and part[1:2].isalpha()


def _sentences(templates: Sequence[str]) -> tuple[str, ...]:
    return (templates,) if isinstance(templates, str) else tuple(templates)
