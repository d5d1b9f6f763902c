"""How the AWS environment is read."""

from pathlib import Path

import pytest

from runtime.artifacts.access import Credentials, certificates, s3_access
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
]
AGENT = {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://169.254.170.23/v1/credentials"}


@pytest.mark.parametrize(
    ("environ", "credentials"),
    [
        (KEYS | HERE, Credentials.ENVIRONMENT),
        (KEYS | {"AWS_PROFILE": "p"}, Credentials.ENVIRONMENT),
        (WEB, Credentials.ENVIRONMENT),
        (WEB | {"AWS_ENDPOINT_URL_S3": "https://s3.example"}, Credentials.ENVIRONMENT),
        (WEB | {"AWS_ENDPOINT_URL_STS": "http://sts.example"}, Credentials.BOTO3),
        (WEB | HERE, Credentials.BOTO3),
        (AGENT, Credentials.ENVIRONMENT),
        (KEYS | HERE | {"AWS_SKIP_SIGNATURE": "True"}, Credentials.ANONYMOUS),
        (HERE, Credentials.ANONYMOUS),
        (HERE | {"AWS_ACCESS_KEY_ID": "id"}, Credentials.ANONYMOUS),
        (HERE | {"AWS_PROFILE": "p"}, Credentials.BOTO3),
        ({}, Credentials.BOTO3),
    ],
)
def test_the_first_source_of_credentials_wins(
    tmp_path: Path, environ: dict[str, str], credentials: Credentials
) -> None:
    assert s3_access(environ, home=tmp_path).credentials is credentials


@pytest.mark.parametrize("name", ["credentials", "config"])
def test_a_shared_file_is_a_source(tmp_path: Path, name: str) -> None:
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws" / name).touch()
    assert s3_access(HERE, home=tmp_path).credentials is Credentials.BOTO3
    moved = {"AWS_SHARED_CREDENTIALS_FILE": "/none", "AWS_CONFIG_FILE": "/none"}
    assert s3_access(HERE | moved, home=tmp_path).credentials is Credentials.ANONYMOUS


def test_the_endpoint_of_s3_goes_before_the_one_of_all_services(tmp_path: Path) -> None:
    access = s3_access(HERE | {"AWS_ENDPOINT_URL_S3": "https://s3.example/"}, home=tmp_path)
    assert (access.endpoint, access.plain_http) == ("https://s3.example", False)
    assert s3_access(HERE, home=tmp_path).plain_http
    assert s3_access({"AWS_ENDPOINT_URL": ""}, home=tmp_path).endpoint is None


@pytest.mark.parametrize("value", BAD_ENDPOINTS)
def test_an_endpoint_that_is_no_web_address_is_a_setting_to_mend(tmp_path: Path, value: str) -> None:
    with pytest.raises(BadSetting, match=r"AWS_ENDPOINT_URL=.*: expected http://HOST\[:PORT\]"):
        s3_access({"AWS_ENDPOINT_URL": value}, home=tmp_path)


def test_region_and_certificates_are_taken(tmp_path: Path) -> None:
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


def test_a_bundle_is_read_where_it_has_certificates(tmp_path: Path) -> None:
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
