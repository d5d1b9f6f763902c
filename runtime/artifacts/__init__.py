"""Where model artifacts come from, and the cache that they are verified into."""
