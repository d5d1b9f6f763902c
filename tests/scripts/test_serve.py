"""`scripts/serve` as README and the quickstart show it: what it prints, and what the requests below it are answered."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests import ROOT
from tests.documents import Command, commands
from tests.runtime.frontends.conftest import free_port
from tests.waiting import DEADLINE

README, QUICKSTART = ROOT / "README.md", ROOT / "docs" / "quickstart.md"
READY, LAST = "ready; the first request pulls the model", "Ctrl-C stops everything."


def shown(page: Path, start: str) -> Command:
    """Return the command of the page that starts like this."""
    return next(each for each in commands(page) if each.line.startswith(start))


def requests(page: Path) -> list[Command]:
    return [each for each in commands(page) if each.line.startswith("curl ")]


def without_figures(output: str) -> list[str]:
    """Return the lines with times, scores and what this CPU chose masked."""
    output = re.sub(r"(?<=: )\S+ is served on .*\(Optimized=.*\)", "#", output)
    return [re.sub(r"\d+\.\d+$|\d+\.\d{3,}|\[ *\d+ s\]", "#", line) for line in output.splitlines() if line.strip()]


def without_examples(printed: str) -> str:
    before, ready, after = printed.partition(READY)
    return before + ready + after.partition("\n")[0]


@contextmanager
def serving(folder: Path, data: Path, *options: str | Path) -> Iterator[tuple[str, int]]:
    """Run `scripts/serve` until it is ready; yield its output and its port. It must stop on SIGTERM with 0."""
    port = free_port()
    environment = {**os.environ, "PORT": str(port), "S3_PORT": str(free_port()), "DATA_DIR": str(data)}
    for name in [each for each in environment if each.startswith("SCALEZERO_")]:
        del environment[name]
    command = [ROOT / "scripts" / "serve", *options, folder]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True) as process:
        assert process.stdout is not None
        printed = ""
        for line in process.stdout:
            printed += line.replace(str(data), ".local")
            if LAST in line:
                break
        try:
            yield printed, port
        finally:
            process.send_signal(signal.SIGTERM)
            rest = process.stdout.read()
    assert (process.returncode, rest.splitlines()[-1][-7:]) == (0, "stopped")


def example(printed: str) -> str:
    """Return the request that scripts/serve prints for the function."""
    requests = re.split(r"^  (?=curl )", printed.partition("in another terminal:")[2], flags=re.MULTILINE)
    return requests[1].strip()


def answer(command: Command, port: int) -> Any:  # noqa: ANN401 - any JSON value
    """Run a curl command of a document against this port."""
    line = command.line.replace(":8080", f":{port}")
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=True, timeout=DEADLINE, cwd=ROOT)
    return json.loads(done.stdout)


def approximately(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Allow other digits of scores, and any latency."""
    if isinstance(value, dict):
        return {name: pytest.approx(1e3, abs=1e3) if name == "latency_ms" else approximately(each)
                for name, each in value.items()}  # fmt: skip
    if isinstance(value, list):
        return [approximately(each) for each in value]
    return pytest.approx(value, rel=0.05, abs=1e-3) if isinstance(value, float) else value


def check_page(page: Path, folder: Path, data: Path) -> None:
    """Serve the folder, and compare what is printed, and the answers to the page's requests, with the page."""
    with serving(folder, data) as (printed, port):
        expected = shown(page, "scripts/serve").output
        assert without_ports(without_figures(without_examples(printed))) == without_ports(without_figures(expected))
        examples = requests(page)
        assert len(examples) > 1
        for each in examples:
            assert answer(each, port) == approximately(json.loads(each.output))


@pytest.mark.timeout(300)
def test_the_readme_shows_what_it_prints_and_what_its_requests_are_answered(tmp_path: Path) -> None:
    check_page(README, ROOT / "functions" / "payment_model", tmp_path)


@pytest.mark.timeout(300)
def test_the_quickstart_shows_what_a_new_function_prints_and_answers(tmp_path: Path) -> None:
    created = shown(QUICKSTART, "scalezero init")
    arguments = created.line.split()[1:]
    command = [sys.executable, "-c", "from runtime.cli import main; main()", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == created.output.strip()
    check_page(QUICKSTART, tmp_path / "my_function", tmp_path / "data")


@pytest.mark.timeout(300)
def test_digits_is_served_and_the_printed_example_gets_its_digit_and_is_logged(tmp_path: Path) -> None:
    log = tmp_path / "predictions.jsonl"
    with serving(ROOT / "functions" / "digits", tmp_path, "--log-predictions", log) as (printed, port):
        assert "digits 1.0.0: published to s3://models/digits-v1.onnx, accuracy 0.9" in printed
        assert answer(Command(example(printed), ""), port) == {"digit": 7, "confidence": pytest.approx(1, abs=0.01)}
    [event] = map(json.loads, log.read_text().splitlines())
    assert event["subject"] == "digits/1.0.0"
    assert event["data"]["parameters"]["protocol"] == "function"


@pytest.mark.timeout(300)
def test_wasm_digits_is_built_and_served_and_the_printed_example_gets_its_digit(tmp_path: Path) -> None:
    with serving(ROOT / "functions" / "wasm_digits", tmp_path) as (printed, port):
        assert "main.wasm: published to s3://models/wasm-digits/guest/1.0.0/main.wasm" in printed
        found = answer(Command(example(printed), ""), port)
    assert found["digits"] == [7]
    assert max(found["probabilities"][0]) == found["probabilities"][0][7]


@pytest.mark.timeout(300)
def test_file_type_is_served_and_the_printed_example_gets_the_type_of_the_file(tmp_path: Path) -> None:
    with serving(ROOT / "functions" / "file_type", tmp_path) as (printed, port):
        assert "file-type 1.0.0: published to s3://models/file-type-v1.onnx, accuracy 0." in printed
        recognized = answer(Command(example(printed), ""), port)
    assert recognized["label"] == "markdown"
    assert recognized["mime_type"] == "text/markdown"


@pytest.mark.timeout(300)
def test_document_text_is_served_and_the_text_of_the_printed_example_is_read(tmp_path: Path) -> None:
    with serving(ROOT / "functions" / "document_text", tmp_path) as (printed, port):
        for name in ("document-text", "text-angle", "text-recognition"):
            assert f"{name} 1.0.0: published to s3://models/{name}-v1.onnx, " in printed
        lines = answer(Command(example(printed), ""), port)["lines"]
    assert [line["text"].replace(" ", "") for line in lines] == ["Invoice2026-11-29", "Total:1,234.50EUR"]


def without_ports(lines: list[str]) -> list[str]:
    return [re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:PORT", each) for each in lines]
