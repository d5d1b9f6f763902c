"""A container's last words are one short line in a file that somebody else made."""

from pathlib import Path

from runtime.telemetry.termination import leave


def left(place: Path, sentence: str) -> str:
    place.touch()
    leave(sentence, place)
    return place.read_text("utf-8")


def test_the_reason_is_one_line_instead_of_whatever_was_there(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("older and longer than what comes now")
    assert left(tmp_path / "log", "s3://b/m: it is\n  not a model") == "s3://b/m: it is not a model"


def test_no_more_is_left_than_the_kubelet_reads(tmp_path: Path) -> None:
    """Of more it would keep the end, and the reason stands at the beginning."""
    assert left(tmp_path / "log", "why " + "x" * 9000) == "why " + "x" * 4092


def test_outside_of_a_pod_nothing_is_made(tmp_path: Path) -> None:
    leave("why", tmp_path / "log")
    assert not (tmp_path / "log").exists()


def test_a_place_that_takes_nothing_does_not_hide_the_reason(tmp_path: Path) -> None:
    leave("why", tmp_path)
