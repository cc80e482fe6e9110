"""Log streams: log lines sent on to other systems."""
