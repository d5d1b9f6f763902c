"""Publishes a guest: `python -m scripts.benchmarks.guests.publishing GUEST URI`; prints the setting for its code."""

import sys
from pathlib import Path

from runtime.configuration.guest_code import render_code
from runtime.registry import publish_guest


def main() -> None:
    """Publish the guest with its compiled code."""
    path, uri = sys.argv[1:]
    print(render_code(publish_guest(Path(path), uri, tell=lambda _: None).codes))


if __name__ == "__main__":
    main()
