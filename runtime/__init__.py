"""The wiring: settings, logs, crypto, the Temporal codec, client and local server, the guarded HTTP client."""
