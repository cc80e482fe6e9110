"""Webhooks in: the first four stops of the road."""
