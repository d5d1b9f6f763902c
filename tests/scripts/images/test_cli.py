"""The command: the archives that it keeps, and its errors."""

from pathlib import Path
from threading import Event, Thread

import pytest
from click.testing import CliRunner

from knative.function.creating import create
from scripts.images import cli
from scripts.images.engines import Engine
from scripts.images.faults import CannotBuild


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Engine:
    """A program that writes a small archive, or fails where a file says so."""
    program = tmp_path / "docker"
    program.write_text(f'#!/bin/sh\nprintf half >"$3"\n[ ! -e {tmp_path}/broken ]\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return Engine("docker")


def test_a_new_archive_takes_the_place_of_the_last_one_of_its_name(engine: Engine, tmp_path: Path) -> None:
    old, other = tmp_path / "scalezero-1-aaaa.tar", tmp_path / "scalezero-2-aaaa.tar"
    old.touch()
    other.touch()
    cli.save(engine, "dev.local/scalezero:1", tmp_path / "scalezero-1-bbbb.tar")
    assert sorted(each.name for each in tmp_path.glob("*.tar")) == ["scalezero-1-bbbb.tar", "scalezero-2-aaaa.tar"]


def test_half_an_archive_is_never_found(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "broken").touch()
    with pytest.raises(CannotBuild):
        cli.save(engine, "dev.local/scalezero:1", tmp_path / "scalezero-1-bbbb.tar")
    assert not list(tmp_path.glob("*.tar"))


def test_the_default_tag_is_one_that_knative_does_not_resolve_in_a_registry() -> None:
    assert cli.default_tag().startswith("dev.local/scalezero:")


def test_the_tag_of_one_function_is_the_image_of_its_func_yaml(tmp_path: Path) -> None:
    folder = tmp_path / "my_function"
    create(folder)
    assert cli.default_tag([folder]) == "dev.local/my-function:1"
    (folder / "func.yaml").unlink()
    assert cli.default_tag([folder]).startswith("dev.local/my-function:")


def test_without_a_program_that_builds_the_error_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    done = CliRunner().invoke(cli.main, ["--no-load"])
    assert done.exit_code == 1
    assert done.output == "Error: none of buildah, podman, docker is installed; on Debian: apt-get install buildah\n"


def test_a_second_build_waits_for_the_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    entered = Event()

    def second() -> None:
        with cli.build_lock():
            entered.set()

    thread = Thread(target=second)
    with cli.build_lock():
        thread.start()
        assert not entered.wait(0.2)
    thread.join(timeout=10)
    assert entered.is_set()
