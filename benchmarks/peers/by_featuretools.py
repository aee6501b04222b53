"""The window counts and recencies by featuretools; runs in an environment of its own, see `featuretools_env.py`.

Usage: python by_featuretools.py ROWS.parquet MATRIX.parquet MEMBERS CUTOFF_US WINDOW_US,... One call of
`calculate_feature_matrix` for each window, as `training_window` takes one; Count for all rows and where the action is each
of those seen, TimeSinceLast likewise. Defining the features and making the EntitySet are not timed. Prints JSON.
"""

import json
import sys
import time
import warnings
from importlib import metadata

# Their warnings are about their own age.
warnings.filterwarnings("ignore")

import featuretools as ft  # noqa: E402
import pandas as pd  # noqa: E402
from featuretools.primitives import Count, TimeSinceLast  # noqa: E402


def main() -> None:
    source, target, members, cutoff_us, windows = sys.argv[1:]
    rows = pd.read_parquet(source)
    entities = ft.EntitySet("community")
    entities.add_dataframe(
        dataframe_name="members", dataframe=pd.DataFrame({"member": range(int(members))}), index="member"
    )
    entities.add_dataframe(
        dataframe_name="rows",
        dataframe=rows.assign(time=pd.to_datetime(rows["time"], unit="us"), row=range(len(rows))),
        index="row",
        time_index="time",
        logical_types={"code": "Categorical"},
    )
    entities.add_relationship("members", "member", "rows", "member")
    codes = sorted(rows["code"].unique().tolist())
    entities.add_interesting_values(dataframe_name="rows", values={"code": codes})
    cutoff = pd.Timestamp(int(cutoff_us), unit="us")
    at = pd.DataFrame({"member": range(int(members)), "time": cutoff})

    def define(primitive):
        return ft.dfs(
            entityset=entities,
            target_dataframe_name="members",
            agg_primitives=[primitive],
            where_primitives=[primitive],
            trans_primitives=[],
            max_depth=1,
            features_only=True,
        )

    counts, recencies = define(Count), define(TimeSinceLast(unit="hours"))
    plain = [f for f in counts if "rows" in f.get_name()]
    last = [f for f in recencies if "rows" in f.get_name()]
    matrix = {}
    cpu, wall = time.process_time(), time.perf_counter()
    for window in map(int, windows.split(",")):
        found = ft.calculate_feature_matrix(
            plain if window else plain + last,
            entityset=entities,
            cutoff_time=at,
            include_cutoff_time=False,
            training_window=ft.Timedelta(window // 1_000_000, "s") if window else None,
            n_jobs=1,
        )
        for feature in plain if window else plain + last:
            matrix[f"{feature.get_name()} {window}"] = found[feature.get_name()].astype(float)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    table = pd.DataFrame(matrix).reindex(range(int(members)))
    table.to_parquet(target)
    versions = {name: metadata.version(name) for name in ("featuretools", "pandas")}
    print(json.dumps({"cpu": cpu, "wall": wall, "columns": table.shape[1], "versions": versions}))


if __name__ == "__main__":
    main()
