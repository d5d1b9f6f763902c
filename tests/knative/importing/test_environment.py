"""The container's variables stay the pod's, and what cannot stay is told with the reason."""

import pytest

from knative.importing.environment import environment
from tests.knative.importing.deployments import env, one

KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")


def from_secret(name: str, secret: str, key: str | None = None) -> dict[str, object]:
    return {"name": name, "valueFrom": {"secretKeyRef": {"name": secret, "key": key or name}}}


def test_names_and_values_are_kept() -> None:
    found = environment(one(env=[*env(MODEL_NAME="payment-model", EMPTY=""), {"name": "NONE"}]))
    assert found == ({"MODEL_NAME": "payment-model", "EMPTY": "", "NONE": ""}, None, ())


def test_a_value_is_kept_as_the_process_saw_it() -> None:
    found = environment(one(env=env(ROOT="/m", PATH_="$(ROOT)/x", PRICE="5$$", LATE="$(NEVER)")))
    assert found.plain == {"ROOT": "/m", "PATH_": "/m/x", "PRICE": "5$"}
    assert [each.what for each in found.left] == ["env LATE"]


@pytest.mark.parametrize(
    ("variable", "why"),
    [
        ({"name": "PORT", "value": "1"}, "Knative sets it itself"),
        ({"name": "SCALEZERO_LOAD", "value": "lazy"}, "the runtime reads it"),
        ({"name": "AWS_SESSION_TOKEN", "value": "x"}, "it ends within hours"),
        ({"name": "AWS_ACCESS_KEY_ID", "value": "x"}, "the keys come from one Secret"),
        (from_secret("TOKEN", "s"), "func.yaml takes a value from elsewhere for the registry's keys only"),
        ({"name": "A/B", "value": "x"}, "func.yaml takes letters"),
        ({"name": "A", "value": "{{ x }}"}, "func.yaml would take its value for a form"),
    ],
)
def test_what_cannot_stay_is_told(variable: dict[str, object], why: str) -> None:
    found = environment(one(env=[variable]))
    assert found.plain == {}
    (left,) = found.left
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
def test_keys_that_are_not_two_of_one_secret_are_told(variables: list[dict[str, object]]) -> None:
    found = environment(one(env=variables))
    assert found.secret is None
    assert len(found.left) == len(variables)


def test_variables_by_the_dozen_are_told() -> None:
    sources = [{"secretRef": {"name": "a"}}, {"configMapRef": {"name": "b"}}, {"prefix": "X"}]
    found = environment(one(envFrom=sources))
    assert [each.what for each in found.left] == ["envFrom Secret a", "envFrom ConfigMap b", "envFrom ConfigMap ?"]
