"""Files that are made from a model are placed by their content, in a folder that has room for them."""

import errno
import os
import tempfile
from pathlib import Path

import pytest

from runtime.errors import DiskFull
from runtime.registry import publish
from runtime.registry.forms import form_of, planned, working_folder
from tests.runtime.conftest import Place
from tests.runtime.registry.model_files import digest, model


def test_a_form_has_its_external_data_beside_it_and_its_model_last(tmp_path: Path) -> None:
    path = model(tmp_path, external=True)
    form = form_of(path, "s3://models/a.onnx", "int8-nncf")
    folder = form.model.uri.removesuffix("/model.onnx")
    assert folder.startswith("s3://models/a.onnx.variants/int8-nncf-")
    assert [each.uri for each in form.files] == [f"{folder}/weights.bin"]
    assert [each.sha256 for each in form.stored] == [digest(tmp_path / "weights.bin"), digest(path)]
    assert [each.size for each in form.stored] == [each.stat().st_size for each in form.paths]


def test_other_weights_have_another_place_and_equal_ones_the_same(tmp_path: Path) -> None:
    first, same, other = (
        form_of(model(tmp_path / name, value=value, external=True), "s3://models/a.onnx", "int8").model
        for name, value in (("1", 1.0), ("2", 1.0), ("3", 2.0))
    )
    assert first == same
    assert first.sha256 == other.sha256  # only the external data differs
    assert first.uri != other.uri


@pytest.mark.parametrize("place", ["s3"], indirect=True)
def test_a_file_of_two_forms_is_sent_once_and_one_that_is_there_is_not_sent(place: Place, tmp_path: Path) -> None:
    first = form_of(model(tmp_path / "1"), place("a.onnx"), "int8")
    second = form_of(model(tmp_path / "2", value=2.0), place("a.onnx"), "int8")
    publish(first.paths[0], first.model.uri, metadata={})
    assert [(each.upload.uri, each.is_new) for each in planned([first, second, second])] == [
        (first.model.uri, False),
        (second.model.uri, True),
    ]


def test_a_disk_without_room_is_an_error_with_the_next_step() -> None:
    with pytest.raises(DiskFull, match=r"MiB free; expected about .* MiB\. Free some space, or set TMPDIR"):  # noqa: SIM117
        with working_folder("s3://models/a.onnx", size=2**60):
            pass


def test_a_disk_that_fills_is_an_error_and_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def fill() -> None:
        with working_folder("s3://models/a.onnx", size=0) as folder:
            (folder / "half").write_bytes(b"1")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(DiskFull, match=r"cannot be written below .*: No space left on device"):
        fill()
    assert list(tmp_path.iterdir()) == []


def test_another_error_of_a_file_is_not_a_full_disk(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), working_folder("s3://models/a.onnx", size=0):
        (tmp_path / "none").read_bytes()
