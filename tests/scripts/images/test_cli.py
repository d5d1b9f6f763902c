"""Tests of the command: its archives and its errors."""

import tomllib
from pathlib import Path
from threading import Event, Thread

import pytest
from click.testing import CliRunner

from knative.function.creating import create
from scripts.images import cli
from scripts.images.engines import Engine
from scripts.images.faults import CannotBuild
from tests import ROOT
from tests.waiting import DEADLINE


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Engine:
    """A program that writes a small archive, and fails if the file `broken` exists."""
    program = tmp_path / "docker"
    program.write_text(f'#!/bin/sh\nprintf half >"$3"\n[ ! -e {tmp_path}/broken ]\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return Engine("docker")


def test_a_new_archive_replaces_the_earlier_one_of_its_name(engine: Engine, tmp_path: Path) -> None:
    old, other = tmp_path / "scalezero-1-aaaa.tar", tmp_path / "scalezero-2-aaaa.tar"
    old.touch()
    other.touch()
    cli.save(engine, "dev.local/scalezero:1", tmp_path / "scalezero-1-bbbb.tar")
    assert sorted(each.name for each in tmp_path.glob("*.tar")) == ["scalezero-1-bbbb.tar", "scalezero-2-aaaa.tar"]


def test_a_partial_archive_never_has_the_final_name(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "broken").touch()
    with pytest.raises(CannotBuild):
        cli.save(engine, "dev.local/scalezero:1", tmp_path / "scalezero-1-bbbb.tar")
    assert not list(tmp_path.glob("*.tar"))


def test_knative_does_not_resolve_the_default_tag_in_a_registry() -> None:
    assert cli.default_tag().startswith("dev.local/scalezero:")


def test_the_default_tag_of_one_function_is_the_image_in_its_func_yaml(tmp_path: Path) -> None:
    folder = tmp_path / "my_function"
    create(folder)
    assert cli.default_tag([folder]) == "dev.local/my-function:1"
    (folder / "func.yaml").unlink()
    assert cli.default_tag([folder]).startswith("dev.local/my-function:")


def test_the_tag_of_a_flavour_ends_with_its_extras(tmp_path: Path) -> None:
    create(tmp_path / "my_function")
    assert cli.default_tag([], ["openvino"]) == f"{cli.default_tag()}-openvino"
    assert cli.default_tag([tmp_path / "my_function"], ["openvino"]) == "dev.local/my-function:1-openvino"


def test_the_extras_are_those_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert set(cli.EXTRAS) <= set(project["optional-dependencies"])


def test_a_flavour_is_built_with_its_extras_into_an_archive_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "docker"
    program.write_text(f'#!/bin/sh\necho "$*" >>{tmp_path}/calls\n[ "$1" = build ] || : >"$3"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with cli.build_lock():
        flavour = cli.build("python:3.12-slim", "dev.local/f:1-openvino", [], extras=["openvino"])
        plain = cli.build("python:3.12-slim", "dev.local/f:1", [])
    assert flavour.is_file()
    assert plain.is_file()
    assert flavour.name.startswith("f-1-openvino-")
    builds = [line for line in (tmp_path / "calls").read_text().splitlines() if line.startswith("build ")]
    assert [line.partition("EXTRAS=")[2].partition(" ")[0] for line in builds] == [
        "serve,resources,openvino",
        "serve,resources",
    ]


def test_an_unknown_flavour_is_refused_with_the_known_ones() -> None:
    done = CliRunner().invoke(cli.main, ["--with", "cuda", "--no-load"])
    assert done.exit_code == 2
    assert "'cuda' is not one of 'openvino', 'wasm'" in done.output


def test_the_error_without_a_build_program_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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
    thread.join(timeout=DEADLINE)
    assert entered.is_set()
