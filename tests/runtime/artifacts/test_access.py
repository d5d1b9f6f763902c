"""Tests of how the AWS environment is read."""

from pathlib import Path

import pytest

from runtime.artifacts.access import SECRETS, Credentials, certificates, s3_access
from runtime.errors import BadSetting

HERE = {"AWS_ENDPOINT_URL": "http://127.0.0.1:8333"}
KEYS = {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "secret"}
WEB = {"AWS_WEB_IDENTITY_TOKEN_FILE": "/token", "AWS_ROLE_ARN": "arn"}
BAD_ENDPOINTS = [
    "127.0.0.1:8333",
    "localhost:9000",
    "s3://x",
    "http://",
    "http://:8333",
    "http://x:port",
    "http://x:0",
    "http://[::1",
    "http://x y",
    "http://x/#f",
    "http://x/?q",
    "http://x\n",
]
AGENT = {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://169.254.170.23/v1/credentials"}


@pytest.mark.parametrize(
    ("environ", "credentials"),
    [
        (KEYS | HERE, Credentials.KEYS),
        (KEYS | WEB | {"AWS_PROFILE": "p"}, Credentials.KEYS),
        (WEB, Credentials.WEB_IDENTITY),
        (WEB | AGENT | HERE, Credentials.WEB_IDENTITY),
        (AGENT, Credentials.AGENT),
        (HERE | {"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/v2/credentials/x"}, Credentials.AGENT),
        (KEYS | HERE | {"AWS_SKIP_SIGNATURE": "True"}, Credentials.ANONYMOUS),
        (HERE, Credentials.ANONYMOUS),
        (HERE | {"AWS_ACCESS_KEY_ID": "id"}, Credentials.ANONYMOUS),
        (HERE | {"AWS_PROFILE": "p"}, Credentials.BOTO3),
        ({}, Credentials.BOTO3),
    ],
)
def test_the_first_source_of_credentials_takes_precedence(
    tmp_path: Path, environ: dict[str, str], credentials: Credentials
) -> None:
    assert s3_access(environ, home=tmp_path).credentials is credentials


@pytest.mark.parametrize("name", ["credentials", "config"])
def test_a_shared_file_is_a_source_of_credentials(tmp_path: Path, name: str) -> None:
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws" / name).touch()
    assert s3_access(HERE, home=tmp_path).credentials is Credentials.BOTO3
    moved = {"AWS_SHARED_CREDENTIALS_FILE": "/none", "AWS_CONFIG_FILE": "/none"}
    assert s3_access(HERE | moved, home=tmp_path).credentials is Credentials.ANONYMOUS


def test_the_endpoint_of_s3_takes_precedence_over_the_general_one(tmp_path: Path) -> None:
    access = s3_access(HERE | {"AWS_ENDPOINT_URL_S3": "https://s3.example/"}, home=tmp_path)
    assert access.endpoint == "https://s3.example"
    assert s3_access({"AWS_ENDPOINT_URL": ""}, home=tmp_path).endpoint is None


def test_errors_say_that_requests_go_to_aws_because_no_endpoint_is_set(tmp_path: Path) -> None:
    unset = s3_access(KEYS, home=tmp_path).description
    assert unset.startswith("at https://s3.us-east-1.amazonaws.com, because AWS_ENDPOINT_URL is not set, with ")
    assert s3_access(KEYS | HERE, home=tmp_path).description.startswith("at http://127.0.0.1:8333, with ")


@pytest.mark.parametrize("value", BAD_ENDPOINTS)
def test_an_endpoint_that_is_not_an_http_url_is_a_bad_setting(tmp_path: Path, value: str) -> None:
    with pytest.raises(BadSetting, match=r"AWS_ENDPOINT_URL=.*: expected http://HOST\[:PORT\]"):
        s3_access({"AWS_ENDPOINT_URL": value}, home=tmp_path)


def test_the_region_and_the_certificates_are_read(tmp_path: Path) -> None:
    access = s3_access(
        {
            "AWS_REGION": "eu-west-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_CA_BUNDLE": "/ca.pem",
        },
        home=tmp_path,
    )
    assert (access.region, access.ca_bundle) == ("eu-west-1", Path("/ca.pem"))
    assert s3_access({"AWS_DEFAULT_REGION": "us-east-1"}, home=tmp_path).region == "us-east-1"


def test_a_bundle_must_be_a_readable_file_with_certificates(tmp_path: Path) -> None:
    bundle = tmp_path / "ca.pem"
    access = s3_access({"AWS_CA_BUNDLE": str(bundle)}, home=tmp_path)
    with pytest.raises(BadSetting, match=r"AWS_CA_BUNDLE=.*ca\.pem.*expected a readable PEM file \(No such file"):
        certificates(access)
    bundle.write_text("no certificate")
    with pytest.raises(BadSetting, match="expected a PEM file with certificates"):
        certificates(access)
    bundle.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    assert certificates(access) == bundle.read_bytes()
    assert certificates(s3_access({}, home=tmp_path)) is None


def test_a_region_of_china_has_its_own_domain(tmp_path: Path) -> None:
    assert s3_access({}, home=tmp_path).aws_domain == "us-east-1.amazonaws.com"
    assert s3_access({"AWS_REGION": "cn-north-1"}, home=tmp_path).aws_domain == "cn-north-1.amazonaws.com.cn"


@pytest.mark.parametrize("name", SECRETS)
@pytest.mark.parametrize("value", ["s3cret\n", " s3cret", "s3\0cret", "s3cr\u00e9t"])
def test_a_key_that_is_invalid_in_a_header_is_refused_and_not_shown(tmp_path: Path, name: str, value: str) -> None:
    with pytest.raises(BadSetting, match=f"^{name}: expected printable ASCII") as raised:
        s3_access(KEYS | HERE | {name: value}, home=tmp_path)
    assert "s3" not in f"{raised.value}{raised.value.details}"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AWS_REGION", "eu-west-1\n"),
        ("AWS_REGION", "evil.example/"),
        ("AWS_DEFAULT_REGION", " "),
        ("AWS_PROFILE", "p\n"),
        ("AWS_ROLE_ARN", "arn "),
        ("AWS_CA_BUNDLE", "/ca.pem\n"),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", "\t/token"),
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "169.254.170.23/v1"),
        ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "v2"),
        ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2 HTTP/1.1\r\nx: y"),
    ],
)
def test_the_error_for_an_invalid_variable_names_it(tmp_path: Path, name: str, value: str) -> None:
    with pytest.raises(BadSetting, match=f"^{name}=.*: expected"):
        s3_access(HERE | {name: value}, home=tmp_path)


def test_the_url_of_an_agent_may_have_a_query(tmp_path: Path) -> None:
    s3_access({"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1/v1?for=pod"}, home=tmp_path)


def test_a_password_in_a_url_is_refused_and_not_shown(tmp_path: Path) -> None:
    with pytest.raises(BadSetting, match=r"^AWS_ENDPOINT_URL: expected a URL without user") as raised:
        s3_access({"AWS_ENDPOINT_URL": "http://user:pa55@host:9000"}, home=tmp_path)
    assert "pa55" not in f"{raised.value}{raised.value.details}"
