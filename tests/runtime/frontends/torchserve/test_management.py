"""TorchServe's management API on the main port, over real sockets."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from tests import models
from tests.archives import manifest, zipped
from tests.runtime.frontends.conftest import Served, managed, serving
from tests.s3_server import S3Server

KEY = "a key from a Secret of the cluster"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with two models, a folder below an allowed prefix, and a folder that is not allowed."""
    folder = tmp_path_factory.mktemp("stores")
    for name in ("store", "more", "secret"):
        (folder / name).mkdir()
    models.doubling(folder / "store" / "m.onnx")
    models.doubling(folder / "store" / "n.onnx", width=3)
    models.doubling(folder / "more" / "o.onnx")
    models.doubling(folder / "secret" / "s.onnx")
    (folder / "store" / "broken.onnx").write_bytes(b"no model")
    (folder / "store" / "link.onnx").symlink_to(folder / "secret" / "s.onnx")
    return folder


@pytest.fixture(scope="module")
def served(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("served")
    settings = {
        "MODEL_STORE": str(store / "store"),
        "LOAD_MODELS": "m.onnx",
        "SCALEZERO_REGISTER_FROM": f"file://{store}/more/",
        "SCALEZERO_KEY_FILE": str(folder / "key_file.json"),
        "SCALEZERO_MANAGEMENT_KEY": KEY,
    }
    with serving(folder, env=settings, SCALEZERO_MODEL_API="true") as served:
        yield served


def ask(served: Served, method: str, path: str, *, key: str | None = KEY, **options: Any) -> httpx.Response:  # noqa: ANN401 - httpx's own
    headers = {"authorization": f"Bearer {key}"} if key else {}
    with served.client(headers=headers) as client:
        return client.request(method, path, **options)


def refused(answer: httpx.Response, status: int, kind: str) -> str:
    """Check the form of an error response, and return its message."""
    document = answer.json()
    assert (answer.status_code, document["code"], document["type"]) == (status, status, kind), answer.text
    assert answer.headers["pragma"] == "no-cache"
    text: str = document["message"]
    return text


def test_a_model_is_registered_described_used_and_unregistered(served: Served) -> None:
    path = "/models?url=n.onnx&initial_workers=1&synchronous=true&batch_size=4&max_batch_delay=20"
    answer = ask(served, "POST", path)
    assert answer.status_code == 200
    assert answer.text == '{\n  "status": "Model \\"n\\" Version: 1 registered with 1 initial workers"\n}'
    assert served.predict([[1, 2, 3]], model="n").json()["outputs"] == [[2, 4, 6]]
    [description] = ask(served, "GET", "/models/n").json()
    assert (description["modelName"], description["modelVersion"], description["modelUrl"]) == ("n", "1", "n.onnx")
    assert (description["batchSize"], description["maxBatchDelay"]) == (4, 20)
    assert description["loadedAtStartup"] is False
    assert description["workers"][0]["pid"] == served.process.pid
    assert [each["modelName"] for each in ask(served, "GET", "/models").json()["models"]] == ["m", "n"]
    answer = ask(served, "DELETE", "/models/n")
    assert (answer.status_code, answer.json()) == (200, {"status": 'Model "n" unregistered'})
    assert served.predict([[1, 2, 3]], model="n").status_code == 404
    assert refused(ask(served, "GET", "/models/n"), 404, "ModelNotFoundException") == "Model not found: n"


def test_a_model_is_registered_by_a_json_body_with_its_own_name(served: Served, store: Path) -> None:
    body = {"url": f"file://{store}/more/o.onnx", "model_name": "mine", "initial_workers": 0}
    answer = ask(served, "POST", "/models", json=body)
    assert answer.json()["status"] == (
        'Model "mine" Version: 1 registered with 0 initial workers. Use scale workers API to add workers for the model.'
    )
    assert served.predict([[1, 2]], model="mine").json()["outputs"] == [[2, 4]]
    assert ask(served, "DELETE", "/models/mine/1").status_code == 200


def test_requests_are_counted_for_the_model_that_they_name(served: Served) -> None:
    before = managed(served)
    assert ask(served, "POST", "/models?url=n.onnx&model_name=counted").status_code == 200
    assert managed(served) - before == {("counted", "1", "ok"): 1}
    assert ask(served, "GET", "/models/counted").status_code == 200
    assert ask(served, "PUT", "/models/counted/1?max_worker=0").status_code == 400
    assert ask(served, "POST", "/models?url=n.onnx&model_name=counted").status_code == 409
    found = {("counted", "1", "ok"): 2, ("counted", "1", "invalid_input"): 1, ("counted", "1", "version_conflict"): 1}
    assert managed(served) - before == found
    assert ask(served, "DELETE", "/models/counted").status_code == 200
    assert managed(served) - before == {("m", "1", "ok"): 1}  # no request finds the other model any more


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("GET", "/models", "ok"),
        ("GET", "/models/m/all", "ok"),
        ("GET", "/models/m", "invalid_key"),
        ("GET", "/models/nobody", "model_not_found"),
        ("OPTIONS", "/models/m", "ok"),
        ("OPTIONS", "/models/m/9", "model_version_not_found"),
        ("GET", "/models/m/9", "model_version_not_found"),
        ("POST", "/models?url=none.onnx", "url_not_registrable"),
        ("GET", "/token", "invalid_key"),
    ],
)
def test_other_requests_are_counted_for_the_default_version(served: Served, method: str, path: str, code: str) -> None:
    before = managed(served)
    ask(served, method, path, key=None if code == "invalid_key" else KEY)
    assert managed(served) - before == {("m", "1", code): 1}


def test_an_asynchronous_registration_is_accepted(served: Served) -> None:
    answer = ask(served, "POST", "/models?url=n.onnx&model_name=later&initial_workers=1&synchronous=false")
    assert (answer.status_code, answer.json()) == (202, {"status": "Processing worker updates..."})
    assert ask(served, "DELETE", "/models/later").status_code == 200


def test_a_version_can_be_registered_only_once(served: Served) -> None:
    answer = ask(served, "POST", "/models?url=n.onnx&model_name=m")
    text = refused(answer, 409, "ConflictStatusException")
    assert text == "Model version 1 is already registered for model m"
    assert served.predict([[1, 2]]).json()["outputs"] == [[2, 4]]


@pytest.mark.parametrize(
    ("url", "status", "kind", "text"),
    [
        ("", 400, "BadRequestException", "Parameter url is required."),
        ("z.onnx", 404, "ModelNotFoundException", "Model not found at: z.onnx"),
        ("link.onnx", 404, "ModelNotFoundException", "Model not found at: link.onnx"),
        ("../secret/s.onnx", 404, "ModelNotFoundException", "Relative path is not allowed in url: ../secret/s.onnx"),
        ("%252e%252e/secret/s.onnx", 404, "ModelNotFoundException", "Relative path is not allowed in url"),
        ("/etc/passwd", 404, "ModelNotFoundException", "Model not found at: /etc/passwd"),
        ("broken.onnx", 400, "InvalidModelException", "broken.onnx"),
        (
            "http://127.0.0.1:1/m.mar",
            404,
            "ModelNotFoundException",
            "Given URL http://127.0.0.1:1/m.mar does not match",
        ),
        ("s3://models/m.mar", 404, "ModelNotFoundException", "Given URL s3://models/m.mar does not match"),
    ],
)
def test_no_url_bypasses_the_allowed_places(served: Served, url: str, status: int, kind: str, text: str) -> None:
    assert text in refused(ask(served, "POST", f"/models?url={url}&model_name=x"), status, kind)
    assert ask(served, "GET", "/models/x").status_code == 404


def test_a_file_outside_of_a_prefix_is_refused(served: Served, store: Path) -> None:
    for url in (f"file://{store}/secret/s.onnx", f"file://{store}/more-of-it/o.onnx", f"file://{store}/more"):
        answer = ask(served, "POST", "/models", json={"url": url})
        assert refused(answer, 404, "ModelNotFoundException").startswith("Given URL file://")


def test_scaling_loads_a_model_and_answers_like_torchserve(served: Served) -> None:
    answer = ask(served, "PUT", "/models/m?min_worker=3&synchronous=true")
    assert (answer.status_code, answer.json()) == (200, {"status": "Workers scaled to 1 for model: m"})
    answer = ask(served, "PUT", "/models/m/1?synchronous=true")
    assert answer.json() == {"status": "Workers scaled to 1 for model: m, version: 1"}
    assert ask(served, "PUT", "/models/m").status_code == 202
    answer = ask(served, "PUT", "/models/m?min_worker=2&max_worker=1")
    assert "max_worker" in refused(answer, 400, "BadRequestException")
    assert "max_worker" in refused(ask(served, "PUT", "/models/m?min_worker=0"), 400, "BadRequestException")
    assert refused(ask(served, "PUT", "/models/z"), 404, "ModelNotFoundException") == "Model not found: z"


def test_the_default_version_is_set_and_kept(served: Served) -> None:
    answer = ask(served, "PUT", "/models/m/1/set-default")
    assert answer.json() == {"status": 'Default version successfully updated for model "m" to "1"'}
    answer = ask(served, "PUT", "/models/m/9/set-default")
    assert refused(answer, 404, "ModelVersionNotFoundException") == "Model version: 9 does not exist for model: m"


def test_other_methods_and_paths_are_refused(served: Served) -> None:
    refused(ask(served, "PATCH", "/models"), 405, "MethodNotAllowedException")
    refused(ask(served, "POST", "/models/m"), 405, "MethodNotAllowedException")
    assert ask(served, "POST", "/models", content=b"{", headers={"content-type": "application/json"}).status_code == 400


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/models"),
        ("POST", "/models?url=n.onnx"),
        ("GET", "/models/m"),
        ("PUT", "/models/m"),
        ("PUT", "/models/m/1/set-default"),
        ("DELETE", "/models/m"),
    ],
)
def test_every_operation_requires_the_key(served: Served, method: str, path: str) -> None:
    for key in (None, "wrong", f"{KEY}x", ""):
        text = refused(ask(served, method, path, key=key), 400, "InvalidKeyException")
        assert text == "Token Authorization failed. Token either incorrect, expired, or not provided correctly"
    assert served.predict([[1, 2]]).status_code == 200


def test_the_key_in_the_file_is_valid_until_it_is_renewed(served: Served) -> None:
    file = served.log.parent / "key_file.json"

    def keys() -> dict[str, Any]:
        found: dict[str, Any] = orjson.loads(file.read_bytes())
        return found

    before = keys()
    assert ask(served, "GET", "/models", key=before["management"]["key"]).status_code == 200
    refused(ask(served, "GET", "/models", key=before["inference"]["key"]), 400, "InvalidKeyException")
    refused(ask(served, "GET", "/token?type=management"), 400, "InvalidKeyException")
    answer = ask(served, "GET", "/token?type=management", key=before["API"]["key"])
    assert (answer.status_code, answer.content) == (200, b"")
    refused(ask(served, "GET", "/models", key=before["management"]["key"]), 400, "InvalidKeyException")
    assert ask(served, "GET", "/models", key=keys()["management"]["key"]).status_code == 200


def test_without_the_setting_management_is_not_served(store: Path, tmp_path: Path) -> None:
    with serving(tmp_path, MODEL_STORE=str(store / "store"), LOAD_MODELS="m", SCALEZERO_MANAGEMENT_KEY=KEY) as served:
        assert ask(served, "GET", "/models").status_code == 404
        assert ask(served, "POST", "/models?url=n.onnx").status_code == 404


def test_without_the_setting_a_named_protocol_describes_but_does_not_register_models(
    store: Path, tmp_path: Path
) -> None:
    settings = {
        "MODEL_STORE": str(store / "store"),
        "LOAD_MODELS": "m",
        "SCALEZERO_PROTOCOLS": "torchserve_management",
        "SCALEZERO_MANAGEMENT_KEY": KEY,
    }
    with serving(tmp_path, env=settings) as served:
        assert not Path("key_file.json").exists()  # the key is in the settings
        assert ask(served, "GET", "/models/m").status_code == 200
        text = refused(ask(served, "POST", "/models?url=n.onnx"), 405, "MethodNotAllowedException")
        assert text == "Model API disabled; set SCALEZERO_MODEL_API=true to enable it"
        refused(ask(served, "DELETE", "/models/m"), 405, "MethodNotAllowedException")
        refused(ask(served, "DELETE", "/models/m", key=None), 400, "InvalidKeyException")


def test_archives_are_registered_from_a_store_and_from_a_prefix_in_s3(tmp_path: Path, s3: S3Server) -> None:
    for bucket in ("ts-store", "ts-team", "ts-team-b"):
        s3.make_bucket(bucket)
    model = models.doubling(tmp_path / "made.onnx").read_bytes()
    for version, uri in (
        ("1.0", "s3://ts-store/models/one.mar"),
        ("2.0", "s3://ts-team/models/two.mar"),
        ("3.0", "s3://ts-team/models-b/three.mar"),
        ("4.0", "s3://ts-team-b/models/four.mar"),
    ):
        path = zipped(
            tmp_path / uri.rpartition("/")[2], {"m.onnx": model}, manifest_text=manifest(name="named", version=version)
        )
        s3.put(uri, path.read_bytes())
    settings = {
        **s3.environment(),
        "MODEL_STORE": "s3://ts-store/models/",
        "LOAD_MODELS": "none",
        "SCALEZERO_REGISTER_FROM": "s3://ts-team/models/",
        "SCALEZERO_MODEL_API": "true",
        "SCALEZERO_KEY_FILE": str(tmp_path / "key_file.json"),
        "SCALEZERO_MANAGEMENT_KEY": KEY,
    }
    with serving(tmp_path, env=settings) as served:
        assert ask(served, "POST", "/models?url=one.mar").json()["status"].startswith('Model "named" Version: 1.0 ')
        for url in (
            "s3://ts-team/models-b/three.mar",
            "s3://ts-team-b/models/four.mar",
            "s3://ts-store/models/one.mar",
        ):
            refused(ask(served, "POST", f"/models?url={url}"), 404, "ModelNotFoundException")
        text = refused(ask(served, "POST", "/models?url=s3://ts-team/models/none.mar"), 404, "ModelNotFoundException")
        assert text == "Model not found at: s3://ts-team/models/none.mar"
        answer = ask(served, "POST", "/models?url=s3://ts-team/models/two.mar")
        assert answer.json()["status"].startswith('Model "named" Version: 2.0 ')

        versions = [each["modelVersion"] for each in ask(served, "GET", "/models/named/all").json()]
        assert versions == ["2.0", "1.0"]
        assert (
            ask(served, "GET", "/models/named").json()[0]["modelVersion"] == "1.0"
        )  # the first version stays the default
        text = refused(ask(served, "DELETE", "/models/named"), 403, "InvalidModelVersionException")
        assert text == "Cannot remove default version for model named"
        assert ask(served, "PUT", "/models/named/2.0/set-default").status_code == 200
        assert ask(served, "DELETE", "/models/named/1.0").status_code == 200
        assert served.predict([[1, 2]], model="named").json()["outputs"] == [[2, 4]]
        refused(ask(served, "GET", "/models/named/1.0"), 404, "ModelVersionNotFoundException")


def test_an_archive_with_only_python_is_refused_and_its_code_does_not_run(served: Served, store: Path) -> None:
    trap = f"open({str(store / 'ran')!r}, 'w')".encode()
    zipped(
        store / "store" / "python.mar", {"model.pt": b"x", "handler.py": trap}, manifest_text=manifest(file="model.pt")
    )
    answer = ask(served, "POST", "/models?url=python.mar&model_name=x&handler=handler.py")
    assert "torch.onnx.export" in refused(answer, 400, "InvalidModelException")
    assert not (store / "ran").exists()


@pytest.mark.parametrize("named", [False, True])
def test_the_function_gets_the_paths_unless_the_protocol_is_named(
    store: Path,
    tmp_path: Path,
    named: bool,  # noqa: FBT001 - a parameter
) -> None:
    (tmp_path / "main.py").write_text("def handle(request):\n    return 'mine'\n")
    settings = {
        "MODEL_STORE": str(store / "store"),
        "LOAD_MODELS": "m",
        "FUNCTION_SOURCE": str(tmp_path / "main.py"),
        "SCALEZERO_MODEL_API": "true",
        "SCALEZERO_MANAGEMENT_KEY": KEY,
        **({"SCALEZERO_PROTOCOLS": "torchserve_management"} if named else {}),
    }
    with serving(tmp_path, env=settings) as served:
        answer = ask(served, "GET", "/models")
        assert answer.json()["models"][0]["modelName"] == "m" if named else answer.text == "mine"
