"""The process that making.py starts: makes int8 files, and writes a line of JSON for each on its standard output."""

import json
import os
import sys
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO, Any, TypeAlias

from runtime.optimizing.reasons import disk_full, reason_of

Answer: TypeAlias = Callable[[dict[str, Any]], None]  # writes one line of JSON

# Both must be set before the libraries are imported. Without this module, NNCF has no code that sends telemetry.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
sys.modules["openvino_telemetry"] = None  # type: ignore[assignment] # its import then raises ImportError


def main(request: Path) -> None:
    """Make what the request asks for."""
    with _own_output() as output:
        _answer_all(json.loads(request.read_text("utf-8")), lambda answer: print(json.dumps(answer), file=output))


def _own_output() -> IO[str]:
    """Return the standard output, and let all that libraries print on it go to the standard error."""
    output = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
    os.dup2(2, 1)
    return output


def _answer_all(job: dict[str, Any], answer: Answer) -> None:
    folder = Path(job["folder"])
    try:
        from runtime.optimizing.quantizable import make_quantizable

        source = make_quantizable(Path(job["source"]), folder, rows=Path(job["rows"]), samples=job["samples"])
    except Exception as error:  # noqa: BLE001 - whatever a library raises is the reason
        _answer_failure(error, job["methods"], answer)
        return
    from runtime.optimizing.methods import Options, make

    options = Options(job["calibrated"], job["may_saturate"])
    for method in job["methods"]:
        path = folder / f"{method}.onnx"
        try:
            make(method, source, path, options)
        except Exception as error:  # noqa: BLE001 - as above
            path.unlink(missing_ok=True)
            if not _answer_failure(error, [method], answer):
                return
        else:
            answer({"method": method, "path": str(path), "reason": None})


def _answer_failure(error: Exception, methods: Iterable[str], answer: Answer) -> bool:
    """Report why no files were made by these methods. Return whether a file of another method could be written."""
    if (stopped := disk_full(error)) is not None:
        answer({"stopped": stopped})
        return False
    for method in methods:
        answer({"method": method, "path": None, "reason": reason_of(error)})
    return True


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main(Path(sys.argv[1]))
