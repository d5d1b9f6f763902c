"""`python -m scripts.benchmarks [peers | protocols | events | large_model | registry | wasm | variants | cluster]`."""

import sys
from importlib import import_module
from typing import Final

from runtime.registry.interruption import ended_by_sigterm

# Not a click group, because the name of a figure has the position of a subcommand.
_COMMANDS: Final = {
    **{name: ("cli", name) for name in ("peers", "protocols", "events", "large_model", "registry", "wasm")},
    "variants": ("variants.cli", "main"),
    "cluster": ("cluster.cli", "main"),
}

with ended_by_sigterm():  # so that the servers end too
    if sys.argv[1:2] and (name := sys.argv[1]) in _COMMANDS:
        module, function = _COMMANDS[name]
        command = getattr(import_module(f"scripts.benchmarks.{module}"), function)
        command(sys.argv[2:], prog_name=f"scripts/bench {name}")
    else:
        from scripts.benchmarks.cli import main

        main(prog_name="scripts/bench")
