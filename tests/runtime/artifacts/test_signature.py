"""Tests of signatures with the examples that AWS publishes."""

from datetime import UTC, datetime

from runtime.artifacts.signature import Keys, quoted, sign

# https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html#example-signature-calculations
KEYS = Keys("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
NOW = datetime(2013, 5, 24, tzinfo=UTC)
HOST = {"host": "examplebucket.s3.amazonaws.com"}


def test_the_example_of_a_get_object_has_the_published_signature() -> None:
    signed = sign(HOST | {"range": "bytes=0-9"}, path="/test.txt", query="", keys=KEYS, region="us-east-1", now=NOW)
    assert signed["authorization"] == (
        "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, "
        "SignedHeaders=host;range;x-amz-content-sha256;x-amz-date, "
        "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
    )


def test_the_example_of_a_query_has_the_published_signature() -> None:
    signed = sign(HOST, path="/", query="max-keys=2&prefix=J", keys=KEYS, region="us-east-1", now=NOW)
    expected = "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"
    assert signed["authorization"].endswith(f"Signature={expected}")


def test_a_session_token_is_signed() -> None:
    signed = sign(HOST, path="/", query="", keys=Keys(*KEYS[:2], "t"), region="us-east-1", now=NOW)
    assert signed["x-amz-security-token"] == "t"
    assert "x-amz-date;x-amz-security-token," in signed["authorization"]


def test_the_representation_of_keys_has_no_secrets() -> None:
    shown = repr(Keys(*KEYS[:2], "session"))
    assert KEYS.access_key_id in shown
    assert KEYS.secret_access_key not in shown
    assert "session" not in shown


def test_a_path_is_percent_encoded_by_its_utf_8_bytes() -> None:
    assert quoted("a b/ü+%~", safe="/") == "a%20b/%C3%BC%2B%25~"
