"""Integration definitions: the model (`model.py`) and what reads a notation into it."""
