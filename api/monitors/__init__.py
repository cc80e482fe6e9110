"""Monitors: what is watched, where, and who is told."""
