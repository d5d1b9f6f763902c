"""Tests of the list of files below a folder: in S3, in pages, and on this machine, with its limit and its errors."""

from pathlib import Path

import pytest

from runtime.artifacts.folder import list_files
from runtime.artifacts.listing import Page, page_query, parse_page
from runtime.errors import ArtifactMissing, BadSetting, InvalidModel, ModelUnavailable, StoreUnreachable
from tests.runtime.artifacts.conftest import BUCKET, PATIENT, SHORT_TIMEOUTS, Bench
from tests.runtime.faulty_s3 import Fault

NAMES = ["1/model.onnx", "1/weights & more+.bin", "2/a%20b ä.onnx", "notes.txt"]


def put(bench: Bench, folder: str, names: list[str]) -> str:
    for name in names:
        bench.client.put_object(Bucket=BUCKET, Key=f"{folder}/{name}", Body=b"x")
    return f"s3://{BUCKET}/{folder}"


def test_s3_and_a_local_folder_list_the_same(bench: Bench, tmp_path: Path) -> None:
    for name in NAMES:
        (tmp_path / "m" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "m" / name).write_bytes(b"x")
    uri = put(bench, "listed/m", NAMES)
    bench.client.put_object(Bucket=BUCKET, Key="listed/model/1/other.onnx", Body=b"x")  # not below the folder
    assert list_files(uri, policy=PATIENT) == list_files(str(tmp_path / "m"), policy=PATIENT) == sorted(NAMES)


def test_a_missing_folder_has_no_files(bench: Bench, tmp_path: Path) -> None:
    assert list_files(f"s3://{BUCKET}/nothing/here", policy=PATIENT) == []
    assert list_files(str(tmp_path / "none"), policy=PATIENT) == []


def test_an_empty_local_subfolder_is_listed(tmp_path: Path) -> None:
    (tmp_path / "3").mkdir()
    assert list_files(str(tmp_path), policy=PATIENT) == ["3/"]


def test_a_listing_has_all_pages_and_a_limit(bench: Bench, tmp_path: Path) -> None:
    names = [f"{number}/m.onnx" for number in range(1005)]
    uri = put(bench, "many", names)
    assert list_files(uri, policy=PATIENT) == sorted(names)
    with pytest.raises(InvalidModel, match="contains more than 500 files"):
        list_files(uri, policy=PATIENT, max_files=500)
    (tmp_path / "a").touch()
    (tmp_path / "b").touch()
    with pytest.raises(InvalidModel, match="contains more than 1 files"):
        list_files(str(tmp_path), policy=PATIENT, max_files=1)


def test_an_outage_is_retried_and_a_permanent_one_is_an_error(bench: Bench) -> None:
    uri = put(bench, "shaky", ["1/m.onnx"])
    bench.faulty.add(Fault(status=503, times=2))
    assert list_files(uri, policy=SHORT_TIMEOUTS) == ["1/m.onnx"]
    bench.faulty.add(Fault(status=503))
    with pytest.raises(StoreUnreachable, match="503"):
        list_files(uri, policy=SHORT_TIMEOUTS)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("<html>welcome</html>", "the response is not a listing"),
        ("<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>", "has no NextContinuationToken"),
        ("x" * (9 * 2**20), "a page of the listing has more than 8388608 bytes"),
    ],
)
def test_a_response_that_is_not_a_listing_is_an_error(bench: Bench, body: str, reason: str) -> None:
    bench.faulty.add(Fault(status=200, body=body))
    with pytest.raises(ModelUnavailable, match=reason):
        list_files(f"s3://{BUCKET}/m", policy=SHORT_TIMEOUTS)


def test_an_invalid_uri_is_refused() -> None:
    with pytest.raises(BadSetting):
        list_files("s3://b", policy=SHORT_TIMEOUTS)


def test_a_missing_bucket_is_an_error(bench: Bench) -> None:
    with pytest.raises(ArtifactMissing, match="no such bucket"):
        list_files("s3://no-such-bucket-here/m", policy=PATIENT)


def test_a_query_has_its_parameters_in_the_order_of_the_signature() -> None:
    assert page_query("a b/", None) == "encoding-type=url&list-type=2&prefix=a%20b%2F"
    assert page_query("a/", None, deep=False).startswith("delimiter=%2F&encoding-type=url&")
    assert page_query("a/", "t+/=").startswith("continuation-token=t%2B%2F%3D&encoding-type=url&")


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("<EncodingType>url</EncodingType><Key>a+b%2Bc%26</Key>", ["a b+c&"]),
        ("<Key>a+b&amp;lt;&#39;</Key><Key></Key>", ["a+b&lt;'", ""]),
        ("", []),
    ],
)
def test_keys_are_decoded_as_the_response_declares(text: str, keys: list[str]) -> None:
    assert parse_page(f"<ListBucketResult>{text}</ListBucketResult>".encode()) == Page(keys, None)


def test_a_page_has_the_token_of_the_next_page() -> None:
    text = "<IsTruncated>true</IsTruncated><NextContinuationToken>a&amp;b=</NextContinuationToken>"
    assert parse_page(f"<ListBucketResult>{text}</ListBucketResult>".encode()).token == "a&b="  # noqa: S105 - no secret
