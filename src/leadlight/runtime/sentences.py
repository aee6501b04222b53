"""Sentence templates: their syntax, and the words for a number.

A placeholder is `{column}` or `{column:format}`. Nothing is evaluated and nothing is substituted twice: an entry of a
vocabulary that looks like a placeholder stays as it is. Two formats write nothing and say when the template may be used:
"if", the value is above 0; "more", above 1, which for a trend is growth and for a surprise more than usual.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Final
from urllib.parse import unquote

import numpy as np

from leadlight.runtime.words import ENGLISH, Words

PLACEHOLDER: Final = re.compile(r"\{([^{}:]+)(?::([^{}]*))?\}")

CONDITIONS: Final = {"if": 0.0, "more": 1.0}
"""Formats that write nothing; the template fits where the value is above this."""

_MINUTE, _HOUR, _DAY = 60, 3600, 86_400
_WEEK_DAYS, _MONTH_DAYS, _YEAR_DAYS = 7, 30.4375, 365.25


@dataclass(frozen=True)
class Placeholder:
    """A hole in a template.

    Attributes
    ----------
    name : str
        A plan column, or a pattern with a star: ``tag.*_count_30d``, ``tag.*``.
    form : str
        "", "ago", "duration", "percent", one of `CONDITIONS`, or nouns separated by bars.
    """

    name: str
    form: str

    @cached_property
    def starred(self) -> bool:
        """Whether a vocabulary entry must be chosen."""
        return "*" in self.name

    def holds(self, value: float) -> bool:
        """Whether the template may be used for a member with this value."""
        return math.isfinite(value) and value > CONDITIONS.get(self.form, -math.inf)

    @cached_property
    def says_value(self) -> bool:
        """Whether it writes a column's value."""
        return self.form not in CONDITIONS and not self.entry_alone

    @cached_property
    def entry_alone(self) -> bool:
        """Whether it stands for the entry itself, not for a column's value."""
        return self.name.endswith(".*")

    @cached_property
    def prefix(self) -> str:
        """What stands before the star: the attribute and a dot."""
        return self.name.partition("*")[0]


def split(template: str) -> tuple[str | Placeholder, ...]:
    """Return the literal text and the placeholders of a template, in order."""
    parts: list[str | Placeholder] = []
    end = 0
    for match in PLACEHOLDER.finditer(template):
        if match.start() > end:
            parts.append(template[end : match.start()])
        parts.append(Placeholder(match[1], match[2] or ""))
        end = match.end()
    if end < len(template):
        parts.append(template[end:])
    return tuple(parts)


def entry_of(column: str, prefix: str) -> str | None:
    """Return the encoded entry in a column's name: "visa" of "tag.visa_count_30d"; None for another kind of column."""
    if not column.startswith(prefix):
        return None
    return column[len(prefix) :].partition("_")[0] or None


def decoded(entry: str) -> str:
    """Return the vocabulary entry itself."""
    return unquote(entry)


def in_words(
    value: float, form: str, *, counts: bool = False, before_word: bool = False, words: Words = ENGLISH
) -> str:
    """Return a number in the words of a form.

    Parameters
    ----------
    value : float
        Finite.
    form : str
        "": the shortest number. "ago": days. "duration": seconds. "percent": a share. A condition: nothing.
        "question|questions": a count with its noun, "no questions" for zero; a third noun is all that is written for zero: "time|times|not once".
    counts : bool
        The value is a count: without a form, zero in front of a word is "no".
    before_word : bool
        A word follows.
    words : Words
        Of the language.
    """
    if form in CONDITIONS:
        return ""
    if form == "":
        zero = counts and before_word and value == 0
        return words.no.replace("{}", "").strip() if zero else number(value, words)
    if form in _AMOUNTS:
        return _AMOUNTS[form](value, words)
    one, _, rest = form.partition("|")
    many, _, none = rest.partition("|")
    if value == 0:
        return none or ("not once" if one == "time" else words.no.replace("{}", many or one))
    if one == "time" and value in (1, 2):
        return "once" if value == 1 else "twice"
    return f"{number(value, words)} {one if value == 1 else many or one}"


def amount(value: float, form: str, *, counts: bool, words: Words = ENGLISH) -> str:
    """Return a number without its noun, as it is said of what is typical: "3", "none", "40 %", "5 weeks ago"."""
    if form in _AMOUNTS:
        return _AMOUNTS[form](value, words)
    return words.none if value == 0 and (counts or form) else number(value, words)


def number(value: float, words: Words = ENGLISH) -> str:
    """Return the shortest form: an integer as it is, else three digits."""
    if value == round(value) or abs(value) >= 1000:
        return str(round(value))
    text = str(np.format_float_positional(value, precision=3, unique=False, fractional=False, trim="-"))
    return text.replace(".", words.decimal)


def ago(days: float, words: Words = ENGLISH) -> str:
    """Return days as time past: "today", "yesterday", "5 weeks ago"."""
    if days < 1:
        return words.today
    if days < 2:
        return words.yesterday
    for text, size, limit in (
        (words.days_ago, 1, 2 * _WEEK_DAYS),
        (words.weeks_ago, _WEEK_DAYS, 2 * _MONTH_DAYS),
        (words.months_ago, _MONTH_DAYS, 2 * _YEAR_DAYS),
    ):
        if days < limit:
            return text.replace("{}", str(int(days / size)))
    return words.years_ago.replace("{}", str(int(days / _YEAR_DAYS)))


def duration(seconds: float, words: Words = ENGLISH) -> str:
    """Return seconds as "40 seconds", "12 minutes", "2 hours", "3 days"."""
    if seconds < 1:
        return words.instant
    for unit, size, limit in (
        (words.seconds, 1, _MINUTE),
        (words.minutes, _MINUTE, 2 * _HOUR),
        (words.hours, _HOUR, 2 * _DAY),
    ):
        if seconds < limit:
            return _with_unit(int(seconds / size), unit)
    return _with_unit(int(seconds / _DAY), words.days)


def _percent(share: float, words: Words) -> str:
    return words.percent.replace("{}", number(round(100.0 * share), words))


def _with_unit(count: int, unit: tuple[str, str]) -> str:
    return f"{count} {unit[count != 1]}"


_AMOUNTS: Final[dict[str, Callable[[float, Words], str]]] = {
    "ago": ago,
    "duration": duration,
    "percent": _percent,
}
