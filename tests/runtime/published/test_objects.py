"""Single objects of a registry: hashed while they stream, listed by a prefix, and deleted."""

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from runtime.artifacts.policy import PullPolicy
from runtime.errors import BadSetting, InvalidModel, StoreUnreachable
from runtime.published.objects import Hashed, Objects, full_uri, read_local
from runtime.registry.files import check_destination, delete, find, put_once
from tests.runtime.artifacts.conftest import PATIENT, SHORT_TIMEOUTS
from tests.runtime.conftest import Place
from tests.runtime.faulty_s3 import Fault, FaultyS3
from tests.s3_server import S3Server

only_s3 = pytest.mark.parametrize("place", ["s3"], indirect=True)


def test_an_object_is_written_once(place: Place) -> None:
    assert put_once(place("a.json"), b"1")
    assert not put_once(place("a.json"), b"2")
    assert Objects(place("")).read(place("a.json"), max_bytes=10) == b"1"
    assert Objects(place("")).read(place("b.json"), max_bytes=10) is None


@pytest.mark.parametrize("size", [1, 64 * 1024, 64 * 1024 + 1, 300_000])
def test_an_object_is_hashed_in_parts(place: Place, size: int) -> None:
    body = bytes(range(256)) * (size // 256 + 1)
    put_once(place("a"), body[:size])
    found = Objects(place(""), policy=PATIENT).hash(place("a"))
    assert found == Hashed(sha256(body[:size]).hexdigest(), size)


def test_an_empty_object_is_hashed_and_a_missing_one_is_none(place: Place) -> None:
    put_once(place("empty"), b"")
    assert Objects(place("")).hash(place("empty")) == Hashed(sha256().hexdigest(), 0)
    assert Objects(place("")).hash(place("missing")) is None


@only_s3
def test_the_digest_in_the_metadata_is_found(place: Place, s3: S3Server) -> None:
    s3.put(place("a"), b"content", {"sha256": "0" * 64})
    assert Objects(place("")).hash(place("a")) == Hashed(sha256(b"content").hexdigest(), 7, "0" * 64)


@pytest.mark.parametrize(("name", "size", "first"), [("a", 7, b"con"), ("empty", 0, b"")])
def test_the_head_of_an_object_has_its_first_bytes(place: Place, name: str, size: int, first: bytes) -> None:
    put_once(place("a"), b"content")
    put_once(place("empty"), b"")
    found = Objects(place("")).head(place(name), first_bytes=3)
    assert found is not None
    assert (found.info.size, found.first) == (size, first)
    assert Objects(place("")).head(place("missing"), first_bytes=3) is None


@only_s3
def test_the_head_of_an_object_has_its_metadata(place: Place, s3: S3Server) -> None:
    s3.put(place("a"), b"content", {"sha256": "0" * 64, "more": "text"})
    found = Objects(place("")).head(place("a"), first_bytes=3)
    assert found is not None
    assert found.info.sha256 == "0" * 64
    assert found.info.metadata["more"] == "text"


@only_s3
def test_a_part_that_breaks_is_read_again(place: Place, s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    body = bytes(1000) * 300
    s3.put(place("a"), body)
    with FaultyS3(s3.endpoint_url) as faulty:
        monkeypatch.setenv("AWS_ENDPOINT_URL", faulty.endpoint_url)
        faulty.add(Fault(path="/a", skip=1, times=1, reset_after=1000))
        found = Objects(place(""), policy=SHORT_TIMEOUTS).hash(place("a"))
        assert found == Hashed(sha256(body).hexdigest(), len(body))
        faulty.add(Fault(path="/a", skip=1, reset_after=1000))
        with pytest.raises(StoreUnreachable):
            Objects(place(""), policy=SHORT_TIMEOUTS).hash(place("a"))


def test_a_prefix_is_a_folder_or_the_start_of_a_name(place: Place) -> None:
    for name in ("a/x.json", "ab.json", "b.json"):
        put_once(place(name), b"1")
    source = Objects(place(""))
    assert sorted(source.list(place(""))) == [full_uri(place(each)) for each in ("a/x.json", "ab.json", "b.json")]
    assert list(source.list(place("ab"))) == [full_uri(place("ab.json"))]
    assert list(source.list(place("a/"))) == [full_uri(place("a/x.json"))]
    assert list(source.list(place("none"))) == []
    assert sorted(source.list(place(""), deep=False)) == [full_uri(place("ab.json")), full_uri(place("b.json"))]


def test_a_prefix_that_is_also_a_folder_is_the_start_of_names(place: Place) -> None:
    for name in ("pay/a.onnx", "payment.onnx", "other.onnx"):
        put_once(place(name), b"1")
    source = Objects(place(""))
    expected = {full_uri(place(each)) for each in ("pay/a.onnx", "payment.onnx")}
    assert set(source.list(place("pay"))) == expected
    assert list(source.list(place("pay"), deep=False)) == [full_uri(place("payment.onnx"))]
    assert list(source.list(place("pay/"))) == [full_uri(place("pay/a.onnx"))]


@only_s3
def test_a_whole_bucket_is_listed(place: Place, s3: S3Server) -> None:
    s3.put("s3://registry-whole/a/b", b"1")
    for prefix in ("s3://registry-whole", "s3://registry-whole/"):
        assert list(Objects(prefix).list(prefix)) == ["s3://registry-whole/a/b"]


@only_s3
def test_a_key_that_no_uri_can_name_is_not_listed(place: Place, s3: S3Server) -> None:
    s3.put(place("a?versionId=1"), b"1")
    s3.put(place("b?c"), b"1")
    assert list(Objects(place("")).list(place(""))) == [place("b?c")]


def test_a_deleted_object_is_gone_and_need_not_have_existed(place: Place) -> None:
    put_once(place("a"), b"1")
    for _ in range(2):
        delete(place("a"))
    assert list(Objects(place("")).list(place(""))) == []


def test_a_folder_cannot_be_deleted(tmp_path: Path) -> None:
    with pytest.raises(BadSetting, match="a file that this process can delete"):
        delete(str(tmp_path))


@pytest.mark.parametrize("uri", ["s3://b", "s3://a b/c", "s3://bucket/a//b", "http://bucket"])
def test_an_invalid_prefix_is_refused(uri: str) -> None:
    with pytest.raises(BadSetting):
        Objects(uri)


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("S3://bucket/a%20b", "s3://bucket/a%20b"),
        ("file:///a%20b", "file:///a%20b"),
        ("/a b", "file:///a%20b"),
    ],
)
def test_a_full_uri_has_one_form(uri: str, expected: str) -> None:
    assert full_uri(uri) == expected


@only_s3
def test_hashing_keeps_only_one_part_in_memory(place: Place) -> None:
    import tracemalloc

    put_once(place("a"), bytes(8 * 2**20))
    source = Objects(place(""), policy=PullPolicy(part_bytes=2**18))
    source.hash(place("a"))
    tracemalloc.start()
    source.hash(place("a"))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**21


@pytest.mark.parametrize("place", ["file", "path"], indirect=True)
def test_a_file_that_cannot_be_read_is_an_error_and_a_missing_one_is_none(place: Place) -> None:
    put_once(place("a"), b"1")
    source, too_long = Objects(place("")), place("x" * 300)
    looks: list[Callable[[str], object]] = [
        find,
        source.hash,
        lambda uri: source.read(uri, max_bytes=1),
        lambda uri: list(source.list(f"{uri}/")) or None,
    ]
    for look in looks:
        with pytest.raises(InvalidModel, match="this process cannot read it: File name too long"):
            look(too_long)
        assert look(place("missing")) is None
        assert look(place("a/below-a-file")) is None
    for look in looks[:3]:
        assert look(place("")) is None


def test_a_file_that_disappears_while_it_is_read_is_none(tmp_path: Path) -> None:
    def read(path: Path) -> bytes:
        path.unlink()
        return path.read_bytes()

    (tmp_path / "a").touch()
    assert read_local(str(tmp_path / "a"), read) is None


@pytest.mark.parametrize("place", ["path"], indirect=True)
def test_a_folder_that_cannot_be_looked_at_is_no_destination(place: Place) -> None:
    put_once(place("a"), b"1")
    with pytest.raises(InvalidModel, match="this process cannot read it"):
        check_destination(place("x" * 300), {})


def test_the_full_uri_of_a_file_does_not_depend_on_how_its_folder_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    monkeypatch.chdir(tmp_path)
    put_once("real/a", b"1")
    (tmp_path / "real" / "b").symlink_to("a")
    for folder in ("real", "link", "./real", "real/../link", f"{tmp_path}/link", f"file://{tmp_path}/real/../link"):
        assert full_uri(f"{folder}/a") == f"file://{tmp_path}/real/a"
        assert full_uri(f"{folder}/b") == f"file://{tmp_path}/real/b"  # the link is an object of its own
        expected = [f"file://{tmp_path}/real/{name}" for name in "ab"]
        assert list(Objects(f"{folder}/").list(f"{folder}/")) == expected
        assert list(Objects(folder).list(folder)) == expected
