"""What the simulation knows and no table says: stages, chances, and who would have bought."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from leadlight.errors import InputError
from leadlight.moments import Moment, moment_us
from leadlight.simulate.exploration import explored
from leadlight.simulate.parameters import (
    DECISION,
    EVALUATION,
    SETTLED,
    STAGES,
    TRAITS,
    WEEK_US,
    SimulationParameters,
)
from leadlight.simulate.stages import Journeys, StageLaw, win_tables

if TYPE_CHECKING:
    import pandas as pd

    from leadlight.simulate.sales import Sales
    from leadlight.simulate.world import World

Array = NDArray[Any]


@dataclass(frozen=True)
class Truth:
    """The hidden side of a simulated community.

    Attributes
    ----------
    start, end : datetime
        First moment of the log, and the first moment after it (UTC).
    parameters : SimulationParameters
    """

    start: datetime
    end: datetime
    parameters: SimulationParameters
    world: World = field(repr=False)
    law: StageLaw = field(repr=False)
    journeys: Journeys = field(repr=False)
    sales: Sales = field(repr=False)

    def at(self, cutoff: Moment, horizon: str | timedelta = "90d") -> pd.DataFrame:
        """Return the truth about every member who had joined before a cutoff.

        Parameters
        ----------
        cutoff : moment
            From the start of the log to its end; naive times are UTC.
        horizon : str or timedelta, default="90d"
            ``Nh``, ``Nd`` or ``Nw``. The window is ``[cutoff, cutoff + horizon)``; stages go on after the
            log, so it may reach a year past the end.

        Returns
        -------
        pandas.DataFrame
            One row per member: `member_id`; `stage` of the account (none, epiphany, interest, evaluation,
            decision); `probability` that the account buys from the host within the window if sales approaches
            its buying group at the cutoff and is heard, knowing the hidden state; `would_buy`, what becomes of it.
            Where a deal is open already, both speak of that deal. Those who bought have probability 0 from then on.

        Raises
        ------
        InputError
            If the cutoff is outside the log or the horizon is unreadable or too long.
        """
        import pandas as pd

        moment, length = self._weeks(cutoff), _horizon_weeks(horizon)
        last = self.journeys.state.shape[1] - 1
        if moment + length > last:
            raise InputError(
                f"horizon={horizon!r} from {cutoff} reaches past what was simulated. Use a shorter horizon."
            )
        stage, probability, would_buy = self._accounts(moment, length)
        here = self.world.joined < moment
        account = self.world.account[here]
        frame = pd.DataFrame(
            {
                "member_id": self.world.member_id[here],
                "stage": np.asarray(STAGES, dtype=object)[stage[account]],
                "probability": probability[account],
                "would_buy": would_buy[account],
            }
        )
        return frame.sort_values("member_id", ignore_index=True)

    def to_pandas(self, cutoffs: Iterable[Moment], horizon: str | timedelta = "90d") -> pd.DataFrame:
        """Return `at` for several cutoffs in one frame, with the column `cutoff` (UTC) after `member_id`."""
        import pandas as pd

        frames = []
        for cutoff in cutoffs:
            frame = self.at(cutoff, horizon)
            frame.insert(1, "cutoff", _utc(cutoff))
            frames.append(frame)
        if not frames:
            raise InputError("There is no cutoff. Pass at least one, such as ['2025-06-01'].")
        return pd.concat(frames, ignore_index=True)

    def exploration(self, cutoff: Moment, horizon: str | timedelta = "90d") -> pd.DataFrame:
        """Return what the random approaches in a window stand for, for inverse-propensity weighting.

        Each week sales draws a few members at random, each with the same chance, from those whom it could approach
        that week. A draw with chance p in a window of W weeks weighs ``1 / (p W)``: over all draws, the expected
        weight of a member is the share of the window's weeks in which the member could have been drawn.

        Parameters
        ----------
        cutoff : moment
        horizon : str or timedelta, default="90d"
            The window is ``[cutoff, cutoff + horizon)`` and must end within the log.

        Returns
        -------
        pandas.DataFrame
            One row per member who had joined before the cutoff: `member_id`; `eligible`, the share of the window
            (by office hours) in which the draw could have named the member; `propensity`, the chance of at least one
            draw in those weeks; `draws`, the random approaches; `weight`, the sum of their weights, 0 where there is
            none. Eligibility is as it came to be: it ends with an approach, a random one included.

        Raises
        ------
        InputError
            If the window is not within the log.
        """
        import pandas as pd

        moment, length = self._weeks(cutoff), _horizon_weeks(horizon)
        if moment + length > self._weeks(self.end):
            raise InputError(
                f"horizon={horizon!r} from {cutoff} reaches past the log, where nobody was approached. "
                f"The window must end by {self.end:%Y-%m-%d}."
            )
        here = self.world.joined < moment
        columns = {
            name: values[here] for name, values in explored(self.sales, moment, moment + length).items()
        }
        frame = pd.DataFrame({"member_id": self.world.member_id[here], **columns})
        return frame.sort_values("member_id", ignore_index=True)

    def purchases(self) -> pd.DataFrame:
        """Return every purchase by an account that had a member here, whoever sold it.

        Returns
        -------
        pandas.DataFrame
            One row per purchase within the log: `account` (internal number), `purchased_at`, `approached` (an
            approach had taken effect), `won` (bought from the host).
        """
        import pandas as pd

        weeks = round(self._weeks(self.end))
        account, week = np.nonzero(self.journeys.purchase[:, :weeks])
        moment = week + self.journeys.moment[account, week]
        arrived = np.full(len(self.world.size), np.inf)
        np.minimum.at(arrived, self.world.account, self.world.joined)
        keep = arrived[account] < moment
        account, week, moment = account[keep], week[keep], moment[keep]
        dealt = {(d.account, d.run_end): d.won for d in self.sales.deals if d.effective}
        pairs = list(zip(account.tolist(), week.tolist(), strict=True))
        start = pd.Timestamp(self.start)
        return pd.DataFrame(
            {
                "account": account,
                "purchased_at": start + pd.to_timedelta((moment * WEEK_US).astype(np.int64), unit="us"),
                "approached": np.array([pair in dealt for pair in pairs], np.bool_),
                "won": np.array([bool(dealt.get(pair)) for pair in pairs], np.bool_),
            }
        ).sort_values("purchased_at", ignore_index=True)

    def members(self) -> pd.DataFrame:
        """Return the lasting traits: `member_id`, `account` (internal number), `trait`, `buying_group`."""
        import pandas as pd

        return pd.DataFrame(
            {
                "member_id": self.world.member_id,
                "account": self.world.account,
                "trait": np.asarray(TRAITS, dtype=object)[self.world.trait],
                "buying_group": self.world.in_group,
            }
        )

    def _weeks(self, cutoff: Moment) -> float:
        import pandas as pd

        when = _utc(cutoff)
        if not self.start <= when <= self.end:
            raise InputError(
                f"cutoff {when:%Y-%m-%d} is outside the log. "
                f"Choose one in {self.start:%Y-%m-%d} to {self.end:%Y-%m-%d}."
            )
        return float((when - pd.Timestamp(self.start)) / pd.Timedelta(weeks=1))

    def _accounts(self, moment: float, length: float) -> tuple[Array, Array, Array]:
        """Return stage, probability and would_buy per account at `moment` (weeks from the start)."""
        j, count = self.journeys, len(self.world.size)
        rows = np.arange(count)
        week = int(moment)
        # A decision taken earlier in this week belongs to the past: such accounts start from the next week.
        over = j.purchase[:, week] & (week + j.moment[:, week] < moment)
        begin = week + over
        state, age = j.state[rows, begin], j.age[rows, begin]

        effective = np.zeros(count, np.int64)
        for deal in self.sales.deals:
            if deal.effective and deal.effective_from <= moment and deal.run_end >= begin[deal.account]:
                effective[deal.account] = deal.effective
        case = np.where(effective == EVALUATION, 1, np.where(effective == DECISION, 2, 0))

        reach = moment + length - begin
        whole = reach.astype(np.int64)
        win = np.asarray(self.parameters.win)
        tables = win_tables(self.law, np.asarray(self.parameters.intensity), int(whole.max()) + 1, win)
        kind = self.world.kind

        def within(weeks: Array | int) -> Array:
            return np.asarray(tables[case, kind, weeks, state, age])

        gone = np.where(over, 0.0, moment - week)
        this_week = np.where(
            state == DECISION, self.law.hazard[state, age] * self.law.route[DECISION, SETTLED], 0.0
        )
        ahead = within(whole) + (reach - whole) * (within(whole + 1) - within(whole)) - gone * within(1)
        probability = np.clip(ahead / (1.0 - gone * this_week), 0.0, 1.0)

        would_buy = self._outcomes(moment, length, begin, effective)
        bought = self.sales.customer_from <= moment
        state = np.where(bought | (state == SETTLED), 0, state)
        return state, np.where(bought, 0.0, probability), would_buy & ~bought

    def _outcomes(self, moment: float, length: float, begin: Array, effective: Array) -> Array:
        """Return whether each account buys in the window if approached at `moment`."""
        j = self.journeys
        found = np.zeros(len(begin), np.bool_)
        last = min(int(moment + length) + 1, j.state.shape[1])
        account, week = np.nonzero(j.purchase[:, int(moment) : last])
        week += int(moment)
        keep = (week >= begin[account]) & (week + j.moment[account, week] < moment + length)
        account, week = account[keep], week[keep]
        entry = np.maximum(j.run_start[account, week], begin[account])
        held = (effective[account] > 0) & (j.run_start[account, week] <= begin[account])
        stage = np.where(held, effective[account], j.state[account, entry])
        win = np.asarray(self.parameters.win)[stage]
        found[account[j.luck[account, week] < win]] = True
        return found


def _utc(cutoff: Moment) -> pd.Timestamp:
    import pandas as pd

    return pd.Timestamp(moment_us(cutoff, name="cutoff"), unit="us", tz="UTC")


def _horizon_weeks(horizon: str | timedelta) -> float:
    units = {"h": 1 / 168, "d": 1 / 7, "w": 1.0}
    if isinstance(horizon, timedelta):
        weeks = horizon / timedelta(weeks=1)
    elif isinstance(horizon, str) and horizon[-1:] in units and horizon[:-1].isdigit():
        weeks = int(horizon[:-1]) * units[horizon[-1]]
    else:
        raise InputError(
            f"horizon={horizon!r} cannot be read. Write '90d', '13w', '48h', or pass a timedelta."
        )
    if weeks <= 0:
        raise InputError(f"horizon={horizon!r} is empty. It must be longer than nothing.")
    return weeks
