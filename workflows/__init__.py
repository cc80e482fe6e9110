"""The conductor: order, time, retries. Deterministic; no I/O, clock, randomness, settings or user-supplied code."""
