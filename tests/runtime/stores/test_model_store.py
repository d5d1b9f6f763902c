"""Which models of the store are served, and that no link leads out of it."""

import json
from pathlib import Path
from zipfile import ZipFile

import pytest

from runtime.errors import BadSetting, UrlNotRegistrable
from runtime.protocols.torchserve.registering import Allowed, allowed
from runtime.settings import Settings
from runtime.stores.model_store import Load, models, resolved, starts, wanted
from tests.s3_server import S3Server


@pytest.fixture
def store(tmp_path: Path) -> Allowed:
    """A store with one model, beside a folder with a secret."""
    for name in ("store", "store-of-others", "more"):
        (tmp_path / name).mkdir()
    (tmp_path / "store" / "m.mar").touch()
    (tmp_path / "store-of-others" / "secret.mar").touch()
    (tmp_path / "more" / "n.onnx").touch()
    return allowed(str(tmp_path / "store"), [f"file://{tmp_path}/more/"])


def reason(url: str, store: Allowed) -> object:
    with pytest.raises(UrlNotRegistrable) as raised:
        resolved(url, store)
    return raised.value.details["reason"]


def test_a_file_of_the_store_is_found(store: Allowed, tmp_path: Path) -> None:
    assert resolved("m.mar", store) == str(tmp_path / "store" / "m.mar")
    assert resolved(f"file://{tmp_path}/more/n.onnx", store) == str(tmp_path / "more" / "n.onnx")
    assert reason("z.mar", store) == "not found"


def test_a_link_within_the_store_is_followed(store: Allowed, tmp_path: Path) -> None:
    """A mounted ConfigMap or Secret is made of such links."""
    (tmp_path / "store" / "data").mkdir()
    (tmp_path / "store" / "data" / "real.mar").touch()
    (tmp_path / "store" / "linked.mar").symlink_to("data/real.mar")
    assert resolved("linked.mar", store) == str(tmp_path / "store" / "data" / "real.mar")


def test_a_store_may_itself_be_a_link(store: Allowed, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("store")
    assert resolved("m.mar", allowed(str(tmp_path / "link"), [])) == str(tmp_path / "store" / "m.mar")


@pytest.mark.parametrize(
    "target", ["../store-of-others/secret.mar", "../store-of-others", "/etc/passwd", "out.mar", ".", ".."]
)
def test_a_link_that_leads_out_is_refused(store: Allowed, tmp_path: Path, target: str) -> None:
    (tmp_path / "store" / "out.mar").symlink_to(target)
    assert reason("out.mar", store) == "not found"


def test_a_folder_that_is_a_link_out_of_a_prefix_is_refused(store: Allowed, tmp_path: Path) -> None:
    (tmp_path / "more" / "sub").symlink_to(tmp_path / "store-of-others")
    assert reason(f"file://{tmp_path}/more/sub/secret.mar", store) == "not found"


def test_a_place_in_s3_is_left_to_its_client() -> None:
    assert resolved("m.mar", allowed("s3://store/a/", [])) == "s3://store/a/m.mar"


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
def test_which_models_are_served_from_the_start(text: str, loads: list[Load]) -> None:
    assert wanted(text, FILES) == loads


@pytest.mark.parametrize("text", ["z.mar", "x=z", "notes.txt", ".hidden.mar", "../a.mar", "all,a.mar"])
def test_a_model_that_the_store_does_not_hold_stops_the_start(text: str) -> None:
    with pytest.raises(BadSetting, match=r"^LOAD_MODELS=.*which holds a\.mar, b\.onnx, c\.ort$"):
        wanted(text, FILES)


def test_a_store_with_too_many_models_needs_their_names() -> None:
    with pytest.raises(BadSetting, match=r"^LOAD_MODELS='all': expected names"):
        wanted("all", [f"{number}.mar" for number in range(1001)])


def test_the_models_of_a_folder_are_listed_by_name(store: Allowed, tmp_path: Path) -> None:
    for name in ("a.onnx", "c.tar.gz", "notes.txt", ".hidden.mar"):
        (tmp_path / "store" / name).touch()
    (tmp_path / "store" / "folder.mar").mkdir()
    (tmp_path / "store" / "unpacked" / "MAR-INF").mkdir(parents=True)
    (tmp_path / "store" / "unpacked" / "MAR-INF" / "MANIFEST.json").write_text("{}")
    assert models(store, Settings()) == ["a.onnx", "c.tar.gz", "m.mar", "unpacked"]
    with pytest.raises(BadSetting, match=r"^MODEL_STORE=.*No such file or directory"):
        models(allowed(str(tmp_path / "none"), []), Settings())


def archived(path: Path, name: str, version: str) -> None:
    """An archive of an empty model."""
    manifest = {"model": {"modelName": name, "modelVersion": version, "serializedFile": "m.onnx"}}
    with ZipFile(path, "w") as archive:
        archive.writestr("MAR-INF/MANIFEST.json", json.dumps(manifest))
        archive.writestr("m.onnx", b"")


def test_an_archive_tells_its_name_and_its_version(tmp_path: Path) -> None:
    archived(tmp_path / "one.mar", "m", "1.0")
    archived(tmp_path / "two.mar", "m", "2.0")
    archived(tmp_path / "three.mar", "../x", "no version")
    (tmp_path / "torn.mar").write_bytes(b"PK")
    found = starts(Settings(model_store=str(tmp_path)))
    assert [(each.model_name, each.model_version) for each in found] == [
        ("m", "1.0"),
        ("three", None),
        ("torn", None),
        ("m", "2.0"),
    ]


def test_models_that_cannot_be_told_apart_stop_the_start(tmp_path: Path) -> None:
    archived(tmp_path / "one.mar", "m", "1.0")
    archived(tmp_path / "two.mar", "m", "1.0")
    (tmp_path / "n.onnx").touch()
    for text in ("all", "one.mar,m=n.onnx", "m=n.onnx,one.mar"):
        with pytest.raises(BadSetting, match=r"^LOAD_MODELS=.* two are called 'm'$"):
            starts(Settings(model_store=str(tmp_path), load_models=text))
    assert starts(Settings(model_store=str(tmp_path), load_models="one.mar,n.onnx"))


def test_each_model_has_settings_of_its_own(store: Allowed, tmp_path: Path) -> None:
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
    first, second = starts(settings)
    assert (first.model_name, first.model_uri) == ("a", str(tmp_path / "store" / "a.onnx"))
    assert (first.batch_size, first.max_wait) == (3, settings.max_wait)
    assert second.model_name == "other"
    assert (second.batch_size, second.max_wait, second.run_timeout, second.load_timeout) == (8, 0.05, 20.0, 30.0)


def test_a_model_that_may_not_be_registered_is_not_served_from_the_start_either(tmp_path: Path) -> None:
    settings = Settings(model_store=str(tmp_path), load_models="m=http://example.com/m.mar")
    with pytest.raises(BadSetting, match=r"^LOAD_MODELS='http://example\.com/m\.mar'"):
        starts(settings)


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
def test_batching_that_cannot_be_read_stops_the_start(text: str, tmp_path: Path) -> None:
    with pytest.raises(BadSetting, match=r"^TS_MODELS="):
        starts(Settings(model_store=str(tmp_path), store_batching=text))


def test_a_store_without_a_model_is_one_to_register_from(tmp_path: Path) -> None:
    with pytest.raises(
        BadSetting, match=r"^LOAD_MODELS='all': expected \.mar, \.tar\.gz, \.tgz, \.onnx, \.ort files in "
    ):
        starts(Settings(model_store=str(tmp_path)))
    assert starts(Settings(model_store=str(tmp_path), model_api=True)) == []
    nothing = Settings(model_store=str(tmp_path / "none"), load_models="none", model_api=True)
    assert starts(nothing) == []


def test_the_models_of_a_prefix_in_s3_are_listed(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in s3.environment().items():
        monkeypatch.setenv(name, value)
    s3.make_bucket("model-store")
    for key in ("models/b.mar", "models/a.onnx", "models/notes.txt", "models/deep/c.mar", "models-b/d.mar"):
        s3.put(f"s3://model-store/{key}", b"x")
    settings = Settings(model_store="s3://model-store/models/")
    assert [(each.model_name, each.model_uri) for each in starts(settings)] == [
        ("a", "s3://model-store/models/a.onnx"),
        ("b", "s3://model-store/models/b.mar"),
    ]
    with pytest.raises(BadSetting, match=r"^MODEL_STORE='s3://model-store': expected s3://bucket/prefix/"):
        starts(Settings(model_store="s3://model-store"))
