"""Imports each function in the finished image, so that a missing package fails the build and not the pod.

A build has no model registry, so an import may fail for other reasons; these are only reported.
"""

import importlib.util
import sys
from pathlib import Path


def main() -> int:
    """Import functions/*/main.py below the working directory; return the exit code."""
    missing = [path for path in sorted(Path("functions").glob("*/main.py")) if not _works(path)]
    return 1 if missing else 0


def _works(path: Path) -> bool:
    sys.path[:0] = [str(path.parent), str(Path.cwd())]
    spec = importlib.util.spec_from_file_location(f"function_{path.parent.name}", path)
    assert spec is not None  # noqa: S101 - the file exists
    assert spec.loader is not None  # noqa: S101 - it is a Python file
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except ModuleNotFoundError as error:
        print(f"{path}: there is no module {error.name!r}; add its package to {path.parent / 'requirements.txt'}")
        return False
    except (ImportError, SyntaxError) as error:
        print(f"{path}: {type(error).__name__}: {error}")
        return False
    except Exception as error:  # noqa: BLE001 - an author's code may need what a build does not have
        print(f"{path}: not checked further: {type(error).__name__}: {error}")
    finally:
        del sys.path[:2]
    return True


if __name__ == "__main__":
    sys.exit(main())
