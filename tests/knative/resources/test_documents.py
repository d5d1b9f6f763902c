"""The limits for YAML files."""

import os
from pathlib import Path

import pytest

from knative.resources import BadManifest
from knative.resources.documents import MAX_BYTES, MAX_DIGITS, MAX_VALUES, documents
from knative.resources.func_yaml import read_function
from knative.resources.read import read_resources, read_text

# Each line has ten aliases of the line before: 10^12 values in about 400 bytes.
BOMB = "l0: &l0 [a, b, c, d, e, f, g, h, i, j]\n" + "".join(
    f"l{level}: &l{level} [{', '.join([f'*l{level - 1}'] * 10)}]\n" for level in range(1, 12)
)
MERGES = "m0: &m0 {a: 1}\n" + "".join(
    f"m{level}: &m{level} {{<<: [{', '.join([f'*m{level - 1}'] * 10)}]}}\n" for level in range(1, 12)
)


@pytest.mark.parametrize(("text", "line"), [(BOMB, 5), (MERGES, 6)], ids=["aliases", "merges"])
def test_an_alias_bomb_is_refused_at_the_line_that_exceeds_the_limit(text: str, line: int) -> None:
    with pytest.raises(BadManifest) as refused:
        documents(text, file="bomb.yaml")
    assert str(refused.value).startswith(f"bomb.yaml:{line}: document: got more than 100000 values")
    assert str(refused.value).endswith("expected at most 100000")


@pytest.mark.parametrize("text", ["a: &a [*a]", "a: &a {b: *a}", "&a {? b : [*a]}", "a: &a [[*a]]"])
def test_a_value_that_contains_itself_is_refused(text: str) -> None:
    with pytest.raises(BadManifest, match=r"self\.yaml:1: document: got an alias of a value that contains the alias"):
        documents(text, file="self.yaml")


def test_an_alias_within_the_limits_is_resolved() -> None:
    (document,) = documents("a: &a [1, {b: 2}]\nc: *a\n<<: {d: *a}\n", file="f.yaml")
    assert document.data == {"a": [1, {"b": 2}], "c": [1, {"b": 2}], "d": [1, {"b": 2}]}


def test_the_limit_applies_to_all_documents_of_a_file() -> None:
    half = "[" + "0," * (MAX_VALUES // 2) + "]"
    assert len(documents(half, file="f.yaml")) == 1
    with pytest.raises(BadManifest, match=r"f\.yaml:3: document: got more than"):
        documents(f"{half}\n---\n{half}", file="f.yaml")


@pytest.mark.parametrize("number", ["1" * (MAX_DIGITS + 1), "1" + ":1" * MAX_DIGITS, "1." + "1" * MAX_DIGITS])
def test_a_number_with_too_many_digits_is_refused(number: str) -> None:
    with pytest.raises(BadManifest, match=r"f\.yaml:2: document: got a number of \d+ characters; expected at most"):
        documents(f"a: 1\nb: {number}", file="f.yaml")
    assert documents(f'a: "{number}"', file="f.yaml")[0].data == {"a": number}


def test_a_long_message_of_the_parser_is_truncated() -> None:
    with pytest.raises(BadManifest) as refused:
        documents(f"a: *{'x' * 10_000}", file="f.yaml")
    assert len(str(refused.value)) < 500


def test_a_file_that_is_too_large_is_refused(tmp_path: Path) -> None:
    large = tmp_path / "large.yaml"
    large.touch()
    os.truncate(large, 1 << 40)
    with pytest.raises(BadManifest, match=f"got more than {MAX_BYTES} bytes; expected at most {MAX_BYTES} bytes"):
        read_resources(large)
    with pytest.raises(BadManifest, match="at most"):
        documents(" " * (MAX_BYTES + 1), file="f.yaml")
    large.write_text("#" * MAX_BYTES)
    assert read_text(large) == "#" * MAX_BYTES


def test_a_pipe_or_a_device_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "func.yaml")
    os.mkfifo(tmp_path / "model.yaml")
    expected = r"file: got a folder, pipe or device; expected a regular file"
    with pytest.raises(BadManifest, match=expected):
        read_resources(tmp_path)
    with pytest.raises(BadManifest, match=expected):
        read_function(tmp_path)
    for device in ("/dev/zero", "/dev/null"):
        with pytest.raises(BadManifest, match=expected):
            read_resources(Path(device))
