"""Other Python model servers, each with the least code that its public API needs; one folder and one venv each.

All open the same session (one thread) and log no line per request. Those that make batches use MAX_BATCH and
MAX_WAIT_MS. The project imports nothing of this: `scripts/bench peers` starts it with the peer's own interpreter.
"""
