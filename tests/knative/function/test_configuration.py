"""The options of a deployment: flags override func.yaml, func.yaml overrides the defaults; errors have their place."""

import re
from pathlib import Path

import pytest

from knative.function.configuration import (
    Flags,
    deployment_options,
    func_yaml_of,
    func_yaml_of_folder,
    handler_for,
    in_image,
)
from knative.manifests import ClusterVariable, Compute, DeploymentOptions, RegistryAccess, Subscription, Volume
from knative.resources import BadManifest
from knative.resources.func_yaml import parse_function
from runtime.errors import BadSetting
from runtime.settings import Settings
from tests import ROOT

TEXT = (ROOT / "func.yaml").read_text("utf-8")
LEAST = "specVersion: 0.36.0\nname: payment-model\ncreated: 2026-11-23T00:00:00Z\nimage: dev.local/scalezero:0.1\n"
CACHE = Path("/var/cache/scalezero")
NO_FLAGS = Flags()


def options(text: str, *, flags: Flags = NO_FLAGS, handler: Path | None = None, **environ: str) -> DeploymentOptions:
    return deployment_options(parse_function(text, file="func.yaml"), environ=environ, flags=flags, handler=handler)


def with_envs(*envs: tuple[str, str]) -> str:
    lines = (f'    - name: {name}\n      value: "{value}"\n' for name, value in envs)
    return f"{LEAST}run:\n  envs:\n{''.join(lines)}"


def with_options(text: str) -> str:
    return f"{LEAST}deploy:\n  options: {text}\n"


def fault(text: str, **environ: str) -> str:
    with pytest.raises(BadManifest) as caught:
        deployment_options(parse_function(text, file="func.yaml"), environ=environ, flags=NO_FLAGS)
    return str(caught.value)


def test_the_shipped_file_has_all_options_of_a_deployment() -> None:
    result = options(TEXT)
    assert result.image == "dev.local/scalezero:0.1.0"
    assert (result.min_scale, result.max_scale, result.concurrency, result.cache_size) == (0, 10, 0, "1Gi")
    assert (result.requests, result.limits) == (Compute(cpu="250m", memory="256Mi"), Compute(cpu="1", memory="512Mi"))
    assert result.s3 == RegistryAccess(secret="scalezero-s3", region="us-east-1")  # noqa: S106 - its name
    assert result.runtime.function_source == Path("functions/payment_model/main.py")
    assert result.environment == {}


VOLUMES = """run:
  volumes:
    - {secret: keys, path: /etc/./keys/}
    - {configMap: labels, path: /etc/labels}
    - {emptyDir: {sizeLimit: 1Gi, medium: Memory}, path: /data}
    - {emptyDir: {sizeLimit: 2Gi}, path: /var/cache/scalezero/}
    - {persistentVolumeClaim: {claimName: c}, path: /claim}
"""


def test_volumes_are_those_beside_the_cache_by_path() -> None:
    result = options(LEAST + VOLUMES)
    assert result.cache_size == "2Gi"
    assert result.volumes == (
        Volume("/data", "emptyDir", size_limit="1Gi", medium="Memory"),
        Volume("/etc/keys", "secret", "keys"),
        Volume("/etc/labels", "configMap", "labels"),
    )


@pytest.mark.parametrize("path", ["/tmp", "/var/./log", "/etc/labels/x/.."])  # noqa: S108 - paths of a pod
def test_a_volume_that_the_cluster_would_refuse_is_an_error_at_its_field(path: str) -> None:
    text = f"{LEAST}{VOLUMES}    - {{configMap: more, path: {path}}}\n"
    assert re.search(
        r"func\.yaml:\d+: run\.volumes: got .*; expected each path once, and none of /, /dev,", fault(text)
    )


def test_options_that_are_not_set_have_their_defaults() -> None:
    assert options(LEAST) == DeploymentOptions(image="dev.local/scalezero:0.1", function="payment-model")


def test_the_subscriptions_are_those_of_the_function_and_their_source_is_a_broker() -> None:
    result = options(
        f"{LEAST}deploy:\n  subscriptions: [{{source: orders, filters: {{type: a}}}}, {{source: default}}]\n"
    )
    assert result.subscriptions == (Subscription("orders", {"type": "a"}), Subscription("default", {}))
    assert result.subscriptions_of("payment-model") == result.subscriptions
    assert result.subscriptions_of("other") == ()


@pytest.mark.parametrize(
    ("subscription", "expected"),
    [
        ("{source: Default}", 'deploy.subscriptions[0].source: got "Default"; expected a DNS-1123 label'),
        (
            "{source: a, filters: {Type: a}}",
            'deploy.subscriptions[0].filters.Type: got "Type"; expected the name of an',
        ),
    ],
)
def test_a_subscription_that_knative_would_refuse_is_refused_with_its_place(subscription: str, expected: str) -> None:
    assert expected in fault(f"{LEAST}deploy:\n  subscriptions: [{subscription}]\n")


def test_flags_override_func_yaml() -> None:
    flags = Flags(image="a:1", namespace="team", service_account="reader", s3_secret="keys", s3_endpoint="http://s3:1")  # noqa: S106 - its name
    text = f"{TEXT}\nnamespace: other\n".replace("deploy:", "deploy:\n  serviceAccountName: writer")
    result = options(text, flags=flags)
    assert (result.image, result.namespace, result.service_account) == ("a:1", "team", "reader")
    assert result.s3 == RegistryAccess(secret="keys", endpoint_url="http://s3:1", region="us-east-1")  # noqa: S106 - its name


def test_the_namespace_of_func_yaml_overrides_the_default() -> None:
    written = parse_function(LEAST, file="func.yaml")
    assert deployment_options(written, environ={}, flags=NO_FLAGS, namespace="here").namespace == "here"
    assert options(f"{LEAST}namespace: there\n").namespace == "there"


def test_without_a_func_yaml_only_flags_set_options() -> None:
    assert deployment_options(None, environ={}, flags=Flags(image="a:1")) == DeploymentOptions(image="a:1")
    assert deployment_options(None, environ={}, flags=NO_FLAGS) == DeploymentOptions()


@pytest.mark.parametrize(
    ("text", "requests", "limits"),
    [
        ("{resources: {limits: {memory: 128Mi}}}", ("250m", "128Mi"), ("1", "128Mi")),
        ("{resources: {limits: {cpu: 100m}}}", ("100m", "256Mi"), ("100m", "512Mi")),
        ("{resources: {requests: {cpu: 1500m}}}", ("1500m", "256Mi"), ("1500m", "512Mi")),
        ("{resources: {requests: {memory: 64Mi}}}", ("250m", "64Mi"), ("1", "512Mi")),
    ],
)
def test_the_default_of_a_request_or_limit_adapts_to_the_other(
    text: str, requests: tuple[str, str], limits: tuple[str, str]
) -> None:
    result = options(with_options(text))
    assert (result.requests.cpu, result.requests.memory) == requests
    assert (result.limits.cpu, result.limits.memory) == limits


def test_variables_are_grouped_by_purpose() -> None:
    result = options(
        with_envs(
            ("SCALEZERO_QUEUE_SIZE", "99"),
            ("FUNCTION_TARGET", "other"),
            ("TEAM", "{{ env:USER_TEAM }}"),
            ("AWS_ENDPOINT_URL", "http://s3:8333"),
            ("AWS_REGION", "{{ secret:keys:AWS_REGION }}"),
            ("AWS_SECRET_ACCESS_KEY", "{{ secret:keys:AWS_SECRET_ACCESS_KEY }}"),
        ),
        USER_TEAM="risk",
    )
    assert result.runtime == Settings(cache_dir=CACHE, queue_size=99, function_target="other")
    assert result.environment == {"TEAM": "risk"}
    assert result.s3 == RegistryAccess(secret="keys", endpoint_url="http://s3:8333")  # noqa: S106 - its name


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("SCALEZERO_BATCH_SIZE", "0", 'value: got "0"; expected a whole number from 1 to 4096'),
        (
            "SCALEZERO_BATCHSIZE",
            "1",
            'value: got "1"; expected one of the settings in docs/settings.md, perhaps SCALEZERO_BA',
        ),
        (
            "SCALEZERO_BATCH_SIZE",
            "{{ secret:a:b }}",
            'value: got "{{ secret:a:b }}"; expected a string or "{{ env:NAME }}"',
        ),
        (
            "SCALEZERO_BATCH_SIZE",
            "{{ configMap:a:b }}",
            'value: got "{{ configMap:a:b }}"; expected a string or "{{ env:NAME }}", because the manifests depend',
        ),
        (
            "TEAM",
            "{{ env:NOT_SET }}",
            'value: got "{{ env:NOT_SET }}"; expected a variable of the environment of this command; NOT_SET is',
        ),
        ("PORT", "80", 'name: got "PORT"; expected a variable that Knative does not set'),
        (
            "AWS_REGION",
            "{{ secret:a:b }}",
            'value: got "{{ secret:a:b }}"; expected "{{ secret:NAME:AWS_REGION }}" or a',
        ),
        ("AWS_SESSION_TOKEN", "hush", 'value: got a plain value; expected "{{ secret:NAME:AWS_SESSION_TOKEN }}"'),
        (
            "AWS_ACCESS_KEY_ID",
            "{{ configMap:a:AWS_ACCESS_KEY_ID }}",
            'value: got "{{ configMap:a:AWS_ACCESS_KEY_ID }}"; ',
        ),
    ],
)
def test_the_error_for_an_invalid_variable_has_its_place(name: str, value: str, expected: str) -> None:
    line = 7 if expected.startswith("name") else 8
    assert fault(with_envs((name, value))).startswith(f"func.yaml:{line}: run.envs[0].{expected}")


def test_an_error_never_contains_a_credential() -> None:
    assert "hush" not in fault(with_envs(("AWS_SECRET_ACCESS_KEY", "hush")))
    assert "hush" not in fault(with_envs(("AWS_SECRET_ACCESS_KEY", "{{ env:KEY }}")), KEY="hush")


def test_all_keys_come_from_one_secret() -> None:
    message = fault(
        with_envs(
            ("AWS_ACCESS_KEY_ID", "{{ secret:one:AWS_ACCESS_KEY_ID }}"),
            ("AWS_SECRET_ACCESS_KEY", "{{ secret:two:AWS_SECRET_ACCESS_KEY }}"),
        )
    )
    assert message.endswith('expected "{{ secret:one:AWS_SECRET_ACCESS_KEY }}"')


def test_variables_from_secrets_and_configmaps_are_references_in_the_cluster() -> None:
    whole = '    - value: "{{ secret:all }}"\n    - value: "{{ configMap:more }}"\n'
    envs = with_envs(
        ("TEAM", "{{ configMap:teams:payments }}"), ("SCALEZERO_MANAGEMENT_KEY", "{{ secret:keys:management }}")
    )
    assert options(envs + whole).cluster_environment == (
        ClusterVariable("TEAM", "configMap", "teams", "payments"),
        ClusterVariable("SCALEZERO_MANAGEMENT_KEY", "secret", "keys", "management"),
        ClusterVariable(None, "secret", "all"),
        ClusterVariable(None, "configMap", "more"),
    )


def test_scale_options_are_kept() -> None:
    result = options(with_options("{scale: {metric: rps, target: 120.5, utilization: 50}}"))
    assert (result.metric, result.target, result.utilization) == ("rps", 120.5, 50)
    assert (options(LEAST).metric, options(LEAST).target, options(LEAST).utilization) == ("concurrency", None, None)


def test_labels_and_annotations_are_kept_and_environment_references_are_resolved() -> None:
    text = f"{LEAST}deploy:\n  labels:\n    - {{key: team, value: '{{{{ env:TEAM }}}}'}}\n    - {{key: empty}}\n"
    result = options(f"{text}  annotations: {{example.com/owner: me}}\n", TEAM="risk")
    assert result.labels == {"team": "risk", "empty": ""}
    assert result.annotations == {"example.com/owner": "me"}


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("labels: [{key: app.kubernetes.io/managed-by, value: me}]", "deploy.labels"),
        ('annotations: {autoscaling.knative.dev/min-scale: "1"}', "deploy.annotations"),
    ],
)
def test_the_error_for_a_reserved_label_or_annotation_has_its_place(text: str, at: str) -> None:
    assert f"func.yaml:6: {at}: got" in fault(f"{LEAST}deploy:\n  {text}\n")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (LEAST.replace("dev.local/scalezero:0.1", '"a b"'), "func.yaml:4: image: got"),
        (with_options("{scale: {min: 11}}"), "func.yaml:6: deploy.options.scale: got"),
        (with_options("{resources: {limits: {cpu: 1e3}}}"), "func.yaml:6: deploy.options.resources.limits.cpu: got"),
        (with_options('{resources: {limits: {memory: "0"}}}'), "func.yaml:6: deploy.options.resources.requests: got"),
        (
            with_options('{resources: {requests: {cpu: "2"}, limits: {cpu: "1"}}}'),
            "func.yaml:6: deploy.options.resources: got",
        ),
        (with_envs(("AWS_ENDPOINT_URL", "s3:8333")), 'func.yaml:6: run.envs: got "s3:8333"; expected an address'),
    ],
)
def test_the_error_for_an_invalid_option_has_its_place(text: str, expected: str) -> None:
    assert fault(text).startswith(expected)


def test_the_error_for_an_invalid_flag_names_the_flag() -> None:
    with pytest.raises(BadSetting, match="image='a b'"):
        options(LEAST, flags=Flags(image="a b"))
    with pytest.raises(BadSetting, match="endpoint_url='x'"):
        options(LEAST, flags=Flags(s3_endpoint="x"))


@pytest.mark.parametrize(
    ("text", "handler", "source"),
    [
        (LEAST, Path("functions/a/main.py"), Path("functions/a/main.py")),
        (LEAST, Path("/functions/a/main.py"), None),
        (LEAST, Path("../a/main.py"), None),
        (LEAST, None, None),
        (with_envs(("FUNCTION_SOURCE", "b.py")), Path("functions/a/main.py"), Path("b.py")),
    ],
)
def test_the_handler_is_served_if_its_path_can_be_in_the_image(
    text: str, handler: Path | None, source: Path | None
) -> None:
    assert options(text, handler=handler).runtime.function_source == source


def place(folder: Path, name: str = "payment-model") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "func.yaml").write_text(LEAST.replace("payment-model", name))


def found(folder: Path) -> Path | None:
    written = func_yaml_of_folder(folder, ("payment-model", "other-model"))
    return Path(written.document.file).resolve() if written else None


def test_the_func_yaml_of_the_folder_has_priority(tmp_path: Path) -> None:
    place(tmp_path)
    place(tmp_path / "functions" / "a", "other-model")
    assert found(tmp_path / "functions" / "a") == tmp_path / "functions" / "a" / "func.yaml"


def test_the_closest_parent_func_yaml_applies_if_it_has_the_name_of_a_model(tmp_path: Path) -> None:
    (tmp_path / "functions" / "a").mkdir(parents=True)
    place(tmp_path)
    assert found(tmp_path / "functions" / "a") == tmp_path / "func.yaml"
    place(tmp_path / "functions", "something-else")
    assert found(tmp_path / "functions" / "a") is None


def test_folders_above_the_repository_are_not_searched(tmp_path: Path) -> None:
    (tmp_path / "repository" / ".git").mkdir(parents=True)
    (tmp_path / "repository" / "a").mkdir()
    place(tmp_path)
    assert found(tmp_path / "repository" / "a") is None
    place(tmp_path / "repository")
    assert found(tmp_path / "repository" / "a") == tmp_path / "repository" / "func.yaml"


def test_the_func_yaml_of_the_folder_must_have_the_name_of_a_model(tmp_path: Path) -> None:
    place(tmp_path, "other-modle")
    with pytest.raises(BadManifest, match=r'name: got "other-modle"; expected one of .*; did you mean other-model\?'):
        func_yaml_of_folder(tmp_path, ("payment-model", "other-model"))


def test_the_func_yaml_of_the_folder_applies_to_a_split_without_models(tmp_path: Path) -> None:
    (tmp_path / "func.yaml").write_text(f"{LEAST}namespace: shop\n")
    written = func_yaml_of_folder(tmp_path, ())
    assert written is not None
    assert deployment_options(written, environ={}, flags=NO_FLAGS).namespace == "shop"
    (tmp_path / "below").mkdir()
    assert func_yaml_of_folder(tmp_path / "below", ()) is None


@pytest.mark.parametrize(
    ("text", "namespace"),
    [("deploy: {namespace: last}\n", "last"), ("namespace: shop\ndeploy: {namespace: last}\n", "shop"), ("", "here")],
)
def test_the_namespace_of_the_last_func_deploy_is_used_if_no_other_is_written(
    tmp_path: Path, text: str, namespace: str
) -> None:
    (tmp_path / "func.yaml").write_text(LEAST + text)
    written = func_yaml_of_folder(tmp_path, ())
    assert deployment_options(written, environ={}, flags=NO_FLAGS, namespace="here").namespace == namespace


def test_a_place_in_the_working_directory_is_a_relative_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    place(Path())
    Path("a").mkdir()
    written = func_yaml_of_folder(Path("a"), ("payment-model",))
    assert written is not None
    assert written.place("name") == "func.yaml:2"


def test_manifests_of_one_command_share_one_func_yaml(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    place(tmp_path / "a")
    place(tmp_path / "b", "other-model")
    models = ("payment-model", "other-model")
    file = tmp_path / "a" / "model.yaml"
    file.touch()
    assert func_yaml_of([tmp_path], models) is None
    shared = func_yaml_of([tmp_path / "a", file], models)
    assert shared is not None
    assert shared.function.name == "payment-model"
    with pytest.raises(BadSetting, match=r"a/func\.yaml and .*b/func\.yaml.*: expected .* one func\.yaml"):
        func_yaml_of([tmp_path / "a", tmp_path / "b"], models)


def test_a_command_has_one_handler(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "main.py").touch()
    assert handler_for([tmp_path]) is None
    assert handler_for([tmp_path / "a", tmp_path]) == tmp_path / "a" / "main.py"
    with pytest.raises(BadSetting, match="one function at a time"):
        handler_for([tmp_path / "a", tmp_path / "b"])


@pytest.mark.parametrize("folder", ["functions/a", "deep/functions/a"])
def test_a_folder_under_functions_is_in_the_image_wherever_the_command_runs(tmp_path: Path, folder: str) -> None:
    assert in_image(tmp_path / folder / "main.py", image_named=False) == Path("functions/a/main.py")


@pytest.mark.parametrize("folder", ["a", "functions/b/a"])
def test_any_other_folder_is_only_in_an_image_that_the_user_names(tmp_path: Path, folder: str) -> None:
    assert in_image(tmp_path / folder / "main.py", image_named=False) is None
    assert in_image(tmp_path / folder / "main.py", image_named=True) == Path("functions/a/main.py")
