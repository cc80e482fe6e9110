"""Bulk upgrades: many instances of an integration to one version."""
