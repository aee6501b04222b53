"""What members do, as data: the algebra, the catalogues, and their compilation to a plan."""

from leadlight.behaviours.algebra import (
    Completeness,
    Count,
    Distinct,
    Entropy,
    FirstTime,
    Peers,
    Ratio,
    Recency,
    Share,
    Sum,
    Surprise,
    Tenure,
    Trend,
    Visits,
)
from leadlight.behaviours.candidate import PASSIVE_CANDIDATE
from leadlight.behaviours.catalogue import Behaviour, Catalogue
from leadlight.behaviours.corporate import CORPORATE_COMMUNITY
from leadlight.behaviours.questions import QUESTION_COMMUNITY

__all__ = [
    "CORPORATE_COMMUNITY",
    "PASSIVE_CANDIDATE",
    "QUESTION_COMMUNITY",
    "Behaviour",
    "Catalogue",
    "Completeness",
    "Count",
    "Distinct",
    "Entropy",
    "FirstTime",
    "Peers",
    "Ratio",
    "Recency",
    "Share",
    "Sum",
    "Surprise",
    "Tenure",
    "Trend",
    "Visits",
]
