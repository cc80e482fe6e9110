"""Saved views: named filters of lists."""
