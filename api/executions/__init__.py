"""Executions: what ran, what came of it, and running it again."""
