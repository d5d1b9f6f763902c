"""`python -m scripts.benchmarks [peers | protocols | events | large_model | registry | wasm | variants | cluster]`."""

import sys

# Not a click group, because the name of a figure has the position of a subcommand.
match sys.argv[1:2]:
    case ["peers"]:
        from scripts.benchmarks.cli import peers

        peers(sys.argv[2:], prog_name="scripts/bench peers")
    case ["protocols"]:
        from scripts.benchmarks.cli import protocols

        protocols(sys.argv[2:], prog_name="scripts/bench protocols")
    case ["events"]:
        from scripts.benchmarks.cli import events

        events(sys.argv[2:], prog_name="scripts/bench events")
    case ["variants"]:
        from scripts.benchmarks.variants.cli import main as variants

        variants(sys.argv[2:], prog_name="scripts/bench variants")
    case ["large_model"]:
        from scripts.benchmarks.cli import large_model

        large_model(sys.argv[2:], prog_name="scripts/bench large_model")
    case ["registry"]:
        from scripts.benchmarks.cli import registry

        registry(sys.argv[2:], prog_name="scripts/bench registry")
    case ["wasm"]:
        from scripts.benchmarks.cli import wasm

        wasm(sys.argv[2:], prog_name="scripts/bench wasm")
    case ["cluster"]:
        from scripts.benchmarks.cluster.cli import main as cluster

        cluster(sys.argv[2:], prog_name="scripts/bench cluster")
    case _:
        from scripts.benchmarks.cli import main

        main(prog_name="scripts/bench")
