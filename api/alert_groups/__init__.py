"""Alert groups: whom several monitors tell."""
