"""TorchServe's model store: which models are served, and that no link can leave the store."""

import json
from pathlib import Path
from zipfile import ZipFile

import pytest

from runtime.errors import BadSetting, UrlNotRegistrable
from runtime.protocols.torchserve.registering import Allowed, allowed
from runtime.settings import Settings
from runtime.stores.model_store import Load, list_models, parse_load_models, resolve, startup_settings
from tests.s3_server import S3Server


@pytest.fixture
def store(tmp_path: Path) -> Allowed:
    """A store with one model, next to a folder whose files must not be served."""
    for name in ("store", "store-of-others", "more"):
        (tmp_path / name).mkdir()
    (tmp_path / "store" / "m.mar").touch()
    (tmp_path / "store-of-others" / "secret.mar").touch()
    (tmp_path / "more" / "n.onnx").touch()
    return allowed(str(tmp_path / "store"), [f"file://{tmp_path}/more/"])


def refusal(url: str, store: Allowed) -> object:
    with pytest.raises(UrlNotRegistrable) as raised:
        resolve(url, store)
    return raised.value.details["reason"]


def test_a_file_in_the_store_is_resolved(store: Allowed, tmp_path: Path) -> None:
    assert resolve("m.mar", store) == str(tmp_path / "store" / "m.mar")
    assert resolve(f"file://{tmp_path}/more/n.onnx", store) == str(tmp_path / "more" / "n.onnx")
    assert refusal("z.mar", store) == "not found"


def test_a_link_within_the_store_is_followed(store: Allowed, tmp_path: Path) -> None:
    """A mounted ConfigMap or Secret consists of such links."""
    (tmp_path / "store" / "data").mkdir()
    (tmp_path / "store" / "data" / "real.mar").touch()
    (tmp_path / "store" / "linked.mar").symlink_to("data/real.mar")
    assert resolve("linked.mar", store) == str(tmp_path / "store" / "data" / "real.mar")


def test_the_store_can_be_a_link(store: Allowed, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("store")
    assert resolve("m.mar", allowed(str(tmp_path / "link"), [])) == str(tmp_path / "store" / "m.mar")


@pytest.mark.parametrize(
    "target", ["../store-of-others/secret.mar", "../store-of-others", "/etc/passwd", "out.mar", ".", ".."]
)
def test_a_link_out_of_the_store_is_refused(store: Allowed, tmp_path: Path, target: str) -> None:
    (tmp_path / "store" / "out.mar").symlink_to(target)
    assert refusal("out.mar", store) == "not found"


def test_a_linked_folder_outside_a_prefix_is_refused(store: Allowed, tmp_path: Path) -> None:
    (tmp_path / "more" / "sub").symlink_to(tmp_path / "store-of-others")
    assert refusal(f"file://{tmp_path}/more/sub/secret.mar", store) == "not found"


def test_a_uri_in_s3_is_not_looked_up() -> None:
    assert resolve("m.mar", allowed("s3://store/a/", [])) == "s3://store/a/m.mar"


FILES = ["a.mar", "b.onnx", "c.ort"]


@pytest.mark.parametrize(
    ("text", "loads"),
    [
        ("all", [Load("a.mar"), Load("b.onnx"), Load("c.ort")]),
        (" ALL ", [Load("a.mar"), Load("b.onnx"), Load("c.ort")]),
        ("a.mar", [Load("a.mar")]),
        ("a,b", [Load("a.mar"), Load("b.onnx")]),
        ("x=a.mar, y = b.onnx", [Load("a.mar", "x"), Load("b.onnx", "y")]),
        ("x=a.mar y=b", [Load("a.mar", "x"), Load("b.onnx", "y")]),
        ("z=s3://models/z.mar", [Load("s3://models/z.mar", "z")]),
    ],
)
def test_load_models_selects_the_models_to_serve(text: str, loads: list[Load]) -> None:
    assert parse_load_models(text, FILES) == loads


@pytest.mark.parametrize("text", ["z.mar", "x=z", "notes.txt", ".hidden.mar", "../a.mar", "all,a.mar"])
def test_a_model_that_is_not_in_the_store_is_refused(text: str) -> None:
    with pytest.raises(BadSetting, match=r"^LOAD_MODELS=.*found a\.mar, b\.onnx, c\.ort$"):
        parse_load_models(text, FILES)


def test_all_is_refused_if_the_store_has_too_many_models() -> None:
    with pytest.raises(
        BadSetting,
        match=r"^LOAD_MODELS='all': expected names of models, because all loads at most 1000 and the store has 1001$",
    ):
        parse_load_models("all", [f"{number}.mar" for number in range(1001)])


def test_the_models_of_a_folder_are_listed_in_order(store: Allowed, tmp_path: Path) -> None:
    for name in ("a.onnx", "c.tar.gz", "notes.txt", ".hidden.mar"):
        (tmp_path / "store" / name).touch()
    (tmp_path / "store" / "folder.mar").mkdir()
    (tmp_path / "store" / "unpacked" / "MAR-INF").mkdir(parents=True)
    (tmp_path / "store" / "unpacked" / "MAR-INF" / "MANIFEST.json").write_text("{}")
    assert list_models(store, Settings()) == ["a.onnx", "c.tar.gz", "m.mar", "unpacked"]
    with pytest.raises(BadSetting, match=r"^MODEL_STORE=.*No such file or directory"):
        list_models(allowed(str(tmp_path / "none"), []), Settings())


def write_archive(path: Path, name: str, version: str) -> None:
    """Write an archive with an empty model."""
    manifest = {"model": {"modelName": name, "modelVersion": version, "serializedFile": "m.onnx"}}
    with ZipFile(path, "w") as archive:
        archive.writestr("MAR-INF/MANIFEST.json", json.dumps(manifest))
        archive.writestr("m.onnx", b"")


def test_name_and_version_come_from_the_archive(tmp_path: Path) -> None:
    write_archive(tmp_path / "one.mar", "m", "1.0")
    write_archive(tmp_path / "two.mar", "m", "2.0")
    write_archive(tmp_path / "three.mar", "../x", "no version")
    (tmp_path / "torn.mar").write_bytes(b"PK")
    found = startup_settings(Settings(model_store=str(tmp_path)))
    assert [(each.model_name, each.model_version) for each in found] == [
        ("m", "1.0"),
        ("three", None),
        ("torn", None),
        ("m", "2.0"),
    ]


def test_models_with_the_same_name_need_distinct_versions(tmp_path: Path) -> None:
    write_archive(tmp_path / "one.mar", "m", "1.0")
    write_archive(tmp_path / "two.mar", "m", "1.0")
    (tmp_path / "n.onnx").touch()
    for text in ("all", "one.mar,m=n.onnx", "m=n.onnx,one.mar"):
        with pytest.raises(BadSetting, match=r"^LOAD_MODELS=.* found two models named 'm'$"):
            startup_settings(Settings(model_store=str(tmp_path), load_models=text))
    assert startup_settings(Settings(model_store=str(tmp_path), load_models="one.mar,n.onnx"))


def test_each_model_has_its_own_settings(store: Allowed, tmp_path: Path) -> None:
    (tmp_path / "store" / "a.onnx").touch()
    settings = Settings(
        model_store=str(tmp_path / "store"),
        batch_size=3,
        store_batching=(
            '{"other": {"1.0": {"batchSize": 8, "maxBatchDelay": 50, "responseTimeout": 20, "startupTimeout": 30}},'
            ' "a": {}}'
        ),
        load_models="a, other=m.mar",
    )
    first, second = startup_settings(settings)
    assert (first.model_name, first.model_uri) == ("a", str(tmp_path / "store" / "a.onnx"))
    assert (first.batch_size, first.max_wait) == (3, settings.max_wait)
    assert second.model_name == "other"
    assert (second.batch_size, second.max_wait, second.run_timeout, second.load_timeout) == (8, 0.05, 20.0, 30.0)


def test_a_model_that_may_not_be_registered_is_not_served_from_the_start(tmp_path: Path) -> None:
    settings = Settings(model_store=str(tmp_path), load_models="m=http://example.com/m.mar")
    with pytest.raises(BadSetting, match=r"^LOAD_MODELS='http://example\.com/m\.mar'"):
        startup_settings(settings)


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"m": 1}',
        '{"m": {"1.0": {"batchSize": 0}}}',
        '{"m": {"1.0": {"batchSize": "8"}}}',
        '{"m": {"1": 2}}',
    ],
)
def test_invalid_batching_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(BadSetting, match=r"^TS_MODELS="):
        startup_settings(Settings(model_store=str(tmp_path), store_batching=text))


def test_an_empty_store_needs_the_management_api(tmp_path: Path) -> None:
    with pytest.raises(
        BadSetting, match=r"^LOAD_MODELS='all': expected \.mar, \.tar\.gz, \.tgz, \.onnx, \.ort files in "
    ):
        startup_settings(Settings(model_store=str(tmp_path)))
    assert startup_settings(Settings(model_store=str(tmp_path), model_api=True)) == []
    nothing = Settings(model_store=str(tmp_path / "none"), load_models="none", model_api=True)
    assert startup_settings(nothing) == []


def test_the_models_of_a_prefix_in_s3_are_listed(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in s3.environment().items():
        monkeypatch.setenv(name, value)
    s3.make_bucket("model-store")
    for key in ("models/b.mar", "models/a.onnx", "models/notes.txt", "models/deep/c.mar", "models-b/d.mar"):
        s3.put(f"s3://model-store/{key}", b"x")
    settings = Settings(model_store="s3://model-store/models/")
    assert [(each.model_name, each.model_uri) for each in startup_settings(settings)] == [
        ("a", "s3://model-store/models/a.onnx"),
        ("b", "s3://model-store/models/b.mar"),
    ]
    with pytest.raises(BadSetting, match=r"^MODEL_STORE='s3://model-store': expected s3://bucket/prefix/"):
        startup_settings(Settings(model_store="s3://model-store"))
