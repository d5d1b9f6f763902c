"""Tests of the programs that build images: their order, their arguments and their errors."""

import os
from pathlib import Path

import pytest

from scripts.images.engines import BUILD, Engine
from scripts.images.faults import CannotBuild


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH with only the programs that a test installs."""
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def install(programs: Path, name: str, script: str) -> None:
    program = programs / name
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


def test_the_first_installed_program_is_used(programs: Path) -> None:
    install(programs, "docker", "")
    assert Engine.detect() == Engine("docker")
    install(programs, "podman", "")
    assert Engine.detect() == Engine("podman")


def test_the_error_without_any_program_has_the_command_that_installs_one(programs: Path) -> None:
    with pytest.raises(
        CannotBuild, match="none of buildah, podman, docker is installed; on Debian: apt-get install buildah"
    ):
        Engine.detect()


@pytest.mark.parametrize("name", BUILD)
def test_each_program_gets_base_secrets_and_tag(programs: Path, tmp_path: Path, name: str) -> None:
    install(programs, name, f'printf "%s\\n" "$@" >{tmp_path}/arguments')
    Engine(name).build(
        "dev.local/x:1",
        tmp_path,
        args={"BASE": "python:3.12-slim"},
        secrets={"pip": Path("/pip.conf")},
        containerfile=tmp_path / "Containerfile",
        fresh=False,
    )
    arguments = (tmp_path / "arguments").read_text().splitlines()
    expected = {"build", "--build-arg=BASE=python:3.12-slim", "--secret=id=pip,src=/pip.conf", "dev.local/x:1"}
    assert expected <= set(arguments)
    assert arguments[-1] == str(tmp_path)
    assert "--no-cache" not in arguments


@pytest.mark.parametrize("name", BUILD)
def test_each_program_writes_the_archive(programs: Path, tmp_path: Path, name: str) -> None:
    install(programs, name, f'printf "%s\\n" "$@" >{tmp_path}/arguments')
    Engine(name).save("dev.local/x:1", Path("/out.tar"))
    arguments = (tmp_path / "arguments").read_text()
    assert "/out.tar" in arguments
    assert "dev.local/x:1" in arguments


def test_the_error_for_a_failure_has_the_programs_name_and_exit_code(programs: Path) -> None:
    install(programs, "buildah", "exit 125")
    with pytest.raises(CannotBuild, match="buildah push exited with 125"):
        Engine("buildah").save("dev.local/x:1", Path(os.devnull))


@pytest.mark.parametrize(("status", "exists"), [(0, True), (125, False)])
def test_an_image_exists_if_it_can_be_inspected(programs: Path, status: int, *, exists: bool) -> None:
    install(programs, "buildah", f"exit {status}")
    assert Engine("buildah").has("dev.local/x:1") is exists
