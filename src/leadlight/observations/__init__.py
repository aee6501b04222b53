"""What counts as a lead: (member, cutoff) pairs with features from before the cutoff and a label from it on."""

from leadlight.observations.observations import Observations, cutoff_iterator
from leadlight.observations.observe import observe, population_at
from leadlight.observations.periods import PersonPeriods
from leadlight.observations.windows import Windows

__all__ = ["Observations", "PersonPeriods", "Windows", "cutoff_iterator", "observe", "population_at"]
