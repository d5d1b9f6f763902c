"""Other Python model servers, each with the least that its public API asks for; one folder and one venv each.

All open the same session (one thread), log no line per request and batch as MAX_BATCH and MAX_WAIT_MS say. Nothing here
is imported by the project: `scripts/bench peers` starts it under the peer's own interpreter.
"""
