"""Numbers and findings of an evaluation in the words of a sales manager."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import pandas as pd

from leadlight.explain.canvas import MODELS

DASH: Final = "\u2013"
MINUS: Final = "\u2212"

ERRS: Final = {
    "all labels": (
        "It errs in favour of whatever chose the calls until now, such as your points, and against a list that names others."
    ),
    "contacted": (
        "It errs towards no difference: members who looked hopeless to those who called are not in it, and how many "
        "buyers nobody called is not seen."
    ),
    "explored": (
        "It errs the least: no score chose these members, so it stands for buyers whom sales would have missed too. A late call "
        "has less time to become a deal, so the share of buyers is on the low side."
    ),
    "inbound": (
        "It errs in favour of lists that follow visible activity: who asks is active already, and would have come without a call."
    ),
}
"""Which way each view errs."""

UNDECIDED: Final = "cannot tell yet"
UNSEEN: Final = "never seen, so nothing is known"


def number(value: float) -> str:
    """Return at most two digits after the point, fewer for larger numbers; a true minus sign."""
    if not math.isfinite(value):
        return DASH
    digits = 0 if abs(value) >= 9.95 else 1 if abs(value) >= 0.995 else 2
    text = f"{value:,.{digits}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text in ("-0", "") else text.replace("-", MINUS)


def percent(value: float) -> str:
    """Return a share from 0 to 1 as a percentage, with a decimal only where it is small."""
    if not math.isfinite(value):
        return DASH
    if 0 < value < 0.0005:
        return "below 0.1%"
    return f"{value:.1%}" if value < 0.0995 else f"{value:.0%}"


def span(low: float, high: float, form: Callable[[float], str] = number) -> str:
    """Return an interval in brackets; nothing where it is unknown."""
    return f"({form(low)} to {form(high)})" if math.isfinite(low) and math.isfinite(high) else ""


def more_or_fewer(gap: float) -> str:
    """Return a difference of counts as "3 more", "3 fewer" or "as many"."""
    return "as many" if gap == 0 else f"{number(abs(gap))} {'more' if gap > 0 else 'fewer'}"


def verdict(table: pd.DataFrame, buyers: int) -> str:
    """Say whether the difference to the points could be chance; `table` holds figures by model and metric."""
    if ("points", "buyers_reached") not in table.index:
        return ""
    row = table.loc[("points", "buyers_reached")]
    low, high = row["difference_low"], row["difference_high"]
    if not (math.isfinite(low) and math.isfinite(high)):
        return ""
    difference = (
        f"{more_or_fewer(row['difference'])} than your points"
        if row["difference"]
        else "as many as your points"
    )
    text = f"This reaches {difference}; the 95% interval of the difference is {number(low)} to {number(high)}"
    if low > 0:
        return f"{text}, so chance is an unlikely explanation."
    if high < 0:
        return f"{text}: your points are better. Do not use this model."
    return f"{text}: with {buyers} buyers, the deals cannot tell yet which of the two is better."


def trust(table: pd.DataFrame) -> str:
    """Say whether the chances are too high or too low on the whole; `table` as for `verdict`."""
    if ("leadlight", "observed_expected") not in table.index:
        return ""
    row = table.loc[("leadlight", "observed_expected")]
    low, high = row["low"], row["high"]
    if not (math.isfinite(low) and math.isfinite(high)):
        return ""
    text = f"For each deal predicted, {number(row['value'])} {span(low, high)} came about"
    if high < 1:
        return f"{text}: take the chances as too high; their order is not affected."
    if low > 1:
        return f"{text}: take the chances as too low; their order is not affected."
    return f"{text}: on the whole the chances are about right, as far as so many deals can tell."


def loss(text: str) -> str:
    """Return a loss such as "points on auc", as the report lists it, in the words of the page."""
    model, _, metric = text.partition(" on ")
    return f"{MODELS.get(model, model)}, by {metric.replace('average_precision', 'average precision').replace('auc', 'AUC')}"


def worth_verdict(hand_set: float, deals_say: float, low: float, high: float) -> str:
    """Say what the deals find about points set by hand, from their own estimate and its interval."""
    if not all(map(math.isfinite, (deals_say, low, high))):
        return UNSEEN
    if low <= hand_set <= high:
        return UNDECIDED if low <= 0 <= high and hand_set else "agrees"
    if high < 0 <= hand_set:
        return "speaks against a deal"
    if high < hand_set:
        return "worth less, perhaps nothing" if low <= 0 else "worth less"
    return "worth more"


def profit_says(table: pd.DataFrame, best_share: float, best: float) -> str:
    """Say what the calls at capacity gain or lose, beside the points, and where most was gained; `table` as for `verdict`."""
    if ("leadlight", "profit") not in table.index:
        return ""
    own = table.loc[("leadlight", "profit")]
    said = f"At capacity this model's calls bring {number(own['value'])} {span(own['low'], own['high'])}".rstrip()
    if ("points", "profit") in table.index:
        points = table.loc[("points", "profit")]
        said += (
            f", those of your points {number(points['value'])} {span(points['low'], points['high'])}".rstrip()
        )
    said += "."
    if best <= 0:
        return f"{said} No number of calls gains anything on these rows: at these costs, do not call by this list."
    where = f"Most, {number(best)}, comes of calling the best {percent(best_share)}"
    return f"{said} {where}; that share was picked on these very rows, so expect less."


def warning_says(warning: pd.DataFrame) -> str:
    """Say how early buyers were named, and whether chance can explain it; `warning` is indexed by model."""
    own = warning.loc["leadlight"]
    said = (
        f"Of {number(own['buyers'])} buyers, {percent(own['alerted'])} were on the list before their deal was opened. The first alert "
        f"came {number(own['weeks'])} weeks ahead on average, a buyer without an alert counting as none; as many alerts "
        f"at random give {number(own['random'])}."
    )
    low, high = own["low"], own["high"]
    if not (math.isfinite(low) and math.isfinite(high)):
        return said
    gain = f"The gain is {number(own['excess'])} weeks {span(low, high)}"
    if low > 0:
        return f"{said} {gain}: more than chance explains."
    if high < 0:
        return f"{said} {gain}: later than by chance. Do not count on early warning."
    return f"{said} {gain}: so few buyers cannot tell it from chance."
