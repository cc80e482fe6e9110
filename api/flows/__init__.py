"""The flows of instances: URLs, keys, schedules, tests."""
