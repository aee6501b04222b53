"""What `selection="auto"` finds on simulated communities, and what the comparison costs beside the fit.

The same comparison on several seeds, and on the community of `leadlight demo` the CPU seconds of a whole fit with it and of
the comparison alone. Reads the machine's clock; run it while nothing else does.
"""

from __future__ import annotations

import argparse
import time
import warnings

import leadlight as ll
from leadlight.cli.demo import BUSY_SALES
from leadlight.errors import LeadlightWarning
from leadlight.qualifier.comparison import select
from leadlight.qualifier.open_windows import with_open_windows


def compared(community: ll.Community, rows: ll.Observations) -> float:
    """Print what is compared on rows; return its CPU seconds."""
    known, label, share, mature = with_open_windows(rows)
    X = ll.build_features(community, known, ll.CORPORATE_COMMUNITY)
    began = time.process_time()
    chosen, report = select("auto", community, known, X, label, share, mature)
    seconds = time.process_time() - began
    print(f"{chosen}: {report['why']} ({seconds:.1f} CPU s)")
    return seconds


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, nargs="*", default=[301, 302, 303])
    parser.add_argument("--members", type=int, default=20_000)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", LeadlightWarning)
    for seed in arguments.seeds:
        community, _ = ll.simulate_community(arguments.members, 130, seed)
        print(f"\nseed {seed}, {arguments.members:,} members")
        compared(community, ll.observe(community, every="30d", horizon="90d"))
    community, _ = ll.simulate_community(6_000, 130, 5, parameters=BUSY_SALES)
    rows = ll.observe(community, every="30d", horizon="90d")
    print(f"\nthe community of leadlight demo, {len(rows):,} rows")
    seconds = compared(community, rows)
    began = time.process_time()
    ll.LeadQualifier().fit(community, rows)
    whole = time.process_time() - began
    print(f"the whole fit: {whole:.1f} CPU s, of which the comparison is {seconds / whole:.0%}")


if __name__ == "__main__":
    main()
