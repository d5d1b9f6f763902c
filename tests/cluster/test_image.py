"""Tests of the archives of the cluster's images: they contain the given files in the format of containerd."""

import hashlib
import io
import json
import tarfile
from pathlib import Path, PurePosixPath
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.cluster import image

NAME = "dev.local/program:v1"


def unpacked(archive: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        return {member.name: content.read() for member in tar if (content := tar.extractfile(member)) is not None}


def blob(files: dict[str, bytes], descriptor: dict[str, Any]) -> bytes:
    """Return the bytes of a descriptor, and check their size and digest."""
    content = files["blobs/" + descriptor["digest"].replace(":", "/")]
    assert descriptor["size"] == len(content)
    assert descriptor["digest"] == "sha256:" + hashlib.sha256(content).hexdigest()
    return content


@settings(deadline=None)  # the first example is slower than the others
@given(program=st.binary(max_size=64), library=st.binary(max_size=64))
def test_every_descriptor_matches_its_bytes_and_the_layer_has_the_files(program: bytes, library: bytes) -> None:
    layer = image.tarred({"ko-app/program": program, "lib/library.so": library})
    files = unpacked(image.archive(NAME, layer, "ko-app/program"))
    (entry,) = json.loads(files["index.json"])["manifests"]
    manifest = json.loads(blob(files, entry))
    config = json.loads(blob(files, manifest["config"]))
    assert blob(files, manifest["layers"][0]) == layer
    assert config["rootfs"]["diff_ids"] == [manifest["layers"][0]["digest"]], "the layer is not compressed"
    assert unpacked(layer) == {"ko-app/program": program, "lib/library.so": library}


def test_the_image_has_its_name_and_runs_the_program_without_root() -> None:
    files = unpacked(image.archive(NAME, b"", "ko-app/program"))
    (entry,) = json.loads(files["index.json"])["manifests"]
    config = json.loads(blob(files, json.loads(blob(files, entry))["config"]))
    assert entry["annotations"]["io.containerd.image.name"] == NAME
    assert config["config"]["Entrypoint"] == ["/ko-app/program"]
    assert config["config"]["User"] == "65532", "a number, because Knative cannot check whether a name is root"


def test_a_layer_keeps_the_executable_bit_and_follows_links(tmp_path: Path) -> None:
    program, text, link = tmp_path / "program", tmp_path / "text", tmp_path / "link"
    program.write_bytes(b"run")
    program.chmod(0o700)
    text.write_bytes(b"read")
    text.chmod(0o600)
    link.symlink_to(text)
    with tarfile.open(fileobj=io.BytesIO(image.layer({"bin/program": program, "etc/text": link}))) as tar:
        modes = {member.name: (member.mode, member.isdir(), member.issym()) for member in tar}
        read = tar.extractfile("etc/text")
        assert read is not None
        assert read.read() == b"read"
    assert modes == {
        "bin": (0o755, True, False),
        "etc": (0o755, True, False),
        "tmp": (0o1777, True, False),
        "bin/program": (0o755, False, False),
        "etc/text": (0o644, False, False),
    }


PARTS = st.text("abc", min_size=1, max_size=3)


@settings(deadline=None)
@given(st.lists(st.lists(PARTS, min_size=1, max_size=4).map("/".join), max_size=5))
def test_a_folder_comes_before_its_content(files: list[str]) -> None:
    made = image.folders(files)
    assert "tmp" in made
    for file in files:
        above = [str(parent) for parent in PurePosixPath(file).parents if str(parent) != "."]
        positions = [made.index(folder) for folder in reversed(above)]
        assert positions == sorted(positions)
