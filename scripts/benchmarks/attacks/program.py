"""Run one attack: prepare it, print `ready`, wait for a line on stdin, run it, print what became of it (JSON).

usage: python -m scripts.benchmarks.attacks.program NAME PORT PATH WIDTH LIMIT SECONDS
"""

import json
import resource
import sys

from scripts.benchmarks.attacks.aim import Aim
from scripts.benchmarks.attacks.every import ATTACKS


def main() -> None:
    """Run the attack that the arguments name."""
    name, port, path, width, limit, seconds = sys.argv[1:]
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    aim = Aim(port=int(port), path=path, width=int(width), limit=int(limit), seconds=float(seconds))
    run = ATTACKS[name].prepare(aim)
    print("ready", flush=True)
    sys.stdin.readline()
    print(json.dumps(run()))


if __name__ == "__main__":
    main()
