"""Instances: an integration for one customer, with its version, configuration and lifecycle."""
