"""The points table is drawn as it is."""

import pandas as pd
import pytest

from leadlight.errors import InputError
from leadlight.explain import plot_points, points_data

TABLE = pd.DataFrame(
    {
        "rule": ["came $ once", "asked"],
        "points": [3, 12],
        "hand_set": [float("nan"), 2.5],
        "column": ["a", "b"],
    }
)


def test_the_data_are_those_that_are_drawn():
    data = points_data(TABLE)
    assert data["points"].tolist() == [12, 3]
    ax = plot_points(TABLE)
    assert [bar.get_width() for bar in ax.patches] == [12, 3]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["asked", "came $ once"]
    assert not any(label.get_parse_math() for label in ax.get_yticklabels())


def test_another_frame_is_refused():
    with pytest.raises(InputError, match="lacks"):
        points_data(TABLE.drop(columns="hand_set"))
