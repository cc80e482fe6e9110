"""The labels in use."""
