"""Tests of the cache folder without a store."""

import threading
from collections.abc import Callable, Iterator, Mapping
from hashlib import sha256
from pathlib import Path

import pytest

from runtime.artifacts import holds
from runtime.artifacts.cache import Cache, Ref, cache_key, hash_file
from runtime.errors import BadSetting, DiskFull

REF = Ref(uri="s3://b/k", etag='"e"', version_id=None, sha256="0" * 64, size=1, metadata={"version": "1"})


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    """Return an empty cache."""
    cache = Cache(tmp_path / "cache")
    cache.prepare()
    return cache


def test_a_ref_is_read_as_it_was_written(cache: Cache) -> None:
    cache.write_ref("p", REF)
    assert cache.read_ref("p") == REF
    assert not list(cache.root.glob("partial/*"))


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b'{"uri": "s3://b/k"}', b"\xff"])
def test_a_damaged_ref_counts_as_missing(cache: Cache, content: bytes) -> None:
    (cache.root / "refs" / "p.json").write_bytes(content)
    assert cache.read_ref("p") is None


def test_a_blob_whose_hash_is_wrong_is_not_returned_and_is_removed(cache: Cache) -> None:
    digest = sha256(b"content").hexdigest()
    assert cache.verified_blob(digest, ".onnx") is None
    path = cache.blob(digest, ".onnx")
    path.write_bytes(b"contenT")
    assert cache.verified_blob(digest, ".onnx") is None
    assert not path.exists()
    path.write_bytes(b"content")
    assert cache.verified_blob(digest, ".onnx") == path
    path.write_bytes(b"contenT")
    assert cache.verified_blob(digest, ".onnx") is None, "also while this process holds it"


def test_one_thread_at_a_time_has_the_lock_and_the_others_wait(cache: Cache) -> None:
    inside: list[int] = []
    concurrent: list[int] = []

    def work() -> None:
        with cache.lock("p", timeout=10):
            inside.append(1)
            concurrent.append(len(inside))
            inside.pop()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert concurrent == [1] * 8


def test_a_lock_that_is_not_released_in_time_raises_a_timeout_error(cache: Cache) -> None:
    with cache.lock("p", timeout=0), pytest.raises(TimeoutError), cache.lock("p", timeout=0.01):
        pass
    with cache.lock("p", timeout=0):
        pass


def test_the_sweep_removes_partial_files_whose_lock_is_free(cache: Cache) -> None:
    for name in ("abandoned", "locked", "own", "abandoned.json"):
        (cache.root / "partial" / name).touch()
    (cache.root / "partial" / "folder.1.2").mkdir()
    with cache.lock("locked", timeout=0):
        cache.sweep(keep="own")
    assert sorted(path.name for path in cache.root.glob("partial/*")) == ["locked", "own"]


def blob(cache: Cache, content: str) -> Path:
    """Write a blob as a process that has ended would leave it."""
    path = cache.blob(sha256(content.encode()).hexdigest(), ".onnx")
    path.write_text(content)
    return path


def test_the_sweep_removes_a_blob_that_is_neither_referenced_nor_held(cache: Cache) -> None:
    replaced, held, referenced = (blob(cache, content) for content in ("replaced", "held", "referenced"))
    assert cache.verified_blob(held.stem, ".onnx") == held
    cache.write_ref("p", REF._replace(sha256=referenced.stem))
    cache.sweep(keep="")
    assert {path for path in (replaced, held, referenced) if path.exists()} == {held, referenced}


def test_a_new_blob_is_kept_before_a_ref_names_it(cache: Cache) -> None:
    """Another process may sweep after the blob is added and before its ref is written."""
    partial = cache.root / "partial" / "p"
    partial.write_text("content")
    added = cache.add_blob(partial, sha256(b"content").hexdigest(), ".onnx")
    cache.sweep(keep="")
    assert added.exists()


def test_a_tree_is_removed_when_one_of_its_blobs_is_removed(cache: Cache) -> None:
    model, weights = blob(cache, "model"), blob(cache, "weights")
    cache.write_ref("m", REF._replace(sha256=model.stem))
    cache.write_ref("w", REF._replace(sha256=weights.stem))
    tree = cache.link_tree({"m.onnx": model, "weights/w.bin": weights}, timeout=0)
    cache.sweep(keep="")
    assert (tree / "weights" / "w.bin").exists()
    cache.write_ref("w", REF)
    cache.sweep(keep="")
    assert not weights.exists()
    assert not tree.exists()
    assert model.exists()


def test_a_tree_whose_files_a_process_holds_is_kept(cache: Cache) -> None:
    """It is kept even if its blob was removed: a pull of another URI with the same bytes may have replaced the blob."""
    model, weights = blob(cache, "model"), blob(cache, "weights")
    assert cache.verified_blob(weights.stem, ".onnx") == weights
    tree = cache.link_tree({"m.onnx": model, "w.bin": weights}, timeout=0)
    weights.unlink()
    cache.sweep(keep="")
    assert sorted(path.name for path in tree.iterdir()) == ["m.onnx", "w.bin"]


def test_a_blob_that_another_process_has_replaced_is_not_removed(cache: Cache) -> None:
    """A process that found the blob damaged may try to remove it after another process replaced it."""
    partial = cache.root / "partial" / "p"
    partial.write_text("content")
    added = cache.add_blob(partial, sha256(b"content").hexdigest(), ".onnx")
    holds.remove_unless_held(added)
    assert added.exists()


def test_a_partial_file_is_removed_after_a_failed_pull(cache: Cache) -> None:
    def fail() -> None:
        with cache.partial("p") as path:
            path.write_bytes(b"half")
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        fail()
    assert not list(cache.root.glob("partial/*"))


def test_the_same_files_give_the_same_folder(cache: Cache) -> None:
    blob = cache.root / "blobs" / "b"
    blob.write_bytes(b"content")
    tree = cache.link_tree({"m.onnx": blob, "weights/w.bin": blob}, timeout=0)
    assert cache.link_tree({"weights/w.bin": blob, "m.onnx": blob}, timeout=0) == tree
    assert (tree / "weights" / "w.bin").read_bytes() == b"content"
    assert cache.link_tree({"m.onnx": blob}, timeout=0) != tree
    assert not list(cache.root.glob("partial/*"))


class Interrupted(Mapping[str, Path]):
    """The files of a tree; an iteration calls `interrupt` after each file."""

    def __init__(self, files: Mapping[str, Path]) -> None:
        self.files = files
        self.interrupt: Callable[[], object] = list

    def __getitem__(self, name: str) -> Path:
        return self.files[name]

    def __len__(self) -> int:
        return len(self.files)

    def __iter__(self) -> Iterator[str]:
        for name in self.files:
            yield name
            self.interrupt()


@pytest.fixture
def files(cache: Cache) -> Interrupted:
    """Return two blobs under the names of a model and its weights."""
    blobs = {name: cache.blob(sha256(name.encode()).hexdigest(), "") for name in ("m.onnx", "w.bin")}
    for name, path in blobs.items():
        path.write_text(name)
        assert cache.verified_blob(path.name, "")
    return Interrupted(blobs)


def test_a_sweep_while_a_tree_is_linked_removes_none_of_its_files(cache: Cache, files: Interrupted) -> None:
    files.interrupt = lambda: cache.sweep(keep="")
    tree = cache.link_tree(files, timeout=0)
    assert {path.name: path.read_text() for path in tree.iterdir()} == {"m.onnx": "m.onnx", "w.bin": "w.bin"}


def test_a_tree_has_one_writer_at_a_time(cache: Cache, files: Interrupted) -> None:
    name = cache.link_tree(files, timeout=0).name
    with cache.lock(name, timeout=0), pytest.raises(TimeoutError):
        cache.link_tree(files, timeout=0.01)


def test_a_wrong_file_of_a_tree_is_replaced_in_the_same_folder(cache: Cache, files: Interrupted) -> None:
    tree = cache.link_tree(files, timeout=0)
    folder = tree.stat().st_ino
    (tree / "w.bin").unlink()
    (tree / "w.bin").write_text("something else")
    assert cache.link_tree(files, timeout=0) == tree
    assert (tree / "w.bin").read_text() == "w.bin"
    assert tree.stat().st_ino == folder, "a replaced folder would be missing for a moment"


def test_errors_of_the_file_system_are_translated(cache: Cache) -> None:
    import errno

    for number, error in (
        (errno.ENOSPC, DiskFull),
        (errno.EDQUOT, DiskFull),
        (errno.EROFS, BadSetting),
        (errno.EIO, OSError),
    ):
        with pytest.raises(error), cache.translate_errors("uri"):
            raise OSError(number, "raised by the test")


def test_a_key_depends_on_the_store_and_on_the_uri() -> None:
    assert len({cache_key("a", "bc"), cache_key("ab", "c"), cache_key("a", "b\nc")}) == 3


def test_the_hash_covers_the_complete_file(tmp_path: Path) -> None:
    body = bytes(range(256)) * 10_000
    (tmp_path / "f").write_bytes(body)
    assert hash_file(tmp_path / "f") == sha256(body).hexdigest()
