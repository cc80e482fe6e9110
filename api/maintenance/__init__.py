"""Maintenance windows: alerts are recorded then, and not sent."""
