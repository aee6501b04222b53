"""The same features as a scikit-learn transformer over observation frames."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from leadlight.behaviours import CORPORATE_COMMUNITY, Catalogue
from leadlight.community import Community
from leadlight.errors import InputError
from leadlight.features.batch import build_features
from leadlight.observations import Observations


class CommunityFeatures(TransformerMixin, BaseEstimator):
    """Turn rows of (member_id, cutoff) into point-in-time features.

    Parameters
    ----------
    community : Community
    catalogue : Catalogue, default=CORPORATE_COMMUNITY

    Attributes
    ----------
    plan_ : Plan
        Compiled in `fit`, with vocabularies from before the latest cutoff of the training rows.

    Examples
    --------
    >>> import leadlight as ll
    >>> log = [{"member_id": "ann", "occurred_at": "2024-03-01", "action": "question"}]
    >>> catalogue = ll.Catalogue(
    ...     [ll.Behaviour("asks", (ll.Count("question", window="28d"),), reason="asked")]
    ... )
    >>> rows = [{"member_id": "ann", "cutoff": "2024-03-05"}]
    >>> ll.CommunityFeatures(ll.Community(log), catalogue).fit_transform(rows)["question_count_28d"].tolist()
    [1.0]
    """

    def __init__(
        self, community: Community | None = None, catalogue: Catalogue = CORPORATE_COMMUNITY
    ) -> None:
        self.community = community
        self.catalogue = catalogue

    def __sklearn_clone__(self) -> CommunityFeatures:
        # A community is data, not a parameter to copy: clones share it.
        copied = CommunityFeatures(self.community, self.catalogue)
        if hasattr(self, "_sklearn_output_config"):  # what set_output was told
            copied._sklearn_output_config = dict(self._sklearn_output_config)
        return copied

    def fit(self, X: Any, y: Any = None) -> Self:
        """Compile the catalogue before the latest cutoff of `X`."""
        rows = _observations(X)
        if not len(rows):
            raise InputError("CommunityFeatures was given no rows to fit; give (member_id, cutoff) rows.")
        self.plan_ = self.catalogue.compile(self._community(), int(rows.cutoff_us.max()))
        self.n_features_in_ = 2
        return self

    def transform(self, X: Any) -> pd.DataFrame:
        """Return the features of `X`, float32, index (member_id, cutoff)."""
        check_is_fitted(self)
        return build_features(self._community(), _observations(X), self.plan_)

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[Any]:
        """Return the plan's column names."""
        check_is_fitted(self)
        return np.array(self.plan_.column_names, dtype=object)

    def _community(self) -> Community:
        if self.community is None:
            raise InputError("CommunityFeatures needs a community: CommunityFeatures(community, catalogue).")
        return self.community


def _observations(X: Any) -> Observations:
    if isinstance(X, Observations):
        return X
    if isinstance(X, pd.DataFrame) and "member_id" not in X and X.index.names == ["member_id", "cutoff"]:
        X = X.index.to_frame(index=False)
    return Observations.from_frame(X)
