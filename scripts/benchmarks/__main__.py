"""`python -m scripts.benchmarks [peers]`."""

import sys

from scripts.benchmarks.cli import main, peers

# Not a click group: a figure's name stands where a verb would.
if sys.argv[1:2] == ["peers"]:
    peers(sys.argv[2:], prog_name="scripts/bench peers")
else:
    main(prog_name="scripts/bench")
