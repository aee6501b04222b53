"""Point-in-time features: a plan run over a community's log."""

from leadlight.features.batch import build_features
from leadlight.features.transformer import CommunityFeatures

__all__ = ["CommunityFeatures", "build_features"]
