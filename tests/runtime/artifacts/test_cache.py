"""The cache folder by itself."""

import threading
from collections.abc import Callable, Iterator, Mapping
from hashlib import sha256
from pathlib import Path

import pytest

from runtime.artifacts import holds
from runtime.artifacts.cache import Cache, Ref, hash_file, place_name
from runtime.errors import BadSetting, DiskFull

REF = Ref(uri="s3://b/k", etag='"e"', version_id=None, sha256="0" * 64, size=1, metadata={"version": "1"})


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    """An empty cache."""
    made = Cache(tmp_path / "cache")
    made.prepare()
    return made


def test_what_is_remembered_is_recalled(cache: Cache) -> None:
    cache.remember("p", REF)
    assert cache.recall("p") == REF
    assert not list(cache.root.glob("partial/*"))


@pytest.mark.parametrize("note", [b"", b"{", b"[]", b"null", b'{"uri": "s3://b/k"}', b"\xff"])
def test_a_torn_note_is_as_good_as_none(cache: Cache, note: bytes) -> None:
    (cache.root / "refs" / "p.json").write_bytes(note)
    assert cache.recall("p") is None


def test_a_blob_is_what_its_name_says_or_is_gone(cache: Cache) -> None:
    digest = sha256(b"content").hexdigest()
    assert cache.verified(digest, ".onnx") is None
    path = cache.blob(digest, ".onnx")
    path.write_bytes(b"contenT")
    assert cache.verified(digest, ".onnx") is None
    assert not path.exists()
    path.write_bytes(b"content")
    assert cache.verified(digest, ".onnx") == path
    path.write_bytes(b"contenT")
    assert cache.verified(digest, ".onnx") is None, "held or not"


def test_a_lock_is_held_by_one_thread_at_a_time_and_waited_for(cache: Cache) -> None:
    inside: list[int] = []
    most: list[int] = []

    def work() -> None:
        with cache.lock("p", timeout=10):
            inside.append(1)
            most.append(len(inside))
            inside.pop()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 8


def test_a_lock_that_does_not_come_free_in_time_is_told(cache: Cache) -> None:
    with cache.lock("p", timeout=0), pytest.raises(TimeoutError), cache.lock("p", timeout=0.01):
        pass
    with cache.lock("p", timeout=0):
        pass


def test_the_sweep_takes_what_nobody_holds(cache: Cache) -> None:
    for name in ("dead", "held", "mine", "dead.json"):
        (cache.root / "partial" / name).touch()
    (cache.root / "partial" / "seedling.1.2").mkdir()
    with cache.lock("held", timeout=0):
        cache.sweep(keep="mine")
    assert sorted(path.name for path in cache.root.glob("partial/*")) == ["held", "mine"]


def blob(cache: Cache, content: str) -> Path:
    """Lay a blob into the cache as a process did that is gone."""
    path = cache.blob(sha256(content.encode()).hexdigest(), ".onnx")
    path.write_text(content)
    return path


def test_the_sweep_takes_a_blob_that_nothing_names_and_nobody_holds(cache: Cache) -> None:
    replaced, held, named = (blob(cache, content) for content in ("replaced", "held", "named"))
    assert cache.verified(held.stem, ".onnx") == held
    cache.remember("p", REF._replace(sha256=named.stem))
    cache.sweep(keep="")
    assert {path for path in (replaced, held, named) if path.exists()} == {held, named}


def test_what_was_adopted_stays_although_nothing_names_it_yet(cache: Cache) -> None:
    """Between the adoption and the note about it another process may sweep."""
    partial = cache.root / "partial" / "p"
    partial.write_text("content")
    adopted = cache.adopt(partial, sha256(b"content").hexdigest(), ".onnx")
    cache.sweep(keep="")
    assert adopted.exists()


def test_a_tree_goes_with_its_blobs_and_not_before(cache: Cache) -> None:
    model, weights = blob(cache, "model"), blob(cache, "weights")
    cache.remember("m", REF._replace(sha256=model.stem))
    cache.remember("w", REF._replace(sha256=weights.stem))
    tree = cache.plant({"m.onnx": model, "weights/w.bin": weights}, timeout=0)
    cache.sweep(keep="")
    assert (tree / "weights" / "w.bin").exists()
    cache.remember("w", REF)
    cache.sweep(keep="")
    assert not weights.exists()
    assert not tree.exists()
    assert model.exists()


def test_a_tree_whose_files_a_process_holds_stays(cache: Cache) -> None:
    """Even when its blob went: another URI may have led to the same bytes, and put a file of its own in its place."""
    model, weights = blob(cache, "model"), blob(cache, "weights")
    assert cache.verified(weights.stem, ".onnx") == weights
    tree = cache.plant({"m.onnx": model, "w.bin": weights}, timeout=0)
    weights.unlink()
    cache.sweep(keep="")
    assert sorted(path.name for path in tree.iterdir()) == ["m.onnx", "w.bin"]


def test_a_torn_blob_that_another_made_whole_meanwhile_is_left_to_it(cache: Cache) -> None:
    """Whoever found it torn may be late to remove it, and it is not torn any more but somebody's."""
    partial = cache.root / "partial" / "p"
    partial.write_text("content")
    adopted = cache.adopt(partial, sha256(b"content").hexdigest(), ".onnx")
    holds.discard(adopted)
    assert adopted.exists()


def test_a_partial_file_is_gone_after_the_pull_whatever_happened(cache: Cache) -> None:
    def break_off() -> None:
        with cache.partial("p") as path:
            path.write_bytes(b"half")
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        break_off()
    assert not list(cache.root.glob("partial/*"))


def test_the_same_files_give_the_same_folder(cache: Cache) -> None:
    blob = cache.root / "blobs" / "b"
    blob.write_bytes(b"content")
    tree = cache.plant({"m.onnx": blob, "weights/w.bin": blob}, timeout=0)
    assert cache.plant({"weights/w.bin": blob, "m.onnx": blob}, timeout=0) == tree
    assert (tree / "weights" / "w.bin").read_bytes() == b"content"
    assert cache.plant({"m.onnx": blob}, timeout=0) != tree
    assert not list(cache.root.glob("partial/*"))


class Interrupted(Mapping[str, Path]):
    """Files of a tree; whoever goes through them is interrupted after each."""

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
    """Two blobs under the names of a model and its weights."""
    blobs = {name: cache.blob(sha256(name.encode()).hexdigest(), "") for name in ("m.onnx", "w.bin")}
    for name, path in blobs.items():
        path.write_text(name)
        assert cache.verified(path.name, "")
    return Interrupted(blobs)


def test_a_pull_that_ends_while_a_tree_is_planted_takes_nothing_of_it(cache: Cache, files: Interrupted) -> None:
    files.interrupt = lambda: cache.sweep(keep="")
    tree = cache.plant(files, timeout=0)
    assert {path.name: path.read_text() for path in tree.iterdir()} == {"m.onnx": "m.onnx", "w.bin": "w.bin"}


def test_a_tree_has_one_planter_at_a_time(cache: Cache, files: Interrupted) -> None:
    place = cache.plant(files, timeout=0).name
    with cache.lock(place, timeout=0), pytest.raises(TimeoutError):
        cache.plant(files, timeout=0.01)


def test_a_tree_is_mended_while_others_go_on_finding_it(cache: Cache, files: Interrupted) -> None:
    tree = cache.plant(files, timeout=0)
    folder = tree.stat().st_ino
    (tree / "w.bin").unlink()
    (tree / "w.bin").write_text("something else")
    assert cache.plant(files, timeout=0) == tree
    assert (tree / "w.bin").read_text() == "w.bin"
    assert tree.stat().st_ino == folder, "a folder that is replaced is gone for a moment"


def test_the_file_system_s_words_are_translated(cache: Cache) -> None:
    import errno

    for number, error in (
        (errno.ENOSPC, DiskFull),
        (errno.EDQUOT, DiskFull),
        (errno.EROFS, BadSetting),
        (errno.EIO, OSError),
    ):
        with pytest.raises(error), cache.faults("uri"):
            raise OSError(number, "as the test asked")


def test_a_place_is_its_store_and_its_uri() -> None:
    assert len({place_name("a", "bc"), place_name("ab", "c"), place_name("a", "b\nc")}) == 3


def test_a_file_is_hashed_whole(tmp_path: Path) -> None:
    body = bytes(range(256)) * 10_000
    (tmp_path / "f").write_bytes(body)
    assert hash_file(tmp_path / "f") == sha256(body).hexdigest()
