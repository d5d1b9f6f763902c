"""What the commands of the registry show on a terminal, and that they show it nowhere else."""

import io
import sys
from pathlib import Path
from threading import Thread

import pytest

from runtime.artifacts.upload import FileUpload
from runtime.optimizing import Step
from runtime.registry import PlannedFile
from runtime.registry.terminal import progress_bar, size_text, steps_bar

MIB = 2**20


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (97 * MIB, "97.0 MiB"), (5 * 2**40, "5120.0 GiB")],
)
def test_a_size_is_shown_in_its_largest_unit(size: int, text: str) -> None:
    assert size_text(size) == text


class Terminal(io.StringIO):
    """A standard error that is a terminal."""

    def isatty(self) -> bool:
        return True


def planned(size: int) -> list[PlannedFile]:
    """Return one file of this size to upload."""
    return [PlannedFile(FileUpload(Path("m"), "s3://models/m", "0" * 64), size, None)]


def test_a_large_upload_shows_its_progress_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with progress_bar(planned(10 * MIB)) as progress:
        assert progress is not None
        threads = [Thread(target=progress, args=(MIB,)) for _ in range(10)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert "uploading 10.0 MiB" in terminal.getvalue()
    assert "100%" in terminal.getvalue()


@pytest.mark.parametrize(("size", "stream"), [(10 * MIB, io.StringIO()), (MIB, Terminal())])
def test_a_small_upload_or_another_output_shows_nothing(
    monkeypatch: pytest.MonkeyPatch, size: int, stream: io.StringIO
) -> None:
    monkeypatch.setattr(sys, "stderr", stream)
    with progress_bar(planned(size)) as progress:
        assert progress is None
    assert stream.getvalue() == ""


def test_the_progress_of_an_optimization_is_shown_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with steps_bar() as progress:
        assert progress is not None
        for done, text in enumerate(("measuring the original", "making int8-dynamic")):
            progress(Step(done, 2, text))
    shown = terminal.getvalue()
    assert "making int8-dynamic" in shown
    assert "100%" in shown
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with steps_bar() as progress:
        assert progress is None
