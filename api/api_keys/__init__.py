"""API keys: shown once, stored as hashes."""
