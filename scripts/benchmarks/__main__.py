"""`python -m scripts.benchmarks [peers | protocols | cluster]`."""

import sys

# Not a click group: a figure's name stands where a verb would.
match sys.argv[1:2]:
    case ["peers"]:
        from scripts.benchmarks.cli import peers

        peers(sys.argv[2:], prog_name="scripts/bench peers")
    case ["protocols"]:
        from scripts.benchmarks.cli import protocols

        protocols(sys.argv[2:], prog_name="scripts/bench protocols")
    case ["cluster"]:
        from scripts.benchmarks.cluster.cli import main as cluster

        cluster(sys.argv[2:], prog_name="scripts/bench cluster")
    case _:
        from scripts.benchmarks.cli import main

        main(prog_name="scripts/bench")
