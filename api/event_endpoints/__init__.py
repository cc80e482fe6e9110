"""Event endpoints: who hears of what happens, signed."""
