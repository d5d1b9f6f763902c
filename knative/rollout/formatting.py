"""The output of a rollout's progress: lines of text, or plain values for JSON and YAML."""

import json
import math
from datetime import UTC, datetime
from typing import Final

from knative.resources.documents import dump_yaml
from knative.rollout.judgement import Sample, percentile
from knative.rollout.machine import State, StepVerdict, schedule
from knative.rollout.run import Progress
from knative.rollout.split import Split, format_split, percent_of

_WORDS: Final = {
    "warm": "warming",
    "wait": "waiting",
    "shift": "shifted",
    "finish": "done",
    "roll_back": "rolled back",
    "halt": "halted",
    "forget": "forgotten",
}


def line(progress: Progress) -> str:
    """Format an event as one line: time, action, split, reason, and the answers during the step."""
    at = datetime.fromtimestamp(progress.at, UTC).astimezone().strftime("%H:%M:%S")
    parts = [f"{at}  {_WORDS[progress.verb]:<11}  {format_split(progress.split)}", progress.why]
    if progress.verb != "wait" and (progress.new.requests or progress.old.requests):
        parts.append(f"requests so far: {_shown(progress.new)}, other revisions: {_shown(progress.old)}")
    parts.insert(2, _judged(progress.verdict) if progress.verdict else "")
    if progress.verb == "finish":
        parts.append(f"{progress.judged} of {progress.steps} steps judged")
    return "; ".join(part for part in parts if part)


def values(progress: Progress) -> dict[str, object]:
    """Return an event as plain values. The time is in RFC 3339, latencies are in seconds."""
    return {
        "time": datetime.fromtimestamp(progress.at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "event": progress.verb,
        "split": _split(progress.split),
        "why": progress.why,
        "target": _measured(progress.new),
        "others": _measured(progress.old),
        "step": _verdict(progress.verdict) if progress.verdict else None,
        "judgedSteps": progress.judged,
        "steps": progress.steps,
    }


def written(fields: object, form: str) -> str:
    """Format one of several values: a line of JSON, or a YAML document."""
    return json.dumps(fields, allow_nan=False) if form == "json" else f"---\n{dump_yaml([fields])}".rstrip()


def skipped_steps(state: State) -> str:
    """Report the steps that are skipped, because the target already had their share at the start; empty if none."""
    if not state.skipped:
        return ""
    *others, last = map(str, state.skipped)
    listed = f"{', '.join(others)} and {last} % are" if others else f"{last} % is"
    has = percent_of(state.stable, state.target)
    return f"{state.target} had {has} % of the traffic at the start: {listed} skipped"


def schedule_lines(state: State) -> list[str]:
    """Format a schedule as lines of text."""
    interval = state.limits.interval
    stages = [f"{_after(stage.after):>9}  {format_split(stage.split)}" for stage in schedule(state)]
    end = len(stages) * interval
    return [
        f"warm {state.target}, now at {format_split(state.split)}",
        *stages,
        f"{_after(end):>9}  done, if no step fails",
    ]


def schedule_values(state: State) -> list[dict[str, object]]:
    """Return a schedule as plain values."""
    return [{"afterSeconds": stage.after, "split": _split(stage.split)} for stage in schedule(state)]


def _judged(verdict: StepVerdict) -> str:
    if verdict.is_judged:
        return f"{verdict.percent} % judged by {verdict.requests} requests"
    return f"{verdict.percent} % not judged: {verdict.requests} of {verdict.needed} requests"


def _verdict(verdict: StepVerdict) -> dict[str, object]:
    return {
        "percent": verdict.percent,
        "judged": verdict.is_judged,
        "requests": verdict.requests,
        "neededRequests": verdict.needed,
    }


def _after(seconds: float) -> str:
    return f"+{int(seconds) // 60}:{int(seconds) % 60:02}"


def _split(split: Split) -> dict[str, int]:
    return dict(split)


def _shown(sample: Sample) -> str:
    known = percentile(sample)
    latency = "" if math.isnan(known) else f", p95 {_latency(known)}"
    crashes = f", {sample.crashes} restarts" if sample.crashes else ""
    return f"{sample.requests} ({sample.errors} failed{latency}{crashes})"


def _latency(seconds: float) -> str:
    return "over the last bucket" if math.isinf(seconds) else f"{seconds * 1000:.3g} ms"


def _measured(sample: Sample) -> dict[str, object]:
    known = percentile(sample)
    return {
        "requests": sample.requests,
        "errors": sample.errors,
        "restarts": sample.crashes,
        "p95Seconds": round(known, 6) if math.isfinite(known) else None,
    }
