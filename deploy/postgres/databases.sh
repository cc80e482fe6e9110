#!/bin/sh
# Once, on an empty volume (the image runs it): an account and a database for the ledger, an account and two databases for Temporal.
set -e
psql --set=ON_ERROR_STOP=1 --set=password="$ACCOUNTS_PASSWORD" --username "$POSTGRES_USER" --dbname postgres <<'SQL'
CREATE ROLE flowgraft LOGIN PASSWORD :'password';
CREATE ROLE temporal LOGIN PASSWORD :'password';
CREATE DATABASE flowgraft OWNER flowgraft;
CREATE DATABASE temporal OWNER temporal;
CREATE DATABASE temporal_visibility OWNER temporal;
REVOKE CONNECT ON DATABASE flowgraft, temporal, temporal_visibility FROM PUBLIC;
SQL
