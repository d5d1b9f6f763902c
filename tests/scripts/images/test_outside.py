"""Tests that a build gets the machine's settings for the package index, and no other settings."""

import configparser
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from scripts.images.outside import CA_INSIDE, INDEX_SETTINGS, certificates, parse, pip_conf
from tests import ROOT

CONTAINERFILE = ROOT / "Containerfile"
VALUES = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=20)


class TestPipConf:
    def test_the_output_of_pip_config_list_is_parsed(self) -> None:
        lines = ["global.index-url='https://mirror.example/simple'", "install.retries='9'"]
        assert parse(lines) == {"index-url": "https://mirror.example/simple", "retries": "9"}

    def test_a_variable_overrides_every_file(self) -> None:
        lines = [":env:.index-url='https://mine.example'", "user.index-url='https://theirs.example'"]
        assert parse(lines)["index-url"] == "https://mine.example"

    def test_paths_of_this_machine_are_left_out(self) -> None:
        settings = {"find-links": "/some/wheels", "cert": "/etc/ca.pem", "require-virtualenv": "true"}
        assert pip_conf(settings, certificate=None) == "[global]\n"

    def test_the_certificates_are_where_the_containerfile_mounts_them(self) -> None:
        assert pip_conf({}, certificate=CA_INSIDE) == f"[global]\ncert = {CA_INSIDE}\n"
        assert f"target={CA_INSIDE}" in CONTAINERFILE.read_text()

    @given(settings=st.dictionaries(st.sampled_from(sorted(INDEX_SETTINGS)), st.lists(VALUES, min_size=1, max_size=3)))
    def test_pip_conf_contains_the_settings_unchanged(self, settings: dict[str, list[str]]) -> None:
        written = pip_conf({name: "\n".join(values) for name, values in settings.items()}, certificate=None)
        reader = configparser.RawConfigParser(comment_prefixes=(), inline_comment_prefixes=())
        reader.read_string(written)
        assert {name: value.split() for name, value in reader["global"].items()} == settings


class TestCertificates:
    def test_pips_own_setting_comes_first_and_then_the_variables_in_pips_order(self, tmp_path: Path) -> None:
        own, other = tmp_path / "own.pem", tmp_path / "other.pem"
        own.touch()
        other.touch()
        assert certificates({"cert": str(own)}, {"SSL_CERT_FILE": str(other)}) == own
        assert certificates({}, {"SSL_CERT_FILE": str(other), "REQUESTS_CA_BUNDLE": str(own)}) == own

    def test_a_machine_without_its_own_bundle_passes_none(self, tmp_path: Path) -> None:
        assert certificates({}, {}) is None
        assert certificates({}, {"SSL_CERT_FILE": str(tmp_path / "absent.pem")}) is None
