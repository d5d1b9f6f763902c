"""Tests of figures, targets and reports."""

import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.benchmarks import report
from scripts.benchmarks.figures import TARGETS, Pair, PeerFigure, figure
from scripts.benchmarks.measures.every import EVENTS, EVERY, LARGE_MODEL, PROTOCOLS, REGISTRY, WASM
from scripts.benchmarks.transformer import flops_per_row

RATES = st.floats(min_value=1e-3, max_value=1e6)
PAIRS = st.lists(st.builds(Pair, ours=RATES, floor=RATES), min_size=1, max_size=9)


class TestFigures:
    def test_the_ratio_is_the_median_of_the_pairs_ratios(self) -> None:
        """A slow phase that affects both halves of a pair changes the medians, but not the ratio."""
        pairs = [Pair(ours=90, floor=100), Pair(ours=9, floor=10), Pair(ours=80, floor=100)]
        assert figure("throughput_c1", pairs).ratio == pytest.approx(0.9)
        assert figure("throughput_c1", pairs).ours == 80

    @given(pairs=PAIRS)
    def test_the_ratio_is_within_the_range_of_the_pairs_ratios(self, pairs: list[Pair]) -> None:
        ratios = [pair.ratio for pair in pairs]
        got = figure("memory", pairs).ratio
        assert min(ratios) <= got or got == pytest.approx(min(ratios))
        assert got <= max(ratios) or got == pytest.approx(max(ratios))

    @given(pairs=PAIRS, slower=st.floats(min_value=0.1, max_value=10))
    def test_a_slower_machine_gives_the_same_ratio(self, pairs: list[Pair], slower: float) -> None:
        there = [Pair(ours=pair.ours * slower, floor=pair.floor * slower) for pair in pairs]
        assert figure("cold_start", there).ratio == pytest.approx(figure("cold_start", pairs).ratio)

    def test_a_figure_without_pairs_is_an_error(self) -> None:
        with pytest.raises(ValueError, match="memory: no pair was measured"):
            figure("memory", [])

    @pytest.mark.parametrize(
        ("name", "kept", "missed"),
        [
            ("raw_c32", 0.38, 0.37),
            ("throughput_c8", 1.2, 1.19),
            ("h2_c1", 0.8, 0.79),
            ("lone_latency", 1.15, 1.16),
            ("cold_start", 1.15, 1.16),
            ("memory", 1.12, 1.13),
            ("v2_binary", 1.05, 1.06),
            ("json_million", 0.9, 0.89),
            ("grpc_v2", 0.8, 0.79),
            ("grpc_peer", 3.0, 2.99),
            ("heavy_model", 0.95, 0.94),
            ("live_under_attack", 1.0, 1.01),
        ],
    )
    def test_a_target_is_met_at_its_bound_and_on_the_better_side(self, name: str, kept: float, missed: float) -> None:
        assert TARGETS[name].met(kept)
        assert not TARGETS[name].met(missed)

    @pytest.mark.parametrize(("live", "met"), [(20.0, True), (20.1, False)])
    def test_the_heavy_model_has_a_limit_for_liveness_too(self, live: float, *, met: bool) -> None:
        assert figure("heavy_model", [Pair(ours=1, floor=1)], {"live_max_ms": live}).met is met

    @pytest.mark.parametrize(("multiple", "met"), [(12.0, True), (12.1, False)])
    def test_the_memory_of_an_attacked_server_has_a_limit_too(self, multiple: float, *, met: bool) -> None:
        assert figure("live_under_attack", [Pair(ours=1, floor=1)], {"memory_times_body": multiple}).met is met

    def test_the_names_of_the_figures_are_stable(self) -> None:
        assert list(EVERY) == [
            *["raw_c1", "raw_c8", "raw_c32", "throughput_c1", "throughput_c8", "throughput_c32"],
            *["h2_c1", "h2_c8", "h2_c32", "lone_latency", "cold_start", "memory", "heavy_model", "live_under_attack"],
        ]

    def test_the_names_of_the_protocols_figures_are_stable(self) -> None:
        assert {"v2_binary", "json_million", "grpc_ml_v1", "grpc_v2", "grpc_peer"} <= set(PROTOCOLS)

    def test_the_names_of_the_figures_of_events_are_stable(self) -> None:
        assert list(EVENTS) == ["events", "idempotency", "logging"]

    def test_the_names_of_the_figures_of_large_models_are_stable(self) -> None:
        assert list(LARGE_MODEL) == ["ready_seconds_over_pull", "peak_over_size"]
        assert list(REGISTRY) == ["upload", "pull", "rss_mib"]

    def test_the_names_of_the_figures_of_guests_are_stable(self) -> None:
        assert list(WASM) == ["compute_us", "request_ms", "cold_ms"]

    @pytest.mark.parametrize(("difference", "met"), [(2.0, True), (2.1, False)])
    def test_a_guest_has_a_limit_for_the_difference_and_none_for_the_ratio(
        self, difference: float, *, met: bool
    ) -> None:
        got = figure("request_ms", [Pair(ours=100, floor=1)], {"difference": difference})
        assert got.met is met
        assert report.document([got])["request_ms"].items() >= {"difference": difference, "met": met}.items()
        assert "difference <= 2 ms" in report.table([got])

    def test_every_measure_has_a_target_and_every_target_a_measure(self) -> None:
        assert [*EVERY, *PROTOCOLS, *EVENTS, *LARGE_MODEL, *REGISTRY, *WASM] == list(TARGETS)

    def test_the_heavy_model_is_as_expensive_as_resnet_50(self) -> None:
        """8.2 GFLOP for one image of 224 x 224."""
        assert flops_per_row() == pytest.approx(8.2e9, rel=0.02)


class TestReport:
    figures = (
        figure("cold_start", [Pair(ours=200, floor=160)]),
        figure("throughput_c1", [Pair(ours=6000, floor=10000, disturbed=True)], {"steal": 0.25}),
    )

    def test_json_has_ours_floor_ratio_and_unit_of_each_name(self) -> None:
        written = json.loads(json.dumps(report.document(self.figures)))
        assert list(written) == ["cold_start", "throughput_c1"]
        expected = {"ours": 200, "floor": 160, "ratio": 1.25, "unit": "ms", "target": "<= 1.15", "met": False}
        assert written["cold_start"].items() >= expected.items()
        assert written["throughput_c1"].items() >= {"met": False, "disturbed": 1, "steal": 0.25}.items()

    def test_the_table_shows_a_missed_target_and_the_noise(self) -> None:
        first, missed = report.table(self.figures).splitlines()[2:]
        assert [cell.strip() for cell in first.split("|")[1:8]] == [
            "cold_start",
            "200",
            "160",
            "ms",
            "1.25",
            "<= 1.15",
            "NO",
        ]
        assert "NO" in missed
        assert "1 of 1 pairs disturbed" in missed

    def test_the_values_of_one_part_of_a_measurement_are_only_in_json(self) -> None:
        got = figure("memory", [Pair(ours=1, floor=1)], {"asked": 3.0, "rows.max_ms": 12.0})
        assert report.document([got])["memory"].items() >= {"asked": 3.0, "rows.max_ms": 12.0}.items()
        assert "asked 3" in report.table([got])
        assert "rows.max_ms" not in report.table([got])

    peers = (
        PeerFigure(peer="mosec 1.0", figure=figure("throughput_c8", [Pair(ours=9000, floor=1200)])),
        PeerFigure(peer="litserve 2.0", figure=figure("throughput_c8", [Pair(ours=9000, floor=500, disturbed=True)])),
        PeerFigure(peer="mosec 1.0", figure=figure("memory", [Pair(ours=61.5, floor=123)])),
    )

    def test_each_figure_has_a_table_of_its_peers(self) -> None:
        first, second = report.peer_tables(self.peers).split("\n\n**memory**")
        assert first.startswith("**throughput_c8**, req/s, higher is better\n\n| peer")
        mosec, litserve = (cells(line) for line in first.splitlines()[-2:])
        assert mosec == ["mosec 1.0", "9,000", "1,200", "7.50", ""]
        assert litserve == ["litserve 2.0", "9,000", "500", "18.00", "1 of 1 pairs disturbed"]
        assert cells(second.splitlines()[-1]) == ["mosec 1.0", "61.5", "123.0", "0.50", ""]

    def test_json_has_the_peers_by_figure_and_name(self) -> None:
        written = json.loads(json.dumps(report.peer_document(self.peers)))
        assert {name: list(each) for name, each in written.items()} == {
            "throughput_c8": ["mosec 1.0", "litserve 2.0"],
            "memory": ["mosec 1.0"],
        }
        expected = {"ours": 61.5, "peer": 123, "ratio": 0.5, "unit": "MiB", "pairs": 1, "disturbed": 0}
        assert written["memory"]["mosec 1.0"] == expected

    def test_the_processor_is_its_name_or_its_architecture(self) -> None:
        assert report.cpu_model("processor\t: 0\nmodel name\t: Fast One\nmodel name\t: Fast One\n") == "Fast One"
        assert report.cpu_model("processor\t: 0\n") == os.uname().machine


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.split("|")[1:-1]]
