"""The setting SCALEZERO_GUEST_FOLDERS: what is rendered is parsed again; folders that no guest may have are refused."""

import json
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.configuration.guest_folders import (
    PROTECTED,
    GuestFolder,
    GuestFolders,
    conflict,
    parse_folders,
    problem_of,
    render_folders,
)

NAMES = st.text(st.characters(codec="utf-8", exclude_characters="/", exclude_categories=["Cc"]), min_size=1, max_size=9)
PATHS = st.lists(NAMES.filter(lambda name: name not in {".", ".."}), min_size=1, max_size=3).map(
    lambda names: f"/mnt/{'/'.join(names)}"
)
FOLDERS = st.lists(
    st.builds(GuestFolder, PATHS, st.just("/") | PATHS, st.booleans()),
    max_size=3,
    unique_by=lambda each: each.guest_path,
)


def render(*folders: Mapping[str, object]) -> str:
    return json.dumps(folders)


@given(FOLDERS)
def test_what_is_rendered_is_parsed(folders: list[GuestFolder]) -> None:
    assert parse_folders(render_folders(folders)) == tuple(folders)
    assert str(GuestFolders(folders)) == render_folders(folders)


def test_a_folder_is_read_only_and_at_its_own_path_unless_it_says_otherwise() -> None:
    assert parse_folders('[{"path": "/etc/labels"}]') == (GuestFolder("/etc/labels", "/etc/labels", read_only=True),)
    folders = [GuestFolder("/etc/labels", "/etc/labels"), GuestFolder("/data", "/work", read_only=False)]
    rendered = '[{"path":"/etc/labels"},{"path":"/data","guestPath":"/work","readOnly":false}]'
    assert render_folders(folders) == rendered


@pytest.mark.parametrize(
    "path", ["", "etc", "/", "/etc/", "//etc", "/etc//a", "/etc/.", "/a/../b", "/a\n", "/a\0b", "/" + 1024 * "a"]
)
def test_a_path_is_absolute_and_normalised(path: str) -> None:
    for folder in ({"path": path}, {"path": "/data", "guestPath": path}):
        if (path, "guestPath" in folder) != ("/", True):
            with pytest.raises(
                ValueError, match=r"\[0\]\.(path|guestPath): got .*; expected .*an absolute path without"
            ):
                parse_folders(render(folder))


@pytest.mark.parametrize("path", ["/etc/...", "/..data", "/a b/ä", "/.hidden"])
def test_names_may_have_dots_and_other_characters(path: str) -> None:
    assert parse_folders(render({"path": path}))[0].path == path


@pytest.mark.parametrize(
    "path",
    ["/proc", "/proc/1/root", "/dev/pts", "/sys", "/run", "/var", "/var/run/secrets/tokens", "/var/cache", *PROTECTED],
)
def test_folders_of_the_system_and_the_cache_are_refused(path: str) -> None:
    with pytest.raises(ValueError, match=r"\[0\]\.path: got .*; expected a folder that neither contains nor is below"):
        parse_folders(render({"path": path}))


@pytest.mark.parametrize("path", ["/process", "/devices/a", "/var/lib", "/run/labels", "/var/cache/other"])
def test_a_folder_beside_them_is_allowed(path: str) -> None:
    assert conflict(path, PROTECTED) is None


def test_the_root_is_everything() -> None:
    assert conflict("/", ["/home/me/cache"]) == conflict("/home/me/cache/sub", ["/home/me/cache"]) == "/home/me/cache"
    assert conflict("/home/me/cache", ["/"]) == "/"
    assert problem_of([GuestFolder("/data", "/")]) is None


@pytest.mark.parametrize(
    ("folders", "reason"),
    [
        (
            [{"path": "/a"}, {"path": "/b", "guestPath": "/a"}],
            r"\[1\]\.guestPath: got '/a'; expected each path of the guest",
        ),
        (
            [{"path": "/a", "readonly": False}],
            r"\[0\]\.readonly: got False; expected only path, guestPath and readOnly",
        ),
        ([{"path": "/a", "readOnly": "no"}], r"\[0\]\.readOnly: got 'no'; expected true or false"),
        ([{"path": "/a", "readOnly": 0}], r"\[0\]\.readOnly: got 0; expected true or false"),
        ([{"guestPath": "/a"}], r"\[0\]\.path: missing"),
        ([7], r"\[0\]: got 7; expected an object"),
    ],
)
def test_an_error_has_the_place_of_the_field(folders: list[dict[str, object]], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_folders(render(*folders))


def test_a_folder_may_be_at_two_paths_of_the_guest() -> None:
    assert len(parse_folders(render({"path": "/a"}, {"path": "/a", "guestPath": "/b", "readOnly": False}))) == 2
