"""Live updates by server-sent events: of one execution, of executions and instances, of log lines."""
