"""What sales leaves behind: deals with messy keys, the people on them, and approaches, as canonical Arrow tables."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from leadlight.simulate import names
from leadlight.simulate.parameters import WEEK_US, SimulationParameters
from leadlight.simulate.sales import Deal, Sales
from leadlight.simulate.world import World

STAMP = pa.timestamp("us", tz="UTC")
_DAY_US = 86_400_000_000


def contacts_table(sales: Sales, start_us: int) -> pa.Table:
    """Return approaches, ordered by time.

    `propensity` is given for random ones only: the chance that the draw of that week named this member, the same for all
    whom sales could have approached that week.
    """
    contacts = sorted(sales.contacts, key=lambda c: (c.moment, c.member))
    return pa.table(
        {
            "member_id": pa.array([int(sales.world.member_id[c.member]) for c in contacts], pa.int64()),
            "contacted_at": pa.array([_stamp(c.moment, start_us) for c in contacts], STAMP),
            "chosen_by": pa.array([c.chosen_by for c in contacts], pa.string()),
            "propensity": pa.array([c.propensity for c in contacts], pa.float64()),
        }
    )


def deals_table(
    sales: Sales, start_us: int, end_us: int, parameters: SimulationParameters, rng: np.random.Generator
) -> pa.Table:
    """Return deals as a CRM exports them at the end of the log: messy keys, no outcome while open."""
    p, rows = parameters, []
    for deal in _exported(sales):
        opened = _stamp(deal.opened, start_us)
        late = rng.random() < p.late_known_share
        delay = int(rng.exponential(p.late_known_days) * _DAY_US) + 1
        closed = _stamp(deal.closed, start_us) if np.isfinite(deal.closed) else end_us
        closed = max(closed, opened + 1)
        known = closed + delay if late else closed
        over = known < end_us
        size = float(sales.world.size[deal.account])
        amount = p.amount_median * size**0.4 * float(np.exp(p.amount_spread * rng.standard_normal()))
        email, domain = _crm_key(deal, sales.world, p, rng)
        outcome = ("won" if deal.won else "lost") if over else None
        rows.append(
            {
                "email": email,
                "domain": domain,
                "outcome": outcome,
                "opened_at": opened,
                "closed_at": closed if over else None,
                "amount": round(amount, -2) if outcome == "won" else None,
                "known_at": known if over and late else None,
            }
        )
    schema = {
        "email": pa.string(), "domain": pa.string(), "outcome": pa.string(), "opened_at": STAMP,
        "closed_at": STAMP, "amount": pa.float64(), "known_at": STAMP,
    }  # fmt: skip
    columns = {name: pa.array([r[name] for r in rows], kind) for name, kind in schema.items()}
    return pa.table({"deal_id": pa.array([_deal_id(i) for i in range(len(rows))], pa.string()), **columns})


def deal_contacts_table(sales: Sales, parameters: SimulationParameters, rng: np.random.Generator) -> pa.Table:
    """Return the people whom sales dealt with, for those deals for which the CRM names them.

    The member who was approached, and members of the buying group who had joined before the deal closed and do not refuse;
    ordered by deal.
    """
    w, p = sales.world, parameters
    deal_ids, member_ids = [], []
    for i, deal in enumerate(_exported(sales)):
        named, draw = rng.random() < p.crm_group_share, rng.random(int(w.size[deal.account]))
        if not named:
            continue
        colleagues = w.first[deal.account] + np.arange(len(draw))
        met = w.in_group[colleagues] & (draw < p.crm_group_chance) & ~w.refuses[colleagues]
        met &= w.joined[colleagues] < min(deal.closed, float(sales.weeks))
        met |= colleagues == deal.member
        deal_ids += [_deal_id(i)] * int(met.sum())
        member_ids += w.member_id[colleagues[met]].tolist()
    return pa.table(
        {"deal_id": pa.array(deal_ids, pa.string()), "member_id": pa.array(member_ids, pa.int64())}
    )


def _exported(sales: Sales) -> list[Deal]:
    """Return deals in the order of the export."""
    return sorted(sales.deals, key=lambda d: (d.opened, d.account))


def _deal_id(place: int) -> str:
    return f"D-{place + 1:05d}"


def _crm_key(
    deal: Deal, world: World, p: SimulationParameters, rng: np.random.Generator
) -> tuple[str | None, str | None]:
    """Return e-mail and domain as somebody in sales typed them."""
    email, company = world.email[deal.member], world.domain[deal.account]
    kind = int((np.cumsum(p.deal_key) <= rng.random()).sum())
    listed = bool(world.listed[deal.account])
    if kind == 1 and listed:
        return None, str(rng.choice([company, company.upper(), f"www.{company}"]))
    name, at = email.split("@")
    if kind == 2:
        cut = int(rng.integers(1, len(name) - 1))
        return f"{name[:cut]}{name[cut + 1 :]}@{at.replace('.example', '-mail.example')}", None
    if kind == 3:
        return (
            f"{name}.private{rng.integers(100)}@{names.FREE_MAIL[int(rng.integers(len(names.FREE_MAIL)))]}",
            None,
        )
    if kind >= 4:
        return f"info@unknown-{rng.integers(10_000)}.example", None
    case, spaces, plus = rng.random(3) < np.asarray(p.email_mess)
    email = f"{name}+crm@{at}" if plus else email
    email = email.title() if case else email
    return (f" {email} " if spaces else email), (company if listed and rng.random() < 0.5 else None)


def _stamp(moment: float, start_us: int) -> int:
    return start_us + int(moment * WEEK_US)
