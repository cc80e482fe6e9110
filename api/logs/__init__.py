"""Log lines of executions and of everything else."""
