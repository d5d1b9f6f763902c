"""The conversion of environment variables, and the reasons for omitted ones."""

import pytest

from knative.importing.environment import environment
from tests.knative.importing.deployments import env, one

KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")


def from_secret(name: str, secret: str, key: str | None = None) -> dict[str, object]:
    return {"name": name, "valueFrom": {"secretKeyRef": {"name": secret, "key": key or name}}}


def test_names_and_values_are_kept() -> None:
    found = environment(one(env=[*env(MODEL_NAME="payment-model", EMPTY=""), {"name": "NONE"}]))
    assert found == ({"MODEL_NAME": "payment-model", "EMPTY": "", "NONE": ""}, None, ())


def test_references_in_a_value_are_resolved() -> None:
    found = environment(one(env=env(ROOT="/m", PATH_="$(ROOT)/x", PRICE="5$$", LATE="$(NEVER)")))
    assert found.plain == {"ROOT": "/m", "PATH_": "/m/x", "PRICE": "5$"}
    assert [each.what for each in found.omitted] == ["env LATE"]


@pytest.mark.parametrize(
    ("variable", "why"),
    [
        ({"name": "PORT", "value": "1"}, "Knative sets it"),
        ({"name": "TS_CONFIG_FILE", "value": "/c.properties"}, "its file does not exist in the pods"),
        ({"name": "SCALEZERO_LOAD", "value": "lazy"}, "it is a setting of the runtime"),
        ({"name": "AWS_SESSION_TOKEN", "value": "x"}, "it expires within hours"),
        ({"name": "AWS_ACCESS_KEY_ID", "value": "x"}, "both keys must come from one Secret"),
        (from_secret("TOKEN", "s"), "valueFrom is converted only for the registry's keys"),
        ({"name": "A/B", "value": "x"}, "func.yaml allows only letters"),
        ({"name": "A", "value": "{{ x }}"}, "its value starts with {{"),
    ],
)
def test_omitted_variables_are_reported_with_the_reason(variable: dict[str, object], why: str) -> None:
    found = environment(one(env=[variable]))
    assert found.plain == {}
    (left,) = found.omitted
    assert left.what == f"env {variable['name']}"
    assert left.why.startswith(why)


def test_the_registrys_keys_stay_in_their_secret() -> None:
    found = environment(one(env=[from_secret(each, "minio") for each in KEYS]))
    assert found == ({}, "minio", ())


@pytest.mark.parametrize(
    "variables",
    [
        [from_secret(KEYS[0], "a"), from_secret(KEYS[1], "b")],
        [from_secret(KEYS[0], "a"), from_secret(KEYS[1], "a", "other")],
        [from_secret(KEYS[0], "a")],
        [{"name": KEYS[0], "valueFrom": {"configMapKeyRef": {"name": "a", "key": "b"}}}],
    ],
)
def test_keys_that_are_not_both_from_one_secret_are_reported(variables: list[dict[str, object]]) -> None:
    found = environment(one(env=variables))
    assert found.secret is None
    assert len(found.omitted) == len(variables)


def test_env_from_is_reported() -> None:
    sources = [{"secretRef": {"name": "a"}}, {"configMapRef": {"name": "b"}}, {"prefix": "X"}]
    found = environment(one(envFrom=sources))
    assert [each.what for each in found.omitted] == ["envFrom Secret a", "envFrom ConfigMap b", "envFrom ConfigMap ?"]
