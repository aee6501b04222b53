"""A deal is its account's: colleagues whom it does not name are buyers, too, and no no."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from leadlight.observations import Observations

Values = NDArray[np.float64]
Bools = NDArray[np.bool_]


def with_colleagues(observations: Observations, label: Values) -> tuple[Values, Values, Bools]:
    """Return labels and weights in which a won deal is of all its account, and which rows are colleagues.

    A CRM keys a deal by the one person who signed. That a colleague has no deal then says who signed, not who will buy;
    and whoever shows that an account is about to buy is worth a call.

    Parameters
    ----------
    observations : Observations
    label : float64 array of shape (n,)
        1 where a deal that was won in the window reaches the member.

    Returns
    -------
    label : float64 array of shape (n,)
        1 for everybody of an account with such a row at the same cutoff.
    weight : float64 array of shape (n,)
        The rows of such an account at a cutoff weigh 1 together; others as before.
    colleague : bool array of shape (n,)
        Whom the deal does not reach.
    """
    account = observations.frame["account_id"]
    known = account.notna().to_numpy(bool)
    weight = observations.weight.copy()
    if not (known & (label == 1)).any():
        return label, weight, np.zeros(len(label), bool)
    by = pd.MultiIndex.from_arrays([pd.factorize(account)[0], observations.cutoff_us])
    codes = by.factorize()[0]
    won = np.bincount(codes, label == 1) > 0
    of_buyer = won[codes] & known
    weight[of_buyer] = 1.0 / np.bincount(codes)[codes[of_buyer]]
    return np.where(of_buyer, 1.0, label), weight, of_buyer & (label != 1)
