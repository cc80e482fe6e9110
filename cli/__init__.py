"""The `flowgraft` command: the public HTTP API from a terminal, and what starts the product's processes."""
