"""Connections: reusable ones, and those of instances' own fields."""
