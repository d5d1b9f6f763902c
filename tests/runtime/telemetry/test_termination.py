"""The termination message is one short line in a file that the kubelet created."""

from pathlib import Path

from runtime.telemetry.termination import write_termination_message


def written(path: Path, message: str) -> str:
    path.touch()
    write_termination_message(message, path)
    return path.read_text("utf-8")


def test_the_message_is_one_line_and_replaces_the_content(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("an older message that is longer than the new one")
    assert written(tmp_path / "log", "s3://b/m: it is\n  not a model") == "s3://b/m: it is not a model"


def test_a_long_message_is_cut_to_what_the_kubelet_reads(tmp_path: Path) -> None:
    """The kubelet would keep the end, but the reason is at the beginning."""
    assert written(tmp_path / "log", "why " + "x" * 9000) == "why " + "x" * 4092


def test_outside_a_pod_no_file_is_created(tmp_path: Path) -> None:
    write_termination_message("why", tmp_path / "log")
    assert not (tmp_path / "log").exists()


def test_a_path_that_cannot_be_written_raises_no_error(tmp_path: Path) -> None:
    write_termination_message("why", tmp_path)
