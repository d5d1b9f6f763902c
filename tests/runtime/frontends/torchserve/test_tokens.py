"""A key is valid for its kind, and only its owner can read the file."""

import os
import stat
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest

from runtime.errors import BadSetting, InvalidKey
from runtime.frontends.torchserve.tokens import Tokens
from runtime.protocols.torchserve.keys import Kind

OWN = "a key from a Secret"


class Clock:
    """A clock that a test sets."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "key_file.json"


@pytest.fixture
def clock() -> Clock:
    return Clock()


def bearer(file: Path, kind: Kind) -> bytes:
    return f"Bearer {orjson.loads(file.read_bytes())[kind.value]['key']}".encode()


def refused(call: Callable[..., None], *arguments: object, what: str = "Authorization") -> bool:
    with pytest.raises(InvalidKey, match=f"^Token {what} failed"):
        call(*arguments)
    return True


def test_a_key_is_valid_only_for_its_kind(file: Path) -> None:
    tokens = Tokens(file, expiration=60)
    for shown in Kind:
        for kind in Kind:
            if kind is shown:
                tokens.check(kind, bearer(file, shown))
            else:
                assert refused(tokens.check, kind, bearer(file, shown))
    assert refused(tokens.check, Kind.INFERENCE, None)


def test_a_key_expires_and_the_api_key_does_not(file: Path, clock: Clock) -> None:
    tokens = Tokens(file, expiration=60, clock=clock)
    clock.now += 60
    assert refused(tokens.check, Kind.MANAGEMENT, bearer(file, Kind.MANAGEMENT))
    tokens.check(Kind.API, bearer(file, Kind.API))


def test_the_api_key_renews_another_key(file: Path, clock: Clock) -> None:
    tokens = Tokens(file, expiration=60, clock=clock)
    old = {kind: bearer(file, kind) for kind in Kind}
    clock.now += 60
    tokens.renew("management", old[Kind.API])
    assert refused(tokens.check, Kind.MANAGEMENT, old[Kind.MANAGEMENT])
    tokens.check(Kind.MANAGEMENT, bearer(file, Kind.MANAGEMENT))
    assert bearer(file, Kind.INFERENCE) == old[Kind.INFERENCE]
    assert bearer(file, Kind.API) == old[Kind.API]


@pytest.mark.parametrize("kind", [None, "", "API", "api", "MANAGEMENT", "x"])
def test_only_management_and_inference_keys_can_be_renewed(file: Path, kind: str | None) -> None:
    tokens = Tokens(file, expiration=60)
    before = file.read_bytes()
    assert refused(tokens.renew, kind, bearer(file, Kind.API), what="Authentication")
    assert file.read_bytes() == before


def test_only_the_api_key_renews_keys(file: Path) -> None:
    tokens = Tokens(file, expiration=60, management=OWN)
    for shown in (None, bearer(file, Kind.MANAGEMENT), bearer(file, Kind.INFERENCE), f"Bearer {OWN}".encode()):
        assert refused(tokens.renew, "management", shown, what="Authentication")


def test_a_key_from_the_settings_does_not_expire_and_is_not_in_the_file(file: Path, clock: Clock) -> None:
    tokens = Tokens(file, expiration=60, management=OWN, clock=clock)
    clock.now += 1e9
    tokens.check(Kind.MANAGEMENT, f"Bearer {OWN}".encode())
    assert refused(tokens.check, Kind.INFERENCE, f"Bearer {OWN}".encode())
    assert OWN not in file.read_text()


def test_without_a_file_only_the_key_from_the_settings_is_valid() -> None:
    tokens = Tokens(None, expiration=60, management=OWN)
    tokens.check(Kind.MANAGEMENT, f"Bearer {OWN}".encode())
    assert refused(tokens.renew, "management", f"Bearer {OWN}".encode(), what="Authentication")
    tokens.close()


@pytest.mark.parametrize("key", ["short", "fifteen letters", "nicht nur ascii, aber länger"])
def test_a_weak_key_from_the_settings_stops_the_start_and_is_not_shown(file: Path, key: str) -> None:
    with pytest.raises(BadSetting, match=r"^SCALEZERO_MANAGEMENT_KEY: expected at least 16 ASCII characters") as raised:
        Tokens(file, expiration=60, management=key)
    assert key not in f"{raised.value} {raised.value.details}"
    assert not file.exists()


def test_only_the_owner_can_read_the_file(file: Path) -> None:
    before = os.umask(0)
    try:
        tokens = Tokens(file, expiration=60)
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        tokens.renew("inference", bearer(file, Kind.API))
    finally:
        os.umask(before)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert list(file.parent.iterdir()) == [file]


def test_a_symlink_in_place_of_the_file_is_not_followed(file: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_text("mine")
    file.symlink_to(other)
    Tokens(file, expiration=60)
    assert other.read_text() == "mine"
    assert not file.is_symlink()


def test_a_file_that_cannot_be_written_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(BadSetting, match=r"^SCALEZERO_KEY_FILE=.*No such file or directory"):
        Tokens(tmp_path / "none" / "key_file.json", expiration=60)
    (tmp_path / "folder").mkdir()
    with pytest.raises(BadSetting, match=r"^SCALEZERO_KEY_FILE=.*directory"):
        Tokens(tmp_path / "folder", expiration=60)
    assert [each.name for each in tmp_path.iterdir()] == ["folder"]


def test_a_key_that_cannot_be_written_is_not_used(file: Path) -> None:
    tokens = Tokens(file, expiration=60)
    before = {kind: bearer(file, kind) for kind in Kind}
    file.unlink()
    file.mkdir()
    with pytest.raises(BadSetting, match=r"^SCALEZERO_KEY_FILE="):
        tokens.renew("inference", before[Kind.API])
    tokens.check(Kind.INFERENCE, before[Kind.INFERENCE])


def test_the_file_of_another_process_is_kept(file: Path) -> None:
    tokens = Tokens(file, expiration=60)
    other = Tokens(file, expiration=60)
    tokens.close()
    other.check(Kind.API, bearer(file, Kind.API))


def test_the_file_is_removed_at_the_end_of_the_process(file: Path) -> None:
    tokens = Tokens(file, expiration=60)
    tokens.close()
    assert not file.exists()
    tokens.close()
