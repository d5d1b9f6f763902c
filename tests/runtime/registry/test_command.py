"""What `scalezero publish` prints."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from runtime.cli import scalezero
from runtime.published.places import manifest_uri
from runtime.registry import PlannedFile, entries, publish, read_manifest
from tests.runtime.conftest import Place
from tests.runtime.registry.model_files import digest, model

MIB = 2**20


def run(*arguments: str, code: int = 0) -> str:
    """Run the command and return its output."""
    result = CliRunner().invoke(scalezero, ["publish", *arguments])
    assert result.exit_code == code, result.output
    return result.output


def test_a_file_is_published_under_its_name_and_version(place: Place, tmp_path: Path) -> None:
    path, uri = model(tmp_path), place("a.onnx")
    arguments = (str(path), uri, "--name", "add", "--version", "1.0.0")
    assert run(*arguments) == f"{uri} published, sha256 {digest(path)}\n"
    assert run(*arguments) == f"{uri} already exists, sha256 {digest(path)}\n"
    manifest = read_manifest(uri)
    assert manifest is not None
    assert manifest.title == "add:1.0.0"


def test_an_added_manifest_is_reported(place: Place, tmp_path: Path) -> None:
    path, uri = model(tmp_path), place("a.onnx")
    publish(path, uri, metadata={})
    assert run(str(path), uri) == f"{uri} already exists, sha256 {digest(path)}; its manifest was added\n"


def test_the_result_is_json_on_request(place: Place, tmp_path: Path) -> None:
    path, uri = model(tmp_path), place("a.onnx")
    arguments = ["publish", str(path), uri, "-o", "json"]
    steps = json.loads(CliRunner().invoke(scalezero, [*arguments, "--dry-run"]).stdout)
    assert [(each["state"], each["uri"]) for each in steps[-2:]] == [("upload", uri), ("upload", manifest_uri(uri))]
    assert json.loads(CliRunner().invoke(scalezero, arguments).stdout) == {
        "uri": uri,
        "sha256": digest(path),
        "uploaded": True,
        "manifest": manifest_uri(uri),
        "assessment": None,
    }


def test_a_dry_run_says_what_would_be_uploaded_and_uploads_nothing(place: Place, tmp_path: Path) -> None:
    path, uri = model(tmp_path, external=True), place("a.onnx")
    weights = tmp_path / "weights.bin"
    publish(weights, place("weights.bin"), metadata={})
    lines = run(str(path), uri, "--name", "add", "--version", "1", "--dry-run").splitlines()
    assert lines[:4] == [
        "add 1: a dry run, nothing is uploaded",
        f"upload  {place('a.onnx.variants/')}...  prepared forms",
        f"exists  {place('weights.bin')}  4 B  sha256 {digest(weights)}",
        f"upload  {uri}  {path.stat().st_size} B  sha256 {digest(path)}",
    ]
    assert lines[4] == f"upload  {manifest_uri(uri)}"
    assert entries(place(""), every=True) == []


def test_a_dry_run_fails_as_the_publication_would(place: Place, tmp_path: Path) -> None:
    run(str(model(tmp_path)), place("a.onnx"))
    output = run(str(model(tmp_path, "b.onnx", value=2.0)), place("a.onnx"), "--dry-run", code=2)
    assert f"refuse  {place('a.onnx')}  " in output
    assert "a different file is already published here" in output


@pytest.mark.parametrize(
    "arguments", [("s3://models/a.onnx",), ("--name", "a"), ("--version", "1"), ("--name", "a", "--dry-run")]
)
def test_a_folder_has_no_destination_name_or_version(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    assert "none for a folder: its ModelVersions state it" in run(str(tmp_path), *arguments, code=2)


def test_a_file_needs_a_destination(tmp_path: Path) -> None:
    assert "the destination of the file" in run(str(model(tmp_path)), code=2)


@pytest.mark.parametrize("place", ["s3"], indirect=True)
def test_an_upload_reports_all_bytes(place: Place, tmp_path: Path) -> None:
    from collections.abc import Iterator, Sequence
    from contextlib import contextmanager

    from runtime.artifacts.upload import Progress
    from runtime.registry import Publication, publish_model

    path = model(tmp_path, external=True)
    weights = tmp_path / "weights.bin"
    weights.write_bytes(weights.read_bytes() + bytes(9 * MIB))
    sent: list[int] = []

    @contextmanager
    def watch(files: Sequence[PlannedFile]) -> Iterator[Progress]:
        yield sent.append

    publish_model(path, place("a.onnx"), Publication(), watch=watch)
    assert sum(sent) == weights.stat().st_size + path.stat().st_size


def test_a_dry_run_names_what_is_made_without_making_it(tmp_path: Path) -> None:
    path, uri = model(tmp_path), f"{tmp_path}/registry/a.onnx"
    output = run(str(path), uri, "--optimize", "--dry-run")
    assert f"upload  {uri}.variants/...  variants, made and measured, and prepared forms\n" in output
    assert not (tmp_path / "registry").exists()


def test_the_candidates_and_the_choice_are_printed(tmp_path: Path) -> None:
    """A model without an operator that int8 supports keeps the original, with the reason."""
    path, uri = model(tmp_path), f"{tmp_path}/registry/a.onnx"
    lines = run(str(path), uri, "--accept-unjudged").splitlines()
    assert lines[0].split()[:4] == ["VARIANT", "PROVIDER", "ROWS/S", "AT"]
    assert lines[1].split()[0] == "original"
    assert lines[1].split()[-1] == "chosen"
    assert lines[-2].startswith("chosen: original: ")
    assert lines[-1] == f"{uri} published, sha256 {digest(path)}"


@pytest.mark.parametrize(
    "option", ["--optimize", "--accept-unjudged", "--calibration=a.npz", "--batch-size=4", "--min-speedup=2"]
)
def test_the_bounds_of_a_folder_are_those_of_its_resources(tmp_path: Path, option: str) -> None:
    assert "none for a folder: its ModelOptimizations state it" in run(str(tmp_path), option, code=2)


@pytest.mark.parametrize(
    "option", ["--max-accuracy-loss=2", "--max-accuracy-loss=nan", "--min-speedup=inf", "--batch-size=0"]
)
def test_bounds_out_of_range_are_refused(tmp_path: Path, option: str) -> None:
    output = run(str(model(tmp_path)), f"{tmp_path}/registry/a.onnx", option, code=2)
    assert f"Invalid value for '{option.partition('=')[0]}'" in output
