"""Imports each function in the finished image, so that a missing package fails the build and not the pod.

Each function is imported in its own process, as in a pod, so two functions may have modules of the same name. A build
has neither network nor model registry. Therefore an exception in the function's own code is reported, but does not fail
the build. The build runs only this file, so it imports only the standard library.
"""

import importlib.util
import subprocess
import sys
from pathlib import Path

SECONDS = 120  # for one import


def main() -> int:
    """Import functions/*/main.py below the working directory; return the exit code."""
    found = sorted(Path("functions").glob("*/main.py"))
    return max((_in_process(path) for path in found), default=0)


def _in_process(path: Path) -> int:
    try:
        return subprocess.run([sys.executable, __file__, path], timeout=SECONDS, check=False).returncode
    except subprocess.TimeoutExpired:
        print(f"{path}: the import did not finish within {SECONDS} s; do not connect to a server during the import")
        return 1


def load(path: Path) -> int:
    """Import one function; return 1 if a pod could not import it either, else 0."""
    sys.path[:0] = [str(path.parent), str(Path.cwd())]
    sys.addaudithook(_refuse_network)
    spec = importlib.util.spec_from_file_location(f"function_{path.parent.name}", path)
    assert spec is not None  # noqa: S101 - the file exists
    assert spec.loader is not None  # noqa: S101 - it is a Python file
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except ModuleNotFoundError as error:
        print(f"{path}: the module {error.name!r} is missing; add its package to {path.parent / 'requirements.txt'}")
        return 1
    except (ImportError, SyntaxError) as error:
        print(f"{path}: {type(error).__name__}: {error}")
        return 1
    except (Exception, SystemExit) as error:  # noqa: BLE001 - an author's code may need resources that a build does not have
        print(f"{path}: not checked further: {type(error).__name__}: {error}")
    return 0


def _refuse_network(event: str, arguments: tuple[object, ...]) -> None:
    """Refuse connections, as an audit hook: the result of a build must not depend on the network."""
    if event in {"socket.connect", "socket.getaddrinfo"}:
        raise ConnectionRefusedError(f"the build of an image has no network ({event} {arguments[-1]!r})")


if __name__ == "__main__":
    sys.exit(load(Path(sys.argv[1])) if sys.argv[1:] else main())
