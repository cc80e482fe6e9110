"""The road of a browser that authorises a connection."""
