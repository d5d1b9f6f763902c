"""A folder of a model from bytes lives as long as its process uses it; what a killed process left is removed."""

import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from runtime.wasi_nn.folders import Folder, remove_leftovers
from tests.waiting import DEADLINE

# Creates a folder, prints its path, and waits.
OTHER = """
import pathlib, sys
from runtime.wasi_nn.folders import Folder
folder = Folder(pathlib.Path(sys.argv[1]))
folder.write(folder.path / "m.onnx", b"model")
print(folder.path, flush=True)
sys.stdin.read()
"""


def written(cache: Path) -> Folder:
    folder = Folder(cache)
    folder.write(folder.path / "m.onnx", b"model")
    return folder


def test_a_folder_exists_from_its_file_to_its_removal(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "cache")
    folder.remove()
    assert not folder.path.exists()
    folder.write(folder.path / "m.onnx", b"model")
    assert (folder.path / "m.onnx").read_bytes() == b"model"
    assert folder.path.stat().st_mode & 0o77 == 0
    for _ in range(2):
        folder.remove()
        assert not folder.path.exists()


def test_the_folder_of_a_living_process_is_kept_and_that_of_a_killed_one_is_removed(tmp_path: Path) -> None:
    own = written(tmp_path)
    with subprocess.Popen(
        [sys.executable, "-c", OTHER, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        other = Path(process.stdout.readline().strip())
        remove_leftovers(tmp_path)
        assert (other / "m.onnx").exists()
        process.send_signal(signal.SIGKILL)
        process.wait(DEADLINE)
    assert (other / "m.onnx").exists()
    remove_leftovers(tmp_path)
    assert not other.exists()
    assert (own.path / "m.onnx").exists()


def test_other_files_are_kept(tmp_path: Path) -> None:
    """Only a folder with our name is a leftover: no file and no link."""
    kept = [tmp_path / "blobs", tmp_path / "wasi-nn"]
    for each in kept:
        each.mkdir()
    file, link = tmp_path / "wasi-nn-file", tmp_path / "wasi-nn-link"
    file.write_bytes(b"")
    link.symlink_to(kept[0])
    remove_leftovers(tmp_path)
    remove_leftovers(tmp_path / "none")
    assert sorted(tmp_path.iterdir()) == sorted([*kept, file, link])


def test_a_folder_that_is_created_while_others_remove_leftovers_keeps_its_file(tmp_path: Path) -> None:
    with ThreadPoolExecutor(2) as threads:
        folders = threads.submit(lambda: [written(tmp_path) for _ in range(200)])
        while not folders.done():
            remove_leftovers(tmp_path)
    assert all((each.path / "m.onnx").exists() for each in folders.result())
