"""The output of a plan as text and as JSON."""

import json

import pytest

from knative.commands.output import answer
from knative.commands.plan import as_data, lines
from knative.deploying.action import Action
from knative.deploying.differences import Difference
from knative.deploying.plan import Plan, plan
from knative.manifests import DeploymentOptions, desired
from knative.objects import Ref
from tests.knative.documents import read, split, version

OPTIONS = DeploymentOptions(image="scalezero:0.1")
STEPS = desired(read(version("m-v1", "m"), split("m-ab", "m-v1", "n-v1")), OPTIONS)


def test_each_action_is_a_line_followed_by_a_line_for_each_field() -> None:
    revision = {
        "metadata": {"labels": {"serving.knative.dev/service": "m"}},
        "spec": {**STEPS[1].manifest["spec"]["template"]["spec"], "timeoutSeconds": 5, "serviceAccountName": None},
    }
    text = list(lines(plan(STEPS[:2], {Ref("Revision", "m-v1"): revision})))
    assert text[0] == "+ serviceaccount/m  create"
    assert text[1].startswith("! revision/m-v1  refuse: ")
    assert "another ModelVersion" in text[1]
    wanted = STEPS[1].manifest["spec"]["template"]["spec"]["timeoutSeconds"]
    assert {f"    spec.timeoutSeconds: 5 -> {wanted}", '    spec.serviceAccountName: "m"'} <= set(text[2:])


def test_a_removed_item_changes_to_nothing() -> None:
    steps = desired(read(version("m-v1", "m"), version("m-v2", "m", number="2")), OPTIONS)
    templates = {each.makes: each.manifest["spec"]["template"] for each in steps if each.makes}
    observed = {
        Ref("Revision", name): {
            **template,
            "metadata": {
                **template["metadata"],
                "labels": {**template["metadata"]["labels"], "serving.knative.dev/service": "m"},
            },
        }
        for name, template in templates.items()
    }
    traffic = [{"revisionName": f"m-v{number}", "percent": percent} for number, percent in ((1, 0), (2, 0), (3, 100))]
    service = {"metadata": {}, "spec": {"template": templates["m-v2"], "traffic": traffic}}
    declared = desired(
        read(version("m-v1", "m"), version("m-v2", "m", number="2"), split("m", "m-v1", "m-v2")), OPTIONS
    )
    result = plan(declared, {**observed, Ref("Service", "m"): service})
    assert '    spec.traffic[m-v3]: {"revisionName": "m-v3", "percent": 100} -> nothing' in lines(result)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ({"revisionName": "m-v2", "percent": 50}, '{"revisionName": "m-v2", "percent": 50}'),
        (["a" * 100], f'["{"a" * 75}...'),
        ("a" * 100, f'"{"a" * 76}...'),
        ({}, "{}"),
    ],
)
def test_a_value_is_shown_as_json_and_shortened_to_a_line(value: object, shown: str) -> None:
    difference = Difference("spec.field", None, value)
    action = Action(verb="change", ref=Ref("Service", "m"), manifest={}, differences=(difference,))
    assert list(lines(Plan((action,))))[1] == f"    spec.field: {shown}"


def test_a_plan_without_changes_is_nothing_to_do() -> None:
    assert list(lines(plan((), {}))) == ["nothing to do"]


def test_a_plan_with_only_a_refusal_is_not_empty() -> None:
    result = plan(STEPS[2:], {})
    assert [line.split()[0] for line in lines(result)] == ["!"]


def test_the_json_output_has_the_same_actions() -> None:
    read_back = json.loads(answer(as_data(plan(STEPS, {})), "json"))
    assert [(each["verb"], each["kind"], each["name"]) for each in read_back] == [
        ("create", "ServiceAccount", "m"),
        ("create", "Revision", "m-v1"),
        ("keep", "Service", "m"),
        ("refuse", "Route", "m-ab"),
    ]
    assert read_back[1]["manifest"]["kind"] == "Service"
