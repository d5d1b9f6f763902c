"""The models and characters.json are those of the package, and everything else is an error."""

from pathlib import Path

import pytest

from functions.document_text import package


def test_the_characters_are_those_of_the_package() -> None:
    assert package.render(package.facts()) == package.FACTS.read_text("utf-8")


def test_the_models_are_the_files_of_the_package(folder: Path) -> None:
    for name, (file, _) in package.MODELS.items():
        assert package.models()[name] == (folder.parent / file).read_bytes()


def test_another_model_is_an_error_with_both_digests_and_the_package() -> None:
    expected = (
        r"text-recognition: got .* SHA-256 d9298a10.*; expected 48fc40f2.*, that of rapidocr-onnxruntime==1\.4\.4"
    )
    with pytest.raises(ValueError, match=expected):
        package.check("text-recognition", b"other")


def test_a_failed_download_is_an_error_with_the_message_of_pip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(ConnectionError, match=r"pip could not download rapidocr-.*No matching distribution.*check the"):
        package.download(tmp_path)
