"""The benchmark: what Flowgraft adds to a bare Temporal workflow, both measured side by side in one run."""
