"""How a machine's way to its package index gets into a build, and nothing else of it."""

import configparser
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from scripts.images.outside import CA_INSIDE, INDEX_SETTINGS, certificates, parse, pip_conf
from tests import ROOT

CONTAINERFILE = ROOT / "Containerfile"
VALUES = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=20)


class TestPipConf:
    def test_what_pip_lists_is_read_as_it_prints_it(self) -> None:
        lines = ["global.index-url='https://mirror.example/simple'", "install.retries='9'"]
        assert parse(lines) == {"index-url": "https://mirror.example/simple", "retries": "9"}

    def test_a_variable_wins_over_every_file(self) -> None:
        lines = [":env:.index-url='https://mine.example'", "user.index-url='https://theirs.example'"]
        assert parse(lines)["index-url"] == "https://mine.example"

    def test_a_path_of_this_machine_stays_here(self) -> None:
        settings = {"find-links": "/some/wheels", "cert": "/etc/ca.pem", "require-virtualenv": "true"}
        assert pip_conf(settings, certificate=None) == "[global]\n"

    def test_the_certificates_are_where_the_containerfile_mounts_them(self) -> None:
        assert pip_conf({}, certificate=CA_INSIDE) == f"[global]\ncert = {CA_INSIDE}\n"
        assert f"target={CA_INSIDE}" in CONTAINERFILE.read_text()

    @given(settings=st.dictionaries(st.sampled_from(sorted(INDEX_SETTINGS)), st.lists(VALUES, min_size=1, max_size=3)))
    def test_pip_reads_back_what_it_was_settings_here(self, settings: dict[str, list[str]]) -> None:
        written = pip_conf({name: "\n".join(values) for name, values in settings.items()}, certificate=None)
        reader = configparser.RawConfigParser(comment_prefixes=(), inline_comment_prefixes=())
        reader.read_string(written)
        assert {name: value.split() for name, value in reader["global"].items()} == settings


class TestCertificates:
    def test_pips_own_word_comes_first_and_then_the_variables_in_pips_order(self, tmp_path: Path) -> None:
        own, other = tmp_path / "own.pem", tmp_path / "other.pem"
        own.touch()
        other.touch()
        assert certificates({"cert": str(own)}, {"SSL_CERT_FILE": str(other)}) == own
        assert certificates({}, {"SSL_CERT_FILE": str(other), "REQUESTS_CA_BUNDLE": str(own)}) == own

    def test_a_machine_with_no_bundle_of_its_own_hands_over_none(self, tmp_path: Path) -> None:
        assert certificates({}, {}) is None
        assert certificates({}, {"SSL_CERT_FILE": str(tmp_path / "absent.pem")}) is None
