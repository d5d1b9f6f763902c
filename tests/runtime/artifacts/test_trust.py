"""Nothing of the cache is believed that another user owns or may change."""

import json
import os
import stat
import subprocess
import tempfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from runtime.artifacts.cache import FOLDERS, Cache, Ref
from runtime.artifacts.fetch import check
from runtime.artifacts.trust import Owned, folder_fault, is_mounted, is_trusted_file
from runtime.errors import BadSetting
from tests.runtime.artifacts.conftest import Bench

FOLDER, FILE, LINK = stat.S_IFDIR, stat.S_IFREG, stat.S_IFLNK
ME, OTHER, ROOT = 1000, 1001, 0
NOBODY = 65534
Spoil = Callable[[Path], None]

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a file to another user")


@pytest.mark.parametrize(
    ("folder", "outermost", "mounted", "fault"),
    [
        (Owned(FOLDER | 0o700, ME), True, False, None),
        (Owned(FOLDER | 0o755, ME), False, False, None),
        (Owned(FOLDER | 0o755, ROOT), True, False, None),
        # An emptyDir as the kubelet makes it, without and with an fsGroup.
        (Owned(FOLDER | 0o777, ROOT), True, True, None),
        (Owned(FOLDER | 0o2777, ROOT), True, True, None),
        (Owned(FOLDER | 0o2775, ROOT), True, True, None),
        (Owned(FOLDER | 0o777, ROOT), True, False, "its mode is 0777, run chmod -R go-w on it"),
        (Owned(FOLDER | 0o775, ME), True, False, "its mode is 0775"),
        (Owned(FOLDER | 0o1777, ME), True, False, "its mode is 1777"),
        (Owned(FOLDER | 0o777, ME), False, True, "its mode is 0777"),
        (Owned(FOLDER | 0o700, ROOT), False, True, f"a folder of uid {ME}; it belongs to uid {ROOT}"),
        (Owned(FOLDER | 0o700, OTHER), True, True, f"it belongs to uid {OTHER}, remove it or name another one"),
        (Owned(LINK | 0o777, ME), True, False, "it is a link or a file"),
        (Owned(FILE | 0o600, ME), False, False, "it is a link or a file"),
    ],
)
def test_a_folder_is_trusted_where_only_its_user_can_change_it(
    folder: Owned, *, outermost: bool, mounted: bool, fault: str | None
) -> None:
    said = folder_fault(folder, uid=ME, outermost=outermost, mounted=mounted)
    assert said == fault if fault is None else fault in str(said)


@pytest.mark.parametrize(
    ("file", "trusted"),
    [
        (Owned(FILE | 0o644, ME), True),
        (Owned(FILE | 0o600, ME), True),
        (Owned(FILE | 0o664, ME), False),
        (Owned(FILE | 0o646, ME), False),
        (Owned(FILE | 0o600, OTHER), False),
        (Owned(FILE | 0o600, ROOT), False),
        (Owned(LINK | 0o600, ME), False),
        (Owned(stat.S_IFIFO | 0o600, ME), False),
    ],
)
def test_a_file_is_trusted_where_only_its_user_can_change_it(file: Owned, *, trusted: bool) -> None:
    assert is_trusted_file(file, uid=ME) is trusted


def shared(path: Path) -> None:
    path.chmod(path.stat().st_mode | stat.S_IWGRP)


def foreign(path: Path) -> None:
    os.chown(path, NOBODY, NOBODY)


def linked(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to(path.with_name("elsewhere"))


def piped(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


SPOILT = [pytest.param(foreign, marks=needs_root), shared, linked]


@pytest.mark.parametrize("name", ["", *FOLDERS])
@pytest.mark.parametrize("spoil", SPOILT)
def test_a_folder_that_others_may_change_stops_the_start(tmp_path: Path, name: str, spoil: Spoil) -> None:
    cache = Cache(tmp_path / "cache")
    cache.prepare()
    spoil(cache.root / name)
    with pytest.raises(BadSetting, match=f"SCALEZERO_CACHE_DIR='{cache.root / name}': expected a folder"):
        check("s3://bucket/key", cache_dir=cache.root)


def test_what_the_cache_makes_is_for_its_user_alone_whatever_the_umask(bench: Bench) -> None:
    before = os.umask(0)
    try:
        bench.fetch(bench.put(b"content").uri)
    finally:
        os.umask(before)
    made = [bench.cache_dir, *bench.cache_dir.rglob("*")]
    assert len(made) > len(FOLDERS) + 3
    assert [path for path in made if path.stat().st_mode & 0o077] == []


@pytest.mark.parametrize("spoil", [*SPOILT, piped])
def test_a_blob_that_others_may_change_is_pulled_anew(bench: Bench, spoil: Spoil) -> None:
    stored = bench.put(b"content")
    spoil(bench.fetch(stored.uri).path)
    again = bench.fetch(stored.uri, sha256=stored.sha256)
    assert not again.from_cache
    assert stat.S_ISREG(again.path.lstat().st_mode)
    assert again.path.read_bytes() == b"content"
    assert bench.fetch(stored.uri, sha256=stored.sha256).from_cache


@pytest.mark.parametrize("spoil", [*SPOILT, piped])
def test_a_note_that_others_may_change_is_as_good_as_none(tmp_path: Path, spoil: Spoil) -> None:
    cache = Cache(tmp_path)
    cache.prepare()
    ref = Ref(uri="s3://b/k", etag=None, version_id=None, sha256=sha256(b"").hexdigest(), size=0, metadata={})
    cache.remember("p", ref)
    assert cache.recall("p") == ref
    spoil(tmp_path / "refs" / "p.json")
    assert cache.recall("p") is None
    cache.remember("p", ref)
    assert cache.recall("p") == ref
    assert json.loads((tmp_path / "refs" / "p.json").read_bytes())["uri"] == "s3://b/k"


@pytest.mark.parametrize("spoil", [*SPOILT, piped])
def test_a_lock_that_others_may_hold_is_refused(tmp_path: Path, spoil: Spoil) -> None:
    cache = Cache(tmp_path)
    cache.prepare()
    with cache.lock("p", timeout=0):
        pass
    spoil(tmp_path / "locks" / "p")
    with (
        pytest.raises(BadSetting, match=r"SCALEZERO_CACHE_DIR=.*nobody else may write; remove it"),
        cache.lock("p", timeout=0),
    ):
        pass


def test_a_tree_is_planted_into_folders_of_its_own(tmp_path: Path) -> None:
    """A link in the place of one of its folders would have it write somewhere else."""
    cache, outside = Cache(tmp_path / "cache"), tmp_path / "outside"
    cache.prepare()
    outside.mkdir()
    blob = cache.blob("0" * 64, "")
    blob.write_bytes(b"weights")
    files = {"sub/deep/w.bin": blob}
    tree = cache.plant(files, timeout=1)
    for folder in (tree / "sub" / "deep", tree / "sub", tree):
        folder.rename(tmp_path / f"was-{folder.name}")
        folder.symlink_to(outside)
        assert cache.plant(files, timeout=1) == tree
        assert not folder.is_symlink()
        assert (tree / "sub" / "deep" / "w.bin").samefile(blob)
    assert not list(outside.iterdir())


@needs_root
@pytest.mark.parametrize(
    "options", ["mode=0777", "mode=2777,gid=65534", "mode=2775,gid=65534"], ids=["plain", "s", "fs"]
)
def test_an_empty_dir_of_kubernetes_is_taken_by_a_user_that_does_not_own_it(options: str) -> None:
    """The kubelet makes it root's, writable for all; with an fsGroup it gets that group, and setgid."""
    with tempfile.TemporaryDirectory() as place:
        volume = Path(place) / "volume"
        volume.mkdir()
        Path(place).chmod(0o755)
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size=1m,{options}", "tmpfs", volume], capture_output=True, check=False
        )
        if mounted.returncode != 0:
            pytest.skip(f"nobody may mount here: {mounted.stderr.decode().strip()}")
        try:
            assert as_nobody(lambda: Cache(volume).prepare()) == 0
            assert {path.stat().st_uid for path in volume.iterdir()} == {NOBODY}
            assert {path.stat().st_mode & 0o777 for path in volume.iterdir()} == {0o700}
            assert as_nobody(lambda: Cache(volume).prepare()) == 0
            with pytest.raises(BadSetting, match=f"it belongs to uid {NOBODY}"):
                Cache(volume).prepare()
        finally:
            subprocess.run(["umount", "--lazy", volume], check=True)


@needs_root
def test_a_volume_on_the_same_file_system_is_a_mount_too(tmp_path: Path) -> None:
    """A container's root may lie on the node's own file system, as its volumes do."""
    volume, place = tmp_path / "volume", tmp_path / "a place"
    volume.mkdir()
    place.mkdir()
    volume.chmod(0o777)
    assert not is_mounted(place)
    if subprocess.run(["mount", "--bind", volume, place], capture_output=True, check=False).returncode != 0:
        pytest.skip("nobody may mount here")
    try:
        assert is_mounted(place)
        Cache(place).prepare()
        with pytest.raises(BadSetting, match="its mode is 0777"):
            Cache(volume).prepare()
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)


def as_nobody(work: Callable[[], None]) -> int:
    """Do the work as another user, in a process of its own; 0: it went well."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            work()
            code = 0
        finally:
            os._exit(code)
    return os.waitpid(child, 0)[1]
