"""Uploads to the real S3, and the credentials that only boto3 finds."""

import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from runtime.artifacts.upload import Outgoing, credential_provider, open_bucket
from runtime.errors import ArtifactMissing, BadSetting, CredentialsMissing, ScalezeroError, StoreUnreachable
from tests.runtime.artifacts.conftest import BUCKET, Bench
from tests.runtime.faulty_s3 import Fault

BROKEN_PEM = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
ENVIRONMENT = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file to upload."""
    path = tmp_path / "m.onnx"
    path.write_bytes(b"content")
    return path


def outgoing(path: Path, key: str, **metadata: str) -> Outgoing:
    """Address the file to a key of the bucket."""
    digest = sha256(path.read_bytes()).hexdigest()
    return Outgoing(path=path, uri=f"s3://{BUCKET}/{key}", sha256=digest, metadata=metadata)


def test_what_is_uploaded_is_fetched_and_says_what_it_is(bench: Bench, path: Path) -> None:
    file = outgoing(path, "a/m.onnx", Version="1.0.0")
    assert open_bucket(BUCKET, overwrite=True).upload(file)
    fetched = bench.fetch(file.uri)
    assert fetched.path.read_bytes() == b"content"
    assert fetched.metadata == {"version": "1.0.0", "sha256": sha256(b"content").hexdigest()}


@pytest.mark.parametrize("size", [7, 10_000_000])  # boto3 uploads in parts from 8 MiB on
def test_an_object_that_is_there_stays_unless_overwriting(
    bench: Bench, path: Path, size: int, random_bytes: Callable[[int], bytes]
) -> None:
    body = random_bytes(size)
    path.write_bytes(body)
    file = outgoing(path, f"once/{size}.onnx")
    assert open_bucket(BUCKET, overwrite=False).upload(file)
    path.write_bytes(body[::-1])
    other = outgoing(path, f"once/{size}.onnx")
    assert not open_bucket(BUCKET, overwrite=False).upload(other)
    assert bench.fetch(file.uri).sha256 == file.sha256
    assert open_bucket(BUCKET, overwrite=True).upload(other)
    assert bench.fetch(file.uri).sha256 == other.sha256


@pytest.mark.parametrize("uri", ["/srv/m.onnx", f"s3://{BUCKET}/m.onnx?versionId=1", "s3://another/m.onnx"])
def test_only_an_object_of_the_bucket_can_be_uploaded_to(bench: Bench, path: Path, uri: str) -> None:
    with pytest.raises(BadSetting, match=f"s3://{BUCKET}/key"):
        open_bucket(BUCKET, overwrite=True).upload(outgoing(path, "")._replace(uri=uri))
    assert not bench.faulty.seen


@pytest.mark.parametrize("metadata", [{"name": "größe"}, {"größe": "1"}, {"a b": "1"}, {"a": "1\n2"}, {"": "1"}])
def test_metadata_that_http_cannot_carry_is_refused(bench: Bench, path: Path, metadata: dict[str, str]) -> None:
    with pytest.raises(BadSetting, match="metadata"):
        open_bucket(BUCKET, overwrite=True).upload(outgoing(path, "m.onnx", **metadata))
    assert not bench.faulty.seen


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("AWS_SECRET_ACCESS_KEY", "wrong", CredentialsMissing),
        ("AWS_SKIP_SIGNATURE", "true", CredentialsMissing),
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:1", StoreUnreachable),
        ("AWS_PROFILE", "no-such-profile", CredentialsMissing),
        ("AWS_CA_BUNDLE", "/no/such/ca.pem", BadSetting),
    ],
)
def test_an_upload_that_cannot_be_is_told(
    bench: Bench, path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str, error: type[ScalezeroError]
) -> None:
    monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(error):
        open_bucket(BUCKET, overwrite=False).upload(outgoing(path, "m.onnx"))
    assert not [seen for seen in bench.faulty.seen if seen.status == 200]


def test_a_missing_bucket_is_told(bench: Bench, path: Path) -> None:
    # The loopback S3 makes a missing bucket on the fly for its administrator; others, such as AWS, answer this.
    bench.faulty.add(Fault(status=404, code="NoSuchBucket"))
    with pytest.raises(ArtifactMissing, match="no such bucket"):
        open_bucket(BUCKET, overwrite=False).upload(outgoing(path, "m.onnx"))


@pytest.fixture
def profile(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """The bench, whose keys are only in a profile of the shared credentials file."""
    keys = f"aws_access_key_id={bench.s3.access_key}\naws_secret_access_key={bench.s3.secret_key}\n"
    (tmp_path / "credentials").write_text(
        f"[payments]\n{keys}[expired]\naws_access_key_id=old\naws_secret_access_key=old\n"
    )
    for name in ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    return bench


def test_the_pull_finds_the_credentials_of_a_profile(profile: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    stored = profile.put(b"content")
    monkeypatch.setenv("AWS_PROFILE", "payments")
    assert profile.fetch(stored.uri).path.read_bytes() == b"content"


def test_the_region_of_the_profile_signs_the_pull(
    profile: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config").write_text("[profile payments]\nregion=eu-central-1\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    monkeypatch.setenv("AWS_PROFILE", "payments")
    assert profile.fetch(profile.put(b"content").uri).path.read_bytes() == b"content"
    assert "/eu-central-1/s3/" in profile.faulty.seen[-1].headers["authorization"]


@pytest.mark.parametrize("name", ["expired", "missing", ""])
def test_a_profile_that_does_not_open_the_bucket_is_told(
    profile: Bench, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    stored = profile.put(b"content")
    monkeypatch.setenv("AWS_PROFILE", name)
    with pytest.raises(CredentialsMissing):
        profile.fetch(stored.uri)


def test_a_public_bucket_is_read_without_credentials(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    bench.s3.make_bucket("public")
    bench.client.put_object(Bucket="public", Key="m.onnx", Body=b"content")
    allow = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::public/*"}
    bench.client.put_bucket_policy(Bucket="public", Policy=json.dumps({"Version": "2012-10-17", "Statement": [allow]}))
    for name in ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert bench.fetch("s3://public/m.onnx").path.read_bytes() == b"content"
    assert "authorization" not in bench.faulty.seen[-1].headers


@pytest.fixture
def web_identity(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """The bench, whose only credential is a token to take to STS; the faulty server is the STS too."""
    for name in ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "token").write_text("web-token")
    monkeypatch.setenv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/models")
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path / "token"))
    monkeypatch.setenv("AWS_REGION", bench.s3.region)
    monkeypatch.setenv("AWS_DEFAULT_REGION", bench.s3.region)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    return bench


@pytest.mark.parametrize("endpoint", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"])
def test_a_web_identity_without_its_token_is_told(
    web_identity: Bench, monkeypatch: pytest.MonkeyPatch, endpoint: str
) -> None:
    """With an endpoint for S3 alone the fast client looks for the token, else boto3."""
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    monkeypatch.setenv(endpoint, web_identity.faulty.endpoint_url)
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", "/no/such/token")
    with pytest.raises(CredentialsMissing, match="the credentials cannot be obtained"):
        web_identity.fetch(f"s3://{BUCKET}/m.onnx")


def test_a_web_identity_that_sts_refuses_is_told(web_identity: Bench) -> None:
    web_identity.faulty.add(Fault(status=403, code="AccessDenied"))
    with pytest.raises(CredentialsMissing, match="the credentials cannot be obtained"):
        web_identity.fetch(f"s3://{BUCKET}/m.onnx")
    assert [(seen.method, seen.path) for seen in web_identity.faulty.seen] == [("POST", "/")]


def test_what_sts_gives_for_a_web_identity_signs_the_pull(web_identity: Bench) -> None:
    grant = f"""<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials>
        <AccessKeyId>{web_identity.s3.access_key}</AccessKeyId><SecretAccessKey>wrong</SecretAccessKey>
        <SessionToken>granted</SessionToken><Expiration>2999-01-01T00:00:00Z</Expiration>
        </Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"""
    web_identity.faulty.add(Fault(status=200, body=grant, times=1))
    # The loopback S3 did not grant it, so it refuses; that it was asked with it is what counts.
    with pytest.raises(CredentialsMissing, match="do not work"):
        web_identity.fetch(f"s3://{BUCKET}/m.onnx")
    asked = web_identity.faulty.seen[-1]
    assert asked.headers["x-amz-security-token"] == "granted"
    assert f"Credential={web_identity.s3.access_key}/" in asked.headers["authorization"]


def test_where_nothing_gives_credentials_there_is_no_provider(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*ENVIRONMENT, "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    assert credential_provider("s3://b/k") is None


def test_a_session_token_is_sent(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.faulty.add(Fault(status=403, code="ExpiredToken"))
    monkeypatch.setenv("AWS_SESSION_TOKEN", "temporary")
    with pytest.raises(CredentialsMissing, match="ExpiredToken"):
        bench.fetch(f"s3://{BUCKET}/m.onnx")
    assert bench.faulty.seen[0].headers["x-amz-security-token"] == "temporary"


@pytest.mark.parametrize("content", [None, "no certificate\n", BROKEN_PEM])
def test_certificates_that_cannot_be_read_are_a_setting_to_mend(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str | None
) -> None:
    if content is not None:
        (tmp_path / "ca.pem").write_text(content)
    monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "ca.pem"))
    with pytest.raises(BadSetting, match="AWS_CA_BUNDLE"):
        bench.fetch(f"s3://{BUCKET}/m.onnx")


def test_a_broken_file_of_credentials_is_named_without_its_folder(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "aws-config").write_text("no section\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "aws-config"))
    monkeypatch.setenv("AWS_PROFILE", "p")
    with pytest.raises(CredentialsMissing, match="aws-config") as told:
        bench.fetch(f"s3://{BUCKET}/m.onnx")
    assert str(tmp_path) not in str(told.value)
