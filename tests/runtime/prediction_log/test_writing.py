"""The file: all lines in order, what a disk refuses is counted, and the rest goes on."""

import asyncio
import json
import os
from pathlib import Path

import pytest

from runtime.background import Background
from runtime.prediction_log.encoding import Encoder, Facts
from runtime.prediction_log.log import PredictionLog, Queue
from runtime.prediction_log.writing import Writer, open_file
from runtime.sinks import Sinks
from tests.runtime.prediction_log.predictions import outcome


def written(file: int, path: Path, count: int) -> PredictionLog:
    """Log that many predictions to an open file."""

    async def run() -> PredictionLog:
        background = Background()
        sinks = Sinks(background)
        queue, encoder = Queue(100_000), Encoder(Facts("t", None, None, {}), most=10_000)
        log = PredictionLog(queue, encoder, Writer(path, file, queue, encoder), share=1.0, most=10_000)
        sinks.add(log)
        for number in range(count):
            log.offer(outcome(number))
            if number % 100 == 0:
                await asyncio.sleep(0)
        await sinks.drain(within=30)
        await background.close(within=10)
        return log

    return asyncio.run(run())


def test_all_lines_are_written_in_order(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    log = written(open_file(path), path, 2000)
    lines = path.read_bytes().splitlines()
    assert [json.loads(each)["data"]["inputs"][0]["data"][0] for each in lines] == list(range(2000))
    assert log.counts.facts == {"emitted": 2000, "dropped": 0, "failed": 0}


def test_what_cannot_be_written_is_counted_and_reported_once(caplog: pytest.LogCaptureFixture) -> None:
    path = Path("/dev/full")
    log = written(os.open(path, os.O_WRONLY), path, 500)
    assert log.counts.facts == {"emitted": 0, "dropped": 0, "failed": 500}
    assert caplog.text.count("predictions cannot be written") == 1
    assert "No space left" in str([getattr(each, "reason", "") for each in caplog.records])
