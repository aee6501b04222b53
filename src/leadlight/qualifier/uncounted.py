"""A log that calls its actions otherwise than the catalogue: the model would see visits, and little else."""

from __future__ import annotations

from typing import Final

from leadlight.community import Community
from leadlight.plan import Plan

MANY_ACTIONS: Final = 8
"""A catalogue that counts so many actions means to describe a whole community."""

MANY_ROWS: Final = 200
"""A shorter log may lack this or that action by chance."""

SHOWN: Final = 8


def uncounted(name: str, plan: Plan, community: Community) -> str:
    """Return what to say where a plan counts none of a log's actions by name, or few of its rows; else nothing.

    Parameters
    ----------
    name : str
        Of the catalogue.
    plan : Plan
    community : Community
    """
    ours = sorted({key.action for key in plan.keys if key.action is not None})
    log = community.action_counts()
    other = {action: rows for action, rows in log.items() if action not in ours}
    rows = sum(log.values())
    none = len(other) == len(log)
    few = len(ours) >= MANY_ACTIONS and sum(other.values()) > rows / 2
    if not ours or rows < MANY_ROWS or not (none or few):
        return ""
    shown = ", ".join(f"{action} ({count:,})" for action, count in list(other.items())[:SHOWN])
    more = f" and {len(other) - SHOWN} more" if len(other) > SHOWN else ""
    example = f"values={{'action': {{{next(iter(other))!r}: {ours[-1]!r}}}}}"
    return (
        f"The catalogue {name!r} counts {'none' if none else 'less than half'} of this log's rows by name, so that visits are "
        f"nearly all it sees. It counts {', '.join(ours)}; the log {'' if none else 'also '}has {shown}{more}. Say which is "
        f"which, such as Community(..., {example}), or write behaviours of your own."
    )
