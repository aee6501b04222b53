"""The hash that names a set of parameters, and the one that stays."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict

from leadlight.simulate import names, parameters
from leadlight.simulate.parameters import SimulationParameters

# Communities drawn with these values are what claims about models rest on. Whoever changes the digest makes earlier
# claims incomparable: it needs a new document in docs/decisions that says what changed and why.
FROZEN_DIGEST = "dc4658d11dbb5f254ba9381ab2cd9591fa28e54e8409d0bb1b0f776e6337a455"
"""Digest of the default parameters and of all name lists."""


def digest(values: SimulationParameters) -> str:
    """Return the SHA-256 of all parameter values and name lists, as 64 hexadecimal digits.

    Parameters
    ----------
    values : SimulationParameters

    Examples
    --------
    >>> digest(SimulationParameters()) == FROZEN_DIGEST
    True
    """
    lists = {
        f"{module.__name__.rsplit('.', 1)[1]}.{name}": value
        for module in (names, parameters)
        for name, value in vars(module).items()
        if name.isupper() and isinstance(value, list | tuple | dict | str)
    }
    text = json.dumps(
        [asdict(values), lists, names.company_domains(3, [0, 1, 2])], sort_keys=True, separators=(",", ":")
    )
    return hashlib.sha256(text.encode()).hexdigest()
