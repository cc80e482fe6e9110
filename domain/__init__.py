"""The vocabulary: nouns, rules, messages and errors. Pure: no I/O, no clock, no frameworks but pydantic."""
