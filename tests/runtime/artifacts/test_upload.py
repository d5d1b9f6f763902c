"""Tests of uploads to a real S3, and of the credentials that boto3 finds."""

import json
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from runtime.artifacts.fetch import current_access
from runtime.artifacts.upload import FileUpload, credential_provider, open_bucket
from runtime.errors import ArtifactMissing, BadSetting, CredentialsMissing, ScalezeroError, StoreUnreachable
from tests.runtime.artifacts.conftest import BUCKET, PATIENT, Bench
from tests.runtime.faulty_s3 import Fault

BROKEN_PEM = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
ENVIRONMENT = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return a file to upload."""
    path = tmp_path / "m.onnx"
    path.write_bytes(b"content")
    return path


def outgoing(path: Path, key: str, **metadata: str) -> FileUpload:
    """Return an upload of the file to a key of the bucket."""
    digest = sha256(path.read_bytes()).hexdigest()
    return FileUpload(path=path, uri=f"s3://{BUCKET}/{key}", sha256=digest, metadata=metadata)


def test_an_uploaded_file_is_fetched_with_its_metadata(bench: Bench, path: Path) -> None:
    file = outgoing(path, "a/m.onnx", Version="1.0.0")
    assert open_bucket(BUCKET, overwrite=True).upload(file)
    fetched = bench.fetch(file.uri)
    assert fetched.path.read_bytes() == b"content"
    assert fetched.metadata == {"version": "1.0.0", "sha256": sha256(b"content").hexdigest()}


@pytest.mark.parametrize("size", [7, 10_000_000])  # boto3 uploads files of 8 MiB or more in parts
def test_an_existing_object_is_replaced_only_with_overwrite(
    bench: Bench, path: Path, size: int, random_bytes: Callable[[int], bytes]
) -> None:
    body = random_bytes(size)
    path.write_bytes(body)
    file = outgoing(path, f"once/{size}.onnx")
    assert open_bucket(BUCKET, overwrite=False).upload(file)
    path.write_bytes(body[::-1])
    other = outgoing(path, f"once/{size}.onnx")
    assert not open_bucket(BUCKET, overwrite=False).upload(other)
    whole = replace(PATIENT, part_bytes=size)
    assert bench.fetch(file.uri, policy=whole).sha256 == file.sha256
    assert open_bucket(BUCKET, overwrite=True).upload(other)
    assert bench.fetch(file.uri, policy=whole).sha256 == other.sha256


@pytest.mark.parametrize("uri", ["/srv/m.onnx", f"s3://{BUCKET}/m.onnx?versionId=1", "s3://another/m.onnx"])
def test_an_upload_to_another_bucket_or_to_a_version_is_refused(bench: Bench, path: Path, uri: str) -> None:
    with pytest.raises(BadSetting, match=f"s3://{BUCKET}/key"):
        open_bucket(BUCKET, overwrite=True).upload(outgoing(path, "")._replace(uri=uri))
    assert not bench.faulty.seen


@pytest.mark.parametrize("metadata", [{"name": "größe"}, {"größe": "1"}, {"a b": "1"}, {"a": "1\n2"}, {"": "1"}])
def test_metadata_that_is_invalid_in_http_headers_is_refused(
    bench: Bench, path: Path, metadata: dict[str, str]
) -> None:
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
def test_an_upload_with_an_invalid_environment_is_an_error(
    bench: Bench, path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str, error: type[ScalezeroError]
) -> None:
    monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(error):
        open_bucket(BUCKET, overwrite=False).upload(outgoing(path, "m.onnx"))
    assert not [seen for seen in bench.faulty.seen if seen.status == 200]


def test_a_missing_bucket_is_an_error(bench: Bench, path: Path) -> None:
    # The local S3 creates a missing bucket for its administrator. Other stores, such as AWS, send this response.
    bench.faulty.add(Fault(status=404, code="NoSuchBucket"))
    with pytest.raises(ArtifactMissing, match="no such bucket"):
        open_bucket(BUCKET, overwrite=False).upload(outgoing(path, "m.onnx"))


@pytest.fixture
def profile(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """Return a bench whose keys are only in a profile of the shared credentials file."""
    keys = f"aws_access_key_id={bench.s3.access_key}\naws_secret_access_key={bench.s3.secret_key}\n"
    (tmp_path / "credentials").write_text(
        f"[payments]\n{keys}[expired]\naws_access_key_id=old\naws_secret_access_key=old\n"
    )
    for name in ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    return bench


def test_a_pull_uses_the_credentials_of_a_profile(profile: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    stored = profile.put(b"content")
    monkeypatch.setenv("AWS_PROFILE", "payments")
    assert profile.fetch(stored.uri).path.read_bytes() == b"content"


def test_a_pull_is_signed_for_the_region_of_the_profile(
    profile: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config").write_text("[profile payments]\nregion=eu-central-1\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    monkeypatch.setenv("AWS_PROFILE", "payments")
    assert profile.fetch(profile.put(b"content").uri).path.read_bytes() == b"content"
    assert "/eu-central-1/s3/" in profile.faulty.seen[-1].headers["authorization"]


@pytest.mark.parametrize("name", ["expired", "missing", ""])
def test_a_profile_without_valid_keys_is_an_error(profile: Bench, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
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
    """Return a bench whose only credential is a token for STS. The faulty server is also the STS."""
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
def test_a_web_identity_without_its_token_is_an_error(
    web_identity: Bench, monkeypatch: pytest.MonkeyPatch, endpoint: str
) -> None:
    """The message is the same with an endpoint for all services and with one for S3 only."""
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    monkeypatch.setenv(endpoint, web_identity.faulty.endpoint_url)
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", "/no/such/token")
    with pytest.raises(CredentialsMissing, match="the credentials cannot be obtained"):
        web_identity.fetch(f"s3://{BUCKET}/m.onnx")


def test_a_web_identity_that_sts_rejects_is_an_error(web_identity: Bench) -> None:
    web_identity.faulty.add(Fault(status=403, code="AccessDenied"))
    with pytest.raises(CredentialsMissing, match="the credentials cannot be obtained"):
        web_identity.fetch(f"s3://{BUCKET}/m.onnx")
    assert [(seen.method, seen.path) for seen in web_identity.faulty.seen] == [("POST", "/")]


def test_a_pull_is_signed_with_the_keys_from_sts(web_identity: Bench) -> None:
    grant = f"""<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials>
        <AccessKeyId>{web_identity.s3.access_key}</AccessKeyId><SecretAccessKey>wrong</SecretAccessKey>
        <SessionToken>granted</SessionToken><Expiration>2999-01-01T00:00:00Z</Expiration>
        </Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"""
    web_identity.faulty.add(Fault(status=200, body=grant, times=1))
    # The local S3 did not issue this token and rejects it. The test checks the headers of the request.
    with pytest.raises(CredentialsMissing, match="the store rejected the credentials"):
        web_identity.fetch(f"s3://{BUCKET}/m.onnx")
    request = web_identity.faulty.seen[-1]
    assert request.headers["x-amz-security-token"] == "granted"
    assert f"Credential={web_identity.s3.access_key}/" in request.headers["authorization"]


def test_without_any_credentials_there_is_no_provider(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*ENVIRONMENT, "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    assert credential_provider("s3://b/k", current_access()) is None


def test_the_error_for_a_profile_names_the_endpoint_and_the_source(
    profile: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "missing")
    with pytest.raises(CredentialsMissing) as raised:
        profile.fetch(f"s3://{BUCKET}/m.onnx")
    source = "with the credentials that boto3 finds, such as those of AWS_PROFILE"
    assert "the config profile (missing) could not be found" in str(raised.value).lower()
    assert str(raised.value).endswith(f" (for {profile.faulty.endpoint_url}, {source})")


@pytest.fixture
def role(profile: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """Return a bench whose profile has a role of STS. The faulty server is also the STS."""
    arn = "arn:aws:iam::123456789012:role/models"
    (tmp_path / "config").write_text(f"[profile role]\nrole_arn={arn}\nsource_profile=payments\nregion=us-east-1\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_PROFILE", "role")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    return profile


def test_the_error_for_a_role_names_the_operation_of_sts(role: Bench) -> None:
    role.faulty.add(Fault(status=403, code="AccessDenied"))
    with pytest.raises(CredentialsMissing) as raised:
        role.fetch(f"s3://{BUCKET}/m.onnx")
    reason = "the credentials cannot be obtained: AssumeRole: 403"
    assert reason in str(raised.value)
    assert f"(for {role.faulty.endpoint_url}, with the credentials that boto3 finds" in str(raised.value)


def test_the_error_for_an_sts_that_cannot_be_reached_names_it(role: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:1")
    with pytest.raises(StoreUnreachable, match=r'cannot be obtained: .*"http://127.0.0.1:1/"') as raised:
        role.fetch(f"s3://{BUCKET}/m.onnx")
    assert f"(for {role.faulty.endpoint_url}, with the credentials that boto3 finds" in str(raised.value)


def test_a_session_token_is_sent(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.faulty.add(Fault(status=403, code="ExpiredToken"))
    monkeypatch.setenv("AWS_SESSION_TOKEN", "temporary")
    with pytest.raises(CredentialsMissing, match="ExpiredToken"):
        bench.fetch(f"s3://{BUCKET}/m.onnx")
    assert bench.faulty.seen[0].headers["x-amz-security-token"] == "temporary"


@pytest.mark.parametrize("content", [None, "no certificate\n", BROKEN_PEM])
def test_certificates_that_cannot_be_read_are_a_bad_setting(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str | None
) -> None:
    if content is not None:
        (tmp_path / "ca.pem").write_text(content)
    monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "ca.pem"))
    with pytest.raises(BadSetting, match="AWS_CA_BUNDLE"):
        bench.fetch(f"s3://{BUCKET}/m.onnx")


def test_the_error_for_an_invalid_credentials_file_does_not_contain_its_folder(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "aws-config").write_text("no section\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "aws-config"))
    monkeypatch.setenv("AWS_PROFILE", "p")
    with pytest.raises(CredentialsMissing, match="aws-config") as raised:
        bench.fetch(f"s3://{BUCKET}/m.onnx")
    assert str(tmp_path) not in str(raised.value)
