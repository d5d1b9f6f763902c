"""Publishing to the real S3, and the credentials that only boto3 finds."""

import json
from hashlib import sha256
from pathlib import Path

import pytest

from runtime.artifacts.registry import credential_provider, publish
from runtime.errors import (
    ArtifactMissing,
    BadSetting,
    CredentialsMissing,
    InvalidModel,
    ModelUnavailable,
    StoreUnreachable,
)
from tests.artifacts.conftest import BUCKET, Bench
from tests.artifacts.test_external import WEIGHTS, run, save
from tests.faulty_s3 import Fault

BROKEN_PEM = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
ENVIRONMENT = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A file to publish."""
    path = tmp_path / "m.onnx"
    path.write_bytes(b"content")
    return path


def test_what_is_published_is_fetched_and_says_what_it_is(bench: Bench, model: Path) -> None:
    published = publish(model, "s3://published/a/m.onnx", metadata={"Version": "1.0.0"}, create_bucket=True)
    fetched = bench.fetch("s3://published/a/m.onnx")
    assert fetched.path.read_bytes() == b"content"
    assert fetched.metadata == published.metadata == {"version": "1.0.0", "sha256": sha256(b"content").hexdigest()}
    assert (fetched.etag, fetched.size) == (published.etag, published.size)
    assert publish(model, "s3://published/a/m.onnx", create_bucket=True).etag == published.etag


def test_the_external_data_goes_first(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(save("weights/w.bin"))
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "w.bin").write_bytes(WEIGHTS)
    publish(tmp_path / "m.onnx", f"s3://{BUCKET}/external/m.onnx")
    puts = [seen.path for seen in bench.faulty.seen if seen.method == "PUT"]
    assert puts == [f"/{BUCKET}/external/weights/w.bin", f"/{BUCKET}/external/m.onnx"]
    assert run(bench.fetch(f"s3://{BUCKET}/external/m.onnx").path) == [1, 2, 3, 4]


def test_a_large_file_in_parts_has_its_digest_too(bench: Bench, tmp_path: Path) -> None:
    body = bytes(range(256)) * 40_000  # beyond the 8 MiB from which boto3 uploads in parts
    (tmp_path / "m.onnx").write_bytes(body)
    published = publish(tmp_path / "m.onnx", f"s3://{BUCKET}/large/m.onnx")
    assert published.etag is not None and "-" in published.etag  # noqa: PT018
    assert bench.fetch(f"s3://{BUCKET}/large/m.onnx").sha256 == sha256(body).hexdigest()


@pytest.mark.parametrize("uri", ["/srv/m.onnx", "file:///srv/m.onnx", "s3://bucket/m.onnx?versionId=1", "s3://bucket/"])
def test_only_an_object_of_s3_can_be_published_to(model: Path, uri: str) -> None:
    with pytest.raises(BadSetting, match="s3://bucket/key"):
        publish(model, uri)


@pytest.mark.parametrize("metadata", [{"name": "größe"}, {"größe": "1"}, {"a b": "1"}, {"a": "1\n2"}, {"": "1"}])
def test_metadata_that_http_cannot_carry_is_refused(model: Path, metadata: dict[str, str]) -> None:
    with pytest.raises(BadSetting, match="metadata"):
        publish(model, "s3://bucket/m.onnx", metadata=metadata)


def test_what_is_no_file_or_no_model_is_not_published(tmp_path: Path) -> None:
    with pytest.raises(ArtifactMissing, match="nothing to publish"):
        publish(tmp_path / "none.onnx", "s3://bucket/m.onnx")
    (tmp_path / "m.onnx").write_bytes(save("../w.bin"))
    with pytest.raises(InvalidModel):
        publish(tmp_path / "m.onnx", "s3://bucket/m.onnx")


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("AWS_SECRET_ACCESS_KEY", "wrong", CredentialsMissing),
        ("AWS_SKIP_SIGNATURE", "true", CredentialsMissing),
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:1", StoreUnreachable),
        ("AWS_PROFILE", "no-such-profile", CredentialsMissing),
    ],
)
def test_an_upload_that_cannot_be_is_told(
    bench: Bench, model: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str, error: type[ModelUnavailable]
) -> None:
    monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(error):
        publish(model, f"s3://{BUCKET}/m.onnx")
    assert not [seen for seen in bench.faulty.seen if seen.status == 200]


def test_a_missing_bucket_is_told(bench: Bench, model: Path) -> None:
    # The loopback S3 makes a missing bucket on the fly for its administrator; others, such as AWS, answer this.
    bench.faulty.add(Fault(status=404, code="NoSuchBucket"))
    with pytest.raises(ArtifactMissing, match="no such bucket"):
        publish(model, "s3://no-such-bucket/m.onnx")


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
    with pytest.raises(CredentialsMissing, match="no credentials could be had"):
        web_identity.fetch(f"s3://{BUCKET}/m.onnx")


def test_a_web_identity_that_sts_refuses_is_told(web_identity: Bench) -> None:
    web_identity.faulty.add(Fault(status=403, code="AccessDenied"))
    with pytest.raises(CredentialsMissing, match="no credentials could be had"):
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
