"""Catalogue, classifier and decision as one object; and the short path."""

from leadlight.qualifier.page import deal_parts, page_parts
from leadlight.qualifier.qualifier import LeadQualifier
from leadlight.qualifier.qualify import Leads, qualify
from leadlight.qualifier.scores import Scores
from leadlight.qualifier.tuning import Tuning, tune

__all__ = ["LeadQualifier", "Leads", "Scores", "Tuning", "deal_parts", "page_parts", "qualify", "tune"]
