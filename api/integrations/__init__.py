"""Integrations: their drafts, their published versions, and checking definitions."""
