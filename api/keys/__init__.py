"""Encryption keys: which are in use, and rotating them."""
