"""Replays of many executions: a frozen filter, at a rate, watched."""
