"""Runs one attack: prepares it, prints `ready`, waits for a line on stdin, runs it, and prints its outcome (JSON).

usage: python -m scripts.benchmarks.attacks.program NAME PORT PATH WIDTH LIMIT SECONDS
"""

import json
import resource
import sys

from scripts.benchmarks.attacks.aim import AttackTarget
from scripts.benchmarks.attacks.every import ATTACKS


def main() -> None:
    """Run the attack of the command line."""
    name, port, path, width, limit, seconds = sys.argv[1:]
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    target = AttackTarget(port=int(port), path=path, width=int(width), limit=int(limit), seconds=float(seconds))
    run = ATTACKS[name].prepare(target)
    print("ready", flush=True)
    sys.stdin.readline()
    print(json.dumps(run()))


if __name__ == "__main__":
    main()
