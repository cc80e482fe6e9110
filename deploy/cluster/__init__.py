"""What docker-compose.yml describes, without Docker: two APIs, two workers, Temporal and PostgreSQL on this machine."""
