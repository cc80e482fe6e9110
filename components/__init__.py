"""The catalogue: what a step can do. One component a file; contributors start at `base.py`."""
