"""What customers have used, and whether the books balance."""
