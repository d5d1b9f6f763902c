"""A verification finds every object that is not as published."""

from pathlib import Path

import pytest

from runtime.published.objects import Hashed, full_uri
from runtime.registry import Publication, publish_model, require_manifest, verify
from runtime.registry.files import delete
from runtime.registry.verifying import problem_of
from runtime.variants.values import StoredFile
from tests.runtime.conftest import Place
from tests.runtime.registry.model_files import model
from tests.s3_server import S3Server

FILE = StoredFile(uri="u", sha256="a" * 64, size=7)


@pytest.mark.parametrize(
    ("found", "problem"),
    [
        (Hashed("a" * 64, 7), ""),
        (Hashed("a" * 64, 7, "a" * 64), ""),
        (None, "there is no such object"),
        (Hashed("b" * 64, 6), "it has 6 bytes; expected 7"),
        (Hashed("b" * 64, 7), f"its SHA-256 is {'b' * 64}; expected {'a' * 64}"),
        (Hashed("a" * 64, 7, "c" * 64), f"its metadata states the SHA-256 {'c' * 64}, so that no pod accepts it"),
    ],
)
def test_a_difference_is_stated(found: Hashed | None, problem: str) -> None:
    assert problem_of(FILE, found).startswith(problem)
    assert bool(problem_of(FILE, found)) == bool(problem)


def test_a_published_model_is_as_its_manifest_says(place: Place, tmp_path: Path) -> None:
    publish_model(model(tmp_path, external=True), place("a.onnx"), Publication("add", "1"))
    results = list(verify(require_manifest(place("a.onnx"))))
    assert [(each.model, each.uri, each.problem) for each in results] == [
        ("add:1", full_uri(place("weights.bin")), ""),
        ("add:1", full_uri(place("a.onnx")), ""),
    ]


def test_damaged_and_missing_objects_are_found(place: Place, s3: S3Server, tmp_path: Path) -> None:
    publish_model(model(tmp_path, external=True), place("a.onnx"), Publication("add", "1"))
    delete(place("weights.bin"))
    body = bytearray((tmp_path / "model.onnx").read_bytes())
    body[-1] ^= 1
    if place("").startswith("s3:"):
        s3.put(place("a.onnx"), bytes(body))
    else:
        (tmp_path / "registry" / "a.onnx").write_bytes(bytes(body))
    problems = [each.problem for each in verify(require_manifest(place("a.onnx")))]
    assert problems[0] == "there is no such object"
    assert problems[1].startswith("its SHA-256 is ")
