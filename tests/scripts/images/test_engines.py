"""The programs that build: which is taken, what it is asked for, and what is said where it fails."""

import os
from pathlib import Path

import pytest

from scripts.images.engines import BUILD, Engine
from scripts.images.faults import CannotBuild


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH with nothing on it but what a test puts there."""
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def install(programs: Path, name: str, script: str) -> None:
    program = programs / name
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


def test_the_first_one_installed_is_taken(programs: Path) -> None:
    install(programs, "docker", "")
    assert Engine.found() == Engine("docker")
    install(programs, "podman", "")
    assert Engine.found() == Engine("podman")


def test_where_none_is_the_sentence_says_what_to_install(programs: Path) -> None:
    with pytest.raises(
        CannotBuild, match="none of buildah, podman, docker is installed; on Debian: apt-get install buildah"
    ):
        Engine.found()


@pytest.mark.parametrize("name", BUILD)
def test_each_is_handed_base_secrets_and_name(programs: Path, tmp_path: Path, name: str) -> None:
    install(programs, name, f'printf "%s\\n" "$@" >{tmp_path}/asked')
    Engine(name).build(
        "dev.local/x:1",
        tmp_path,
        args={"BASE": "python:3.12-slim"},
        secrets={"pip": Path("/pip.conf")},
        containerfile=tmp_path / "Containerfile",
        fresh=False,
    )
    asked = (tmp_path / "asked").read_text().splitlines()
    wanted = {"build", "--build-arg=BASE=python:3.12-slim", "--secret=id=pip,src=/pip.conf", "dev.local/x:1"}
    assert wanted <= set(asked)
    assert asked[-1] == str(tmp_path)
    assert "--no-cache" not in asked


@pytest.mark.parametrize("name", BUILD)
def test_each_writes_the_archive_that_is_asked_for(programs: Path, tmp_path: Path, name: str) -> None:
    install(programs, name, f'printf "%s\\n" "$@" >{tmp_path}/asked')
    Engine(name).save("dev.local/x:1", Path("/out.tar"))
    asked = (tmp_path / "asked").read_text()
    assert "/out.tar" in asked
    assert "dev.local/x:1" in asked


def test_a_failure_is_told_with_the_programs_name_and_status(programs: Path) -> None:
    install(programs, "buildah", "exit 125")
    with pytest.raises(CannotBuild, match="buildah push exited with 125"):
        Engine("buildah").save("dev.local/x:1", Path(os.devnull))


@pytest.mark.parametrize(("status", "there"), [(0, True), (125, False)])
def test_an_image_is_there_where_it_can_be_inspected(programs: Path, status: int, *, there: bool) -> None:
    install(programs, "buildah", f"exit {status}")
    assert Engine("buildah").has("dev.local/x:1") is there
