"""Judgement: metrics, baselines, the leakage audit, and the report's data."""

from leadlight.evaluation.audit import Audit, audit_leakage
from leadlight.evaluation.audit_community import audit_community
from leadlight.evaluation.compare_points import compare_points
from leadlight.evaluation.evaluate import earlier_and_later, evaluate, fit_on_earlier
from leadlight.evaluation.report import Report
from leadlight.evaluation.warning import weeks_of_warning

__all__ = [
    "Audit",
    "Report",
    "audit_community",
    "audit_leakage",
    "compare_points",
    "earlier_and_later",
    "evaluate",
    "fit_on_earlier",
    "weeks_of_warning",
]
