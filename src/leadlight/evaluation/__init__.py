"""Judgement: metrics, baselines, the leakage audit, and the report's data."""

from leadlight.evaluation.audit import Audit, audit_leakage
from leadlight.evaluation.evaluate import evaluate
from leadlight.evaluation.report import Report

__all__ = ["Audit", "Report", "audit_leakage", "evaluate"]
