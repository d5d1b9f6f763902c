"""Tests of one object through the cache, with a scripted store or a lock that another owner has."""

from dataclasses import replace
from pathlib import Path

import pytest

from runtime.artifacts.cache import Cache, cache_key
from runtime.artifacts.objects import CachedObjects, ObjectRequest
from runtime.errors import InvalidModel, StoreStalled
from tests.runtime.artifacts.conftest import SHORT_TIMEOUTS
from tests.runtime.artifacts.test_download import ScriptedStore

REQUEST = ObjectRequest(uri="s3://b/k", suffix=".onnx", sha256=None, max_bytes=1 << 20)


def objects(root: Path, store: ScriptedStore) -> CachedObjects:
    cache = Cache(root)
    cache.prepare()
    return CachedObjects(cache=cache, scope="here", open_store=lambda: store, policy=SHORT_TIMEOUTS)


def test_the_wait_for_another_pull_ends_with_the_deadline(tmp_path: Path) -> None:
    stuck = objects(tmp_path, ScriptedStore(b"content", [], 1))._replace(policy=replace(SHORT_TIMEOUTS, deadline=0.05))
    with stuck.cache.lock(cache_key("here", REQUEST.uri), timeout=0), pytest.raises(StoreStalled, match=r"0\.05 s"):
        stuck.get(REQUEST)
    assert stuck.get(REQUEST).path.read_bytes() == b"content"


def test_an_empty_object_is_an_invalid_model(tmp_path: Path) -> None:
    with pytest.raises(InvalidModel, match="empty"):
        objects(tmp_path, ScriptedStore(b"", [], 1)).get(REQUEST)


def test_a_removed_blob_is_pulled_again_although_its_ref_exists(tmp_path: Path) -> None:
    store = objects(tmp_path, ScriptedStore(b"content", [], 1))
    store.get(REQUEST).path.unlink()
    again = store.get(REQUEST)
    assert (again.from_cache, again.path.read_bytes()) == (False, b"content")
