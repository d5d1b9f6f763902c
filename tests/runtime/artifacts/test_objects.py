"""One object through the cache, where the store's answers are scripted or the lock is another's."""

from dataclasses import replace
from pathlib import Path

import pytest

from runtime.artifacts.cache import Cache, place_name
from runtime.artifacts.objects import CachedObjects, Wanted
from runtime.errors import InvalidModel, StoreStalled
from tests.runtime.artifacts.conftest import IMPATIENT
from tests.runtime.artifacts.test_download import ScriptedStore

WANTED = Wanted(uri="s3://b/k", suffix=".onnx", sha256=None, most=1 << 20)


def objects(root: Path, store: ScriptedStore) -> CachedObjects:
    cache = Cache(root)
    cache.prepare()
    return CachedObjects(cache=cache, scope="here", open_store=lambda: store, policy=IMPATIENT)


def test_whoever_waits_for_another_pull_waits_no_longer_than_the_deadline(tmp_path: Path) -> None:
    stuck = objects(tmp_path, ScriptedStore(b"content", [], 1))._replace(policy=replace(IMPATIENT, deadline=0.05))
    with stuck.cache.lock(place_name("here", WANTED.uri), timeout=0), pytest.raises(StoreStalled, match=r"0\.05 s"):
        stuck.get(WANTED)
    assert stuck.get(WANTED).path.read_bytes() == b"content"


def test_a_store_that_answers_with_nothing_has_no_model(tmp_path: Path) -> None:
    with pytest.raises(InvalidModel, match="empty"):
        objects(tmp_path, ScriptedStore(b"", [], 1)).get(WANTED)


def test_a_lost_entry_is_pulled_again_although_the_object_is_known(tmp_path: Path) -> None:
    store = objects(tmp_path, ScriptedStore(b"content", [], 1))
    store.get(WANTED).path.unlink()
    again = store.get(WANTED)
    assert (again.from_cache, again.path.read_bytes()) == (False, b"content")
