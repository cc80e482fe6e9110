"""Who did what, over everything."""
