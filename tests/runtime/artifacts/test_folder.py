"""What lies below a folder: the same from S3, page by page, and from this machine; bounded, and told where it fails."""

from pathlib import Path

import pytest

from runtime.artifacts.folder import below
from runtime.artifacts.listing import Page, page_query, parse_page
from runtime.errors import ArtifactMissing, BadSetting, InvalidModel, ModelUnavailable, StoreUnreachable
from tests.runtime.artifacts.conftest import BUCKET, IMPATIENT, Bench
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
    bench.client.put_object(Bucket=BUCKET, Key="listed/model/1/other.onnx", Body=b"x")  # beside it, not below
    assert below(uri, policy=IMPATIENT) == below(str(tmp_path / "m"), policy=IMPATIENT) == sorted(NAMES)


def test_what_is_not_there_holds_nothing(bench: Bench, tmp_path: Path) -> None:
    assert below(f"s3://{BUCKET}/nothing/here", policy=IMPATIENT) == []
    assert below(str(tmp_path / "none"), policy=IMPATIENT) == []


def test_an_empty_folder_of_this_machine_is_listed(tmp_path: Path) -> None:
    (tmp_path / "3").mkdir()
    assert below(str(tmp_path), policy=IMPATIENT) == ["3/"]


def test_a_listing_goes_on_over_its_pages_and_is_bounded(bench: Bench, tmp_path: Path) -> None:
    names = [f"{number}/m.onnx" for number in range(1005)]
    uri = put(bench, "many", names)
    assert below(uri, policy=IMPATIENT) == sorted(names)
    with pytest.raises(InvalidModel, match="holds more than 500 files"):
        below(uri, policy=IMPATIENT, most=500)
    (tmp_path / "a").touch()
    (tmp_path / "b").touch()
    with pytest.raises(InvalidModel, match="holds more than 1 files"):
        below(str(tmp_path), policy=IMPATIENT, most=1)


def test_an_outage_is_tried_again_and_a_lasting_one_told(bench: Bench) -> None:
    uri = put(bench, "shaky", ["1/m.onnx"])
    bench.faulty.add(Fault(status=503, times=2))
    assert below(uri, policy=IMPATIENT) == ["1/m.onnx"]
    bench.faulty.add(Fault(status=503))
    with pytest.raises(StoreUnreachable, match="503"):
        below(uri, policy=IMPATIENT)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("<html>welcome</html>", "the answer is no listing"),
        ("<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>", "nothing says how it goes on"),
        ("x" * (9 * 2**20), "the listing is too long"),
    ],
)
def test_an_answer_that_is_no_listing_is_told(bench: Bench, body: str, reason: str) -> None:
    bench.faulty.add(Fault(status=200, body=body))
    with pytest.raises(ModelUnavailable, match=reason):
        below(f"s3://{BUCKET}/m", policy=IMPATIENT)


def test_a_uri_that_names_no_folder_is_refused() -> None:
    with pytest.raises(BadSetting):
        below("s3://b", policy=IMPATIENT)


def test_a_missing_bucket_is_an_error(bench: Bench) -> None:
    with pytest.raises(ArtifactMissing, match="no such bucket"):
        below("s3://no-such-bucket-here/m", policy=IMPATIENT)


def test_a_query_has_its_parameters_in_the_order_that_the_signature_wants() -> None:
    assert page_query("a b/", None) == "encoding-type=url&list-type=2&prefix=a%20b%2F"
    assert page_query("a/", "t+/=").startswith("continuation-token=t%2B%2F%3D&encoding-type=url&")


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("<EncodingType>url</EncodingType><Key>a+b%2Bc%26</Key>", ["a b+c&"]),
        ("<Key>a+b&amp;lt;&#39;</Key><Key></Key>", ["a+b&lt;'", ""]),
        ("", []),
    ],
)
def test_keys_are_read_as_the_answer_says_that_it_wrote_them(text: str, keys: list[str]) -> None:
    assert parse_page(f"<ListBucketResult>{text}</ListBucketResult>".encode()) == Page(keys, None)


def test_a_page_says_what_continues_it() -> None:
    text = "<IsTruncated>true</IsTruncated><NextContinuationToken>a&amp;b=</NextContinuationToken>"
    assert parse_page(f"<ListBucketResult>{text}</ListBucketResult>".encode()).token == "a&b="  # noqa: S105 - no secret
