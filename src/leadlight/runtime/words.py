"""The words that sentences need beside their templates, so that a call list can be in another language."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final


@dataclass(frozen=True)
class Words:
    """Words of a language; the defaults are English.

    `{}` stands for a number, a noun or a sentence, once. Nothing is evaluated. Nouns of counts stand in the templates
    themselves: `{question_count_30d:Frage|Fragen|keine Frage}`.

    Attributes
    ----------
    typical : str
        Follows a sentence that says a value: what is typical.
    none : str
        What is typical where that is nothing.
    little : str
        Said of a behaviour that lowers the score and of which no sentence fits.
    no : str
        Zero of a noun.
    today, yesterday, days_ago, weeks_ago, months_ago, years_ago : str
        For `{column:ago}`.
    instant : str
        Less than a second.
    seconds, minutes, hours, days : tuple of two str
        One and many, for `{column:duration}`.
    percent : str
        For `{column:percent}`.
    decimal : str
        Between whole and part.
    names : mapping of str to str
        Behaviours, where their name itself is shown; others keep their own.
    """

    typical: str = ", typical is {}"
    none: str = "none"
    little: str = "little sign of: {}"
    no: str = "no {}"
    today: str = "today"
    yesterday: str = "yesterday"
    days_ago: str = "{} days ago"
    weeks_ago: str = "{} weeks ago"
    months_ago: str = "{} months ago"
    years_ago: str = "{} years ago"
    instant: str = "under a second"
    seconds: tuple[str, str] = ("second", "seconds")
    minutes: tuple[str, str] = ("minute", "minutes")
    hours: tuple[str, str] = ("hour", "hours")
    days: tuple[str, str] = ("day", "days")
    percent: str = "{} %"
    decimal: str = "."
    names: Mapping[str, str] = field(default_factory=dict)

    def name(self, behaviour: str) -> str:
        """Return what a behaviour is called."""
        return self.names.get(behaviour, behaviour)


ENGLISH: Final = Words()
