"""All that an embedding application imports: NumPy and the standard library, no training stack."""

from leadlight.runtime.explanation import Explanation
from leadlight.runtime.model import Calibration, Linear, Model
from leadlight.runtime.prediction import Prediction, Reason
from leadlight.runtime.predictions import Predictions
from leadlight.runtime.scorer import Scorer, load
from leadlight.runtime.state import MemberState

__all__ = [
    "Calibration",
    "Explanation",
    "Linear",
    "MemberState",
    "Model",
    "Prediction",
    "Predictions",
    "Reason",
    "Scorer",
    "load",
]
