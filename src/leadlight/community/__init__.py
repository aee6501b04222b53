"""The canonical tables of a community, checked; deals matched to members."""

from leadlight.community.community import Community
from leadlight.community.members import Members

__all__ = ["Community", "Members"]
