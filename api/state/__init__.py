"""State: what flows have kept, to look at and to change by hand."""
