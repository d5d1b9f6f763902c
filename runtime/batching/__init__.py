"""Micro-batching: concurrent requests share runs, a lone request never waits for company that does not pay."""
