"""The model card: what a bundle says of itself, in Markdown, for who has to decide whether to use it."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from leadlight.moments import DAY_US, moment_text
from leadlight.plan import Plan

FEW_BUYERS: Final = 20
OWN: Final = "leadlight"

FIGURES: Final = {
    "buyers_reached": "buyers reached",
    "buyers_missed": "buyers missed",
    "average_precision": "average precision",
    "auc": "AUC",
    "log_loss": "log loss",
    "observed_expected": "observed / expected",
    "calibration_slope": "calibration slope",
}
"""The figures of an evaluation that a card shows, and their names."""

_COUNTS: Final = ("buyers_reached", "buyers_missed")
_SELECTION: Final = {
    "none": "every member whom nobody approached and who did not buy counted as a no",
    "discount": "a member whom nobody approached and who did not buy counted as a tenth of a no",
    "contacted-only": "only members who were approached, or bought, counted",
}
_READING: Final = (
    "The first row is this model, the others are simpler ways to choose whom to call. Average precision and AUC: higher is "
    "better, and chance is the row *random*. Observed / expected and calibration slope: 1 is right."
)
_INTENDED: Final = (
    "It ranks members of one community by how likely a deal is, so that people in sales can choose whom to talk to first. A "
    'person decides about every approach, and sees the reasons beside the score. A low score means "not first"; it '
    'does not mean "no".'
)
_NOT_FOR: Final = (
    "to reject, exclude or disadvantage anybody automatically; no answer of it is a decision",
    "for prices, credit, employment, insurance, or anything else that the law treats as a decision about a person",
    "to watch or rate one's own staff, or members who did not consent or who objected",
    "for another community, another product or another kind of deal than those of its data",
)


def card(info: Mapping[str, Any], plan: Plan, columns: Sequence[str], digest: str) -> str:
    """Return a model card.

    Parameters
    ----------
    info : mapping
        What the bundle says of the model; see `leadlight.runtime.bundle.pack`. `metrics["test"]`, if it is there, holds what an
        evaluation found (`LeadQualifier.save(path, report=...)`), and `terms` the terms of the data.
    plan : Plan
        Without columns for a model of plain lead tables.
    columns : sequence of str
        The model's.
    digest : str
        Of the bundle.

    Returns
    -------
    str
        Markdown, the same for the same bundle.
    """
    parts = [
        f"# Model card: lead score {digest[:12]}\n",
        *_section("What it answers", _answers(info)),
        *_section("Intended use", [_INTENDED]),
        *_section("Not to be used", [_listed(_NOT_FOR)]),
        *_section("How good it is", _figures(info)),
        *_section("From score to decision", _decision(info)),
        *_section("Data", _data(info)),
        *_section("What it looks at", _looks_at(plan, columns)),
        *_section("Limits", [_listed(_limits(info))]),
        *_section("Which model this is", [_identity(info, plan, digest)]),
    ]
    return "\n".join(parts)


def _section(title: str, paragraphs: Sequence[str]) -> Iterator[str]:
    yield f"## {title}\n"
    for paragraph in paragraphs:
        yield f"{paragraph}\n"


def _answers(info: Mapping[str, Any]) -> list[str]:
    said = [f"{_plain(info['estimand']).rstrip('.')}." if info["estimand"] else "The bundle does not say."]
    windows = info["windows"]
    if windows.get("active_within_us") is not None:
        entered = ", ".join(map(_code, windows.get("enters_on") or ())) or "joining"
        said.append(
            f"It is asked of members who were active in the last {_days(windows['active_within_us'])}, from {entered} until "
            "their first won deal; not of employees, and not of members without consent."
        )
    if info["simulated"]:
        said.insert(
            0,
            "**Made of simulated data: it shows how the machinery works, and says nothing of real people.**",
        )
    return said


def _figures(info: Mapping[str, Any]) -> list[str]:
    test = info["metrics"].get("test") or {}
    rows = [row for row in test.get("figures") or () if row.get("metric") in FIGURES]
    if not rows:
        return [
            "**It was not judged on later data, or the bundle does not say how.** Do so before it is used: `leadlight evaluate`, "
            "or `ll.evaluate` and `qualifier.save(path, report=report)`."
        ]
    s = test.get("settings") or {}
    judged = (
        f"Judged on {_count(s.get('rows'))} rows (a member at a date) of {_count(s.get('accounts'))} accounts, with "
        f"{_count(s.get('buyers'))} buyers, at {_count(s.get('cutoffs'))} dates from {_date(s.get('first_cutoff'))} to "
        f"{_date(s.get('last_cutoff'))}, by a model of the same recipe that had learned until {_date(s.get('trained_until'))}. "
        f"Reached and missed: calling the best {_share(s.get('share'))} at each date. In brackets: 95 % intervals, accounts "
        "redrawn."
    )
    if _known(s.get("buyers")) and s["buyers"] < FEW_BUYERS:
        judged += f" **{_count(s['buyers'])} buyers are few: the intervals say more than the figures.**"
    models = list(dict.fromkeys(row["model"] for row in rows))
    metrics = [name for name in FIGURES if any(row["metric"] == name for row in rows)]
    cells = {(row["model"], row["metric"]): _cell(row) for row in rows}
    table = [["", *(FIGURES[name] for name in metrics)]]
    for model in models:
        name = f"**{_plain(model)}**" if model == OWN else _plain(model)
        table.append([name, *(cells.get((model, metric), "-") for metric in metrics)])
    lines = [f"| {' | '.join(line)} |" for line in table]
    said = [judged, "\n".join([lines[0], "|" + "---|" * len(table[0]), *lines[1:]]), _READING]
    return [f"{_plain(test['sentence'])}", *said] if test.get("sentence") else said


def _decision(info: Mapping[str, Any]) -> list[str]:
    decision = info["decision"]
    said = [_plain(decision["text"])] if decision["text"] else []
    if decision["threshold"] is None:
        said.append("There is no threshold: nobody is called qualified.")
    price = decision.get("price") or {}
    if price.get("buyers"):
        interval = f"95 % interval {_share(price.get('missed_low'))} to {_share(price.get('missed_high'))}"
        said.append(
            f"On {_count(price.get('rows'))} {_plain(price.get('source', ''))} rows it missed {_count(price.get('missed'))} of "
            f"{_count(price.get('buyers'))} accounts that won ({_share(price.get('missed_share'))}; {interval}), and made "
            f"{_number(price.get('calls_per_buyer'))} calls for each one that it reached."
        )
    return said or ["The bundle holds no decision."]


def _data(info: Mapping[str, Any]) -> list[str]:
    metrics, windows = info["metrics"], info["windows"]
    facts = []
    if "training_rows" in metrics:
        won = f", {_count(metrics.get('training_positives'))} of them followed by a won deal"
        groups = metrics.get("positive_groups")
        buyers = f" ({_count(groups)} accounts or members)" if groups is not None else ""
        facts.append(f"learned from {_count(metrics['training_rows'])} rows{won}{buyers}")
    if windows.get("trained_until_us") is not None:
        facts.append(
            f"until {_date(moment_text(windows['trained_until_us']))}, the end of the last label window"
        )
    if info.get("selection") in _SELECTION:
        facts.append(_SELECTION[info["selection"]])
    tuning = info.get("tuning")
    if isinstance(tuning, Mapping) and isinstance(tuning.get("why"), str):
        facts.append(f"tuning: {_plain(tuning['why'])}")
    facts.append("simulated" if info["simulated"] else "from a real community")
    if info["data_fingerprint"]:
        facts.append(f"fingerprint {_code(info['data_fingerprint'])}")
    terms = info.get("terms")
    facts.append(
        f"terms: {_plain(terms)}"
        if isinstance(terms, str) and terms
        else "terms of the data: the bundle does not say; ask who trained it"
    )
    facts.append(
        "nothing of a member is in the bundle: no identifier, no event, no address; names of tags, groups and actions are"
    )
    return [_listed(facts)]


def _looks_at(plan: Plan, columns: Sequence[str]) -> list[str]:
    if not plan.behaviours:
        return [
            f"{len(columns)} columns of a lead table: {', '.join(map(_code, columns[:20]))}"
            + (f" and {len(columns) - 20} more." if len(columns) > 20 else ".")
        ]
    behaviours = [
        f"{_plain(b.name)} ({len(b.columns)} {'feature' if len(b.columns) == 1 else 'features'})"
        for b in plan.behaviours
    ]
    return [
        f"{len(columns)} features of {len(behaviours)} behaviours, each from what was known before the date of the score:",
        _listed(behaviours),
    ]


def _limits(info: Mapping[str, Any]) -> Iterator[str]:
    groups = info["metrics"].get("positive_groups")
    if isinstance(groups, int | float) and groups < FEW_BUYERS:
        yield (
            f"only {_count(groups)} accounts or members had won: the order is rough, and at most the mean level of the "
            "probabilities is calibrated; look at the intervals"
        )
    yield "the interval beside a probability is that of the calibration; it does not cover what other training rows would change"
    yield "deals close where sales called: of members whom nobody approaches the data say little, however they score"
    yield "the past is its only teacher: after a new product, price, sales practice or platform, judge it again"
    if info["windows"].get("trained_until_us") is not None:
        yield f"it knows nothing of what happened after {_date(moment_text(info['windows']['trained_until_us']))}"
    yield "facts that are not given to it are missing, not zero; the prediction names them, and is worth less"
    yield "members can learn to please it: what earns a call can be done for the call"


def _identity(info: Mapping[str, Any], plan: Plan, digest: str) -> str:
    facts = [
        f"digest {_code(digest)}: pass it to `leadlight.load(path, digest=...)` to load this model and no other"
    ]
    facts.append(f"plan {_code(plan.digest)}")
    facts.append(f"made by leadlight {_plain(info['library_version'])}")
    return _listed(facts)


def _listed(facts: Sequence[str] | Iterator[str]) -> str:
    return "\n".join(f"- {fact}" for fact in facts)


def _cell(row: Mapping[str, Any]) -> str:
    digits = 0 if row["metric"] in _COUNTS else 3
    value, low, high = (row.get(part) for part in ("value", "low", "high"))
    if not _known(value):
        return "-"
    text = f"{value:,.{digits}f}"
    return f"{text} [{low:,.{digits}f}, {high:,.{digits}f}]" if _known(low) and _known(high) else text


def _known(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _count(value: Any) -> str:
    return f"{value:,.0f}" if _known(value) else "an unknown number of"


def _number(value: Any) -> str:
    return f"{value:,.1f}" if _known(value) else "an unknown number of"


def _share(value: Any) -> str:
    return f"{100.0 * value:.3g} %" if _known(value) else "unknown"


def _days(us: int) -> str:
    return f"{us / DAY_US:g} days"


def _date(value: Any) -> str:
    return str(value)[:10] if value else "an unknown date"


def _plain(text: Any) -> str:
    """Return text that Markdown and HTML show as it is, on one line."""
    one_line = " ".join(str(text).split())
    return re.sub(r"([\\`*_\[\]<>|#])", r"\\\1", one_line)


def _code(text: Any) -> str:
    """Return text as code; it cannot end the code."""
    return f"`{' '.join(str(text).split()).replace('`', chr(39))}`"
