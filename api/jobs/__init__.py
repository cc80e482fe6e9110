"""Jobs: long work that clients poll."""
