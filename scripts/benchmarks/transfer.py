"""One transfer in its own process: `python -m scripts.benchmarks.transfer pull URI FOLDER | upload FILE URI`.

It prints the seconds and the growth of the resident memory in MiB, as JSON. The time includes the SHA-256 of the file,
but not the start of the process and its imports.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

MIB: Final = 2**20


def pulling(uri: str, folder: Path) -> Callable[[], object]:
    """Return the pull of an object into an empty cache, verified."""
    from runtime.artifacts.fetch import fetch

    return lambda: fetch(uri, cache_dir=folder)


def uploading(path: Path, uri: str) -> Callable[[], object]:
    """Return the upload of a file with its digest, as `scalezero publish` does."""
    from runtime.artifacts.cache import hash_file
    from runtime.artifacts.upload import FileUpload, open_bucket

    bucket = open_bucket(uri.split("/")[2], overwrite=True)
    return lambda: bucket.upload(FileUpload(path, uri, hash_file(path)))


def resident(field: str) -> float:
    """Return VmRSS or VmHWM of this process, in MiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{field}:"))


def main() -> None:
    """Do one transfer."""
    verb, source, target = sys.argv[1:]
    transfer = pulling(source, Path(target)) if verb == "pull" else uploading(Path(source), target)
    before = resident("VmRSS")
    began = time.perf_counter()
    transfer()
    seconds = time.perf_counter() - began
    print(json.dumps({"seconds": seconds, "growth": resident("VmHWM") - before}))


if __name__ == "__main__":
    main()
