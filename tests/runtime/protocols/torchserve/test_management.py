"""Requests of the management API, and the documents of the answers."""

from contextlib import suppress

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.errors import InvalidInput, PayloadTooLarge
from runtime.protocols.torchserve import management
from runtime.protocols.torchserve.management import Description, Registration, Scaling, Worker

BEFORE = Description(
    model="m",
    version="1.0",
    url="m.mar",
    batch_size=8,
    max_wait=0.1,
    run_timeout=120.0,
    load_timeout=300.0,
    wanted=False,
    at_start=True,
    worker=None,
    queue_left=1000,
    queued=0,
)


def registered(query: bytes) -> Registration:
    return management.registration(management.query(query))


def test_a_registration_is_parsed_from_the_query() -> None:
    query = (
        b"url=m%2Dv1.mar&model_name=m&batch_size=8&max_batch_delay=50&initial_workers=1&synchronous=false"
        b"&response_timeout=10&startup_timeout=20&runtime=PYTHON3&handler=image_classifier&s3_sse_kms=true"
    )
    assert registered(query) == Registration("m-v1.mar", "m", 8, 50, 1, 10, 20, synchronous=False)


def test_missing_parameters_have_defaults() -> None:
    assert registered(b"url=m.mar") == Registration("m.mar")
    assert registered(b"") == Registration("")
    assert registered(b"url=m.mar&model_name=&batch_size=&synchronous=yes") == Registration("m.mar", synchronous=False)


@pytest.mark.parametrize("number", ["x", "1.5", "1e3", "", "99999999999", "3000000000", "-1", " 5", "1_0", "\u0663"])
def test_an_invalid_number_in_the_query_is_ignored(number: str) -> None:
    assert management.registration({"url": "m.mar", "batch_size": number}) == Registration("m.mar")


@pytest.mark.parametrize(
    "field", ["batch_size=0", "batch_size=4097", "response_timeout=0", "startup_timeout=86401", "runtime=java"]
)
def test_a_value_out_of_range_is_refused(field: str) -> None:
    with pytest.raises(InvalidInput, match=f"^{field.partition('=')[0]}: got"):
        registered(b"url=m.mar&" + field.encode())


def test_the_first_of_repeated_fields_is_used() -> None:
    assert management.query(b"url=a&url=b") == {"url": "a"}


def test_the_fields_of_a_query_are_bounded() -> None:
    with pytest.raises(InvalidInput, match=r"^query: got too many fields"):
        management.query(b"&".join([b"a=1"] * 1001))


def test_a_registration_is_parsed_from_a_json_body() -> None:
    body = {"url": "m.mar", "model_name": "m", "batch_size": 4, "initial_workers": 2, "synchronous": False, "other": []}
    read = management.registration_of_json(orjson.dumps(body))
    assert read == Registration("m.mar", "m", batch_size=4, initial_workers=2, synchronous=False)
    assert management.registration_of_json(b"{}") == Registration("")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"", "body"),
        (b"{", "body"),
        (b"[1]", "body"),
        (b'{"url": 1}', "url"),
        (b'{"url": "m.mar", "batch_size": "8"}', "batch_size"),
        (b'{"url": "m.mar", "batch_size": true}', "batch_size"),
        (b'{"url": "m.mar", "synchronous": "false"}', "synchronous"),
        (b'{"url": "m.mar", "batch_size": 0}', "batch_size"),
    ],
)
def test_an_invalid_body_is_refused(body: bytes, field: str) -> None:
    with pytest.raises(InvalidInput, match=f"^{field}: got"):
        management.registration_of_json(body)


DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["url", "model_name", "runtime", "batch_size", "synchronous", "initial_workers", "x"]),
            inner,
        )
    ),
    max_leaves=8,
)


@given(st.binary(max_size=50) | DOCUMENTS.map(orjson.dumps))
def test_any_body_is_parsed_or_refused(body: bytes) -> None:
    with suppress(InvalidInput):
        assert isinstance(management.registration_of_json(body), Registration)


@given(st.binary(max_size=80))
def test_any_query_is_parsed_or_refused(text: bytes) -> None:
    with suppress(InvalidInput):
        assert isinstance(registered(text), Registration)
    with suppress(InvalidInput):
        assert isinstance(management.scaling(management.query(text)), Scaling)
    assert management.page(management.query(text))


def test_a_body_is_bounded() -> None:
    with pytest.raises(PayloadTooLarge, match=r"^registration: got 70000 bytes; expected at most 65536 bytes"):
        management.registration_of_json(b" " * 70_000)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (b"", Scaling()),
        (b"min_worker=1&synchronous=true", Scaling(synchronous=True)),
        (b"min_worker=3", Scaling(3, 3)),
        (b"max_worker=4&model_version=2.0", Scaling(1, 4, version="2.0")),
        (b"min_worker=x&max_worker=y", Scaling()),
        (b"min_worker=0&max_worker=0", Scaling(0, 0)),
    ],
)
def test_a_scaling_is_parsed_from_the_query(query: bytes, expected: Scaling) -> None:
    assert management.scaling(management.query(query)) == expected


def test_a_max_worker_below_min_worker_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"^max_worker: got 1; expected at least min_worker, 2"):
        management.scaling(management.query(b"min_worker=2&max_worker=1"))


MODELS = [(f"m{number}", f"m{number}.mar") for number in range(5)]


@pytest.mark.parametrize(
    ("query", "names", "token"),
    [
        (b"", ["m0", "m1", "m2", "m3", "m4"], None),
        (b"limit=2", ["m0", "m1"], "2"),
        (b"limit=2&next_page_token=2", ["m2", "m3"], "4"),
        (b"limit=2&next_page_token=4", ["m4"], None),
        (b"limit=5", ["m0", "m1", "m2", "m3", "m4"], "5"),
        (b"limit=-1&next_page_token=-7", ["m0", "m1", "m2", "m3", "m4"], None),
        (b"limit=101&next_page_token=9", [], None),
        (b"limit=x&next_page_token=y", ["m0", "m1", "m2", "m3", "m4"], None),
    ],
)
def test_a_list_has_pages(query: bytes, names: list[str], token: str | None) -> None:
    limit, first = management.page(management.query(query))
    document = orjson.loads(management.listing(list(reversed(MODELS)), limit=limit, first=first))
    assert [each["modelName"] for each in document["models"]] == names
    assert document.get("nextPageToken") == token


@given(st.integers(0, 12), st.integers(1, 5))
def test_the_pages_together_are_the_whole_list(count: int, limit: int) -> None:
    models = [(f"m{number:02}", "u") for number in range(count)]
    seen, first = [], 0
    while True:
        document = orjson.loads(management.listing(models, limit=limit, first=first))
        seen += [(each["modelName"], each["modelUrl"]) for each in document["models"]]
        if "nextPageToken" not in document:
            break
        first = int(document["nextPageToken"])
    assert seen == models


def test_json_is_written_as_torchserve_writes_it() -> None:
    assert management.status("done") == b'{\n  "status": "done"\n}'
    assert management.listing(MODELS[:1], limit=100, first=0) == (
        b'{\n  "models": [\n    {\n      "modelName": "m0",\n      "modelUrl": "m0.mar"\n    }\n  ]\n}'
    )


def test_a_model_without_a_session_has_no_worker() -> None:
    [document] = orjson.loads(management.descriptions([BEFORE]))
    assert document["workers"] == []
    assert (document["minWorkers"], document["maxWorkers"]) == (0, 0)
    assert (document["batchSize"], document["maxBatchDelay"]) == (8, 100)
    assert (document["responseTimeout"], document["startupTimeout"]) == (120, 300)
    assert document["loadedAtStartup"] is True


def test_a_loaded_model_has_one_worker() -> None:
    worker = Worker("2026-11-28T20:00:00.000Z", pid=7, memory=1024)
    [document] = orjson.loads(management.descriptions([BEFORE._replace(worker=worker)]))
    [described] = document["workers"]
    assert (described["pid"], described["memoryUsage"], described["status"]) == (7, 1024, "READY")
    assert (document["minWorkers"], document["maxWorkers"]) == (1, 1)
    [waiting] = orjson.loads(management.descriptions([BEFORE._replace(wanted=True)]))
    assert (waiting["minWorkers"], waiting["workers"]) == (1, [])


def test_the_statuses_have_torchserves_texts() -> None:
    assert management.registered("m", "1.0", workers=1) == 'Model "m" Version: 1.0 registered with 1 initial workers'
    assert management.registered("m", "1.0", workers=0) == (
        'Model "m" Version: 1.0 registered with 0 initial workers. Use scale workers API to add workers for the model.'
    )
    assert management.workers_scaled("m", None) == "Workers scaled to 1 for model: m"
    assert management.workers_scaled("m", "2.0") == "Workers scaled to 1 for model: m, version: 2.0"
    assert management.unregistered("m") == 'Model "m" unregistered'
    assert management.default_set("m", "2.0") == 'Default version successfully updated for model "m" to "2.0"'
