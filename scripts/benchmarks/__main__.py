"""`python -m scripts.benchmarks`."""

from scripts.benchmarks.cli import main

main(prog_name="scripts/bench")
