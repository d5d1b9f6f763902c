"""Tests that the cache uses no file and no folder that another user owns or can change."""

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
from runtime.artifacts.trust import Ownership, folder_problem, is_mount_point, is_trusted_file
from runtime.errors import BadSetting
from tests.runtime.artifacts.conftest import Bench

FOLDER, FILE, LINK = stat.S_IFDIR, stat.S_IFREG, stat.S_IFLNK
ME, OTHER, ROOT = 1000, 1001, 0
NOBODY = 65534
Tamper = Callable[[Path], None]

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a file to another user")


@pytest.mark.parametrize(
    ("folder", "is_cache_root", "is_mount", "problem"),
    [
        (Ownership(FOLDER | 0o700, ME), True, False, None),
        (Ownership(FOLDER | 0o755, ME), False, False, None),
        (Ownership(FOLDER | 0o755, ROOT), True, False, None),
        # An emptyDir as the kubelet makes it, without and with an fsGroup.
        (Ownership(FOLDER | 0o777, ROOT), True, True, None),
        (Ownership(FOLDER | 0o2777, ROOT), True, True, None),
        (Ownership(FOLDER | 0o2775, ROOT), True, True, None),
        (Ownership(FOLDER | 0o777, ROOT), True, False, "its mode is 0777: run chmod -R go-w on it"),
        (Ownership(FOLDER | 0o775, ME), True, False, "its mode is 0775"),
        (Ownership(FOLDER | 0o1777, ME), True, False, "its mode is 1777"),
        (Ownership(FOLDER | 0o777, ME), False, True, "its mode is 0777"),
        (Ownership(FOLDER | 0o700, ROOT), False, True, f"a folder of uid {ME}; it belongs to uid {ROOT}"),
        (Ownership(FOLDER | 0o700, OTHER), True, True, f"it belongs to uid {OTHER}: remove it or use another folder"),
        (Ownership(LINK | 0o777, ME), True, False, "it is a link or a file"),
        (Ownership(FILE | 0o600, ME), False, False, "it is a link or a file"),
    ],
)
def test_a_folder_is_trusted_if_only_its_user_can_change_it(
    folder: Ownership, *, is_cache_root: bool, is_mount: bool, problem: str | None
) -> None:
    found = folder_problem(folder, uid=ME, is_cache_root=is_cache_root, is_mount=is_mount)
    assert found == problem if problem is None else problem in str(found)


@pytest.mark.parametrize(
    ("file", "trusted"),
    [
        (Ownership(FILE | 0o644, ME), True),
        (Ownership(FILE | 0o600, ME), True),
        (Ownership(FILE | 0o664, ME), False),
        (Ownership(FILE | 0o646, ME), False),
        (Ownership(FILE | 0o600, OTHER), False),
        (Ownership(FILE | 0o600, ROOT), False),
        (Ownership(LINK | 0o600, ME), False),
        (Ownership(stat.S_IFIFO | 0o600, ME), False),
    ],
)
def test_a_file_is_trusted_if_only_its_user_can_change_it(file: Ownership, *, trusted: bool) -> None:
    assert is_trusted_file(file, uid=ME) is trusted


def make_group_writable(path: Path) -> None:
    path.chmod(path.stat().st_mode | stat.S_IWGRP)


def change_owner(path: Path) -> None:
    os.chown(path, NOBODY, NOBODY)


def replace_by_link(path: Path) -> None:
    path.rename(path.with_name("target"))
    path.symlink_to(path.with_name("target"))


def replace_by_fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


TAMPERING = [pytest.param(change_owner, marks=needs_root), make_group_writable, replace_by_link]


@pytest.mark.parametrize("name", ["", *FOLDERS])
@pytest.mark.parametrize("tamper", TAMPERING)
def test_a_folder_that_others_can_change_stops_the_start(tmp_path: Path, name: str, tamper: Tamper) -> None:
    cache = Cache(tmp_path / "cache")
    cache.prepare()
    tamper(cache.root / name)
    with pytest.raises(BadSetting, match=f"SCALEZERO_CACHE_DIR='{cache.root / name}': expected a folder"):
        check("s3://bucket/key", cache_dir=cache.root)


def test_only_its_user_can_access_the_cache_with_any_umask(bench: Bench) -> None:
    before = os.umask(0)
    try:
        bench.fetch(bench.put(b"content").uri)
    finally:
        os.umask(before)
    created = [bench.cache_dir, *bench.cache_dir.rglob("*")]
    assert len(created) > len(FOLDERS) + 3
    assert [path for path in created if path.stat().st_mode & 0o077] == []


@pytest.mark.parametrize("tamper", [*TAMPERING, replace_by_fifo])
def test_a_blob_that_others_can_change_is_pulled_again(bench: Bench, tamper: Tamper) -> None:
    stored = bench.put(b"content")
    tamper(bench.fetch(stored.uri).path)
    again = bench.fetch(stored.uri, sha256=stored.sha256)
    assert not again.from_cache
    assert stat.S_ISREG(again.path.lstat().st_mode)
    assert again.path.read_bytes() == b"content"
    assert bench.fetch(stored.uri, sha256=stored.sha256).from_cache


@pytest.mark.parametrize("tamper", [*TAMPERING, replace_by_fifo])
def test_a_ref_that_others_can_change_counts_as_missing(tmp_path: Path, tamper: Tamper) -> None:
    cache = Cache(tmp_path)
    cache.prepare()
    ref = Ref(uri="s3://b/k", etag=None, version_id=None, sha256=sha256(b"").hexdigest(), size=0, metadata={})
    cache.write_ref("p", ref)
    assert cache.read_ref("p") == ref
    tamper(tmp_path / "refs" / "p.json")
    assert cache.read_ref("p") is None
    cache.write_ref("p", ref)
    assert cache.read_ref("p") == ref
    assert json.loads((tmp_path / "refs" / "p.json").read_bytes())["uri"] == "s3://b/k"


@pytest.mark.parametrize("tamper", [*TAMPERING, replace_by_fifo])
def test_a_lock_file_that_others_can_change_is_refused(tmp_path: Path, tamper: Tamper) -> None:
    cache = Cache(tmp_path)
    cache.prepare()
    with cache.lock("p", timeout=0):
        pass
    tamper(tmp_path / "locks" / "p")
    with (
        pytest.raises(BadSetting, match=r"SCALEZERO_CACHE_DIR=.*no other user can write: remove it"),
        cache.lock("p", timeout=0),
    ):
        pass


def test_a_tree_replaces_a_link_in_place_of_one_of_its_folders(tmp_path: Path) -> None:
    """Through such a link, the cache would write to another folder."""
    cache, outside = Cache(tmp_path / "cache"), tmp_path / "outside"
    cache.prepare()
    outside.mkdir()
    blob = cache.blob("0" * 64, "")
    blob.write_bytes(b"weights")
    files = {"sub/deep/w.bin": blob}
    tree = cache.link_tree(files, timeout=1)
    for folder in (tree / "sub" / "deep", tree / "sub", tree):
        folder.rename(tmp_path / f"old-{folder.name}")
        folder.symlink_to(outside)
        assert cache.link_tree(files, timeout=1) == tree
        assert not folder.is_symlink()
        assert (tree / "sub" / "deep" / "w.bin").samefile(blob)
    assert not list(outside.iterdir())


@needs_root
@pytest.mark.parametrize(
    "options", ["mode=0777", "mode=2777,gid=65534", "mode=2775,gid=65534"], ids=["plain", "s", "fs"]
)
def test_a_user_can_use_an_empty_dir_of_kubernetes_that_belongs_to_root(options: str) -> None:
    """The kubelet creates it as root, writable by all users; with an fsGroup it has that group and setgid."""
    with tempfile.TemporaryDirectory() as folder:
        volume = Path(folder) / "volume"
        volume.mkdir()
        Path(folder).chmod(0o755)
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size=1m,{options}", "tmpfs", volume], capture_output=True, check=False
        )
        if mounted.returncode != 0:
            pytest.skip(f"mounting is not allowed here: {mounted.stderr.decode().strip()}")
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
def test_a_volume_on_the_same_file_system_is_a_mount_point(tmp_path: Path) -> None:
    """The root of a container and its volumes may be on the same file system of the node."""
    volume, target = tmp_path / "volume", tmp_path / "a target"
    volume.mkdir()
    target.mkdir()
    volume.chmod(0o777)
    assert not is_mount_point(target)
    if subprocess.run(["mount", "--bind", volume, target], capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting is not allowed here")
    try:
        assert is_mount_point(target)
        Cache(target).prepare()
        with pytest.raises(BadSetting, match="its mode is 0777"):
            Cache(volume).prepare()
    finally:
        subprocess.run(["umount", "--lazy", target], check=True)


def as_nobody(work: Callable[[], None]) -> int:
    """Call `work` as the user nobody in a child process. Return its exit status; 0 on success."""
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
