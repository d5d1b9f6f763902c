"""Model artifacts: where they are stored, and the cache of verified files."""
