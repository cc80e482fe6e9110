"""A package as a contributor would leave it: one component, one module beside it, two plugins' objects."""
