"""What counts as a lead: (member, cutoff) pairs with features from before the cutoff and a label from it on."""

from leadlight.observations.observations import Observations, Windows, cutoff_iterator
from leadlight.observations.observe import observe, population_at

__all__ = ["Observations", "Windows", "cutoff_iterator", "observe", "population_at"]
