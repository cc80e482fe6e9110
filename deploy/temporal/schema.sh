#!/bin/sh
# Temporal's schema, new or brought up to the version of the admin tools. Safe to repeat. SQL_* names the database.
set -eu
versions=/etc/temporal/schema/postgresql/v12

bring_up() {
	temporal-sql-tool --plugin postgres12 --db "$1" setup-schema -v 0.0
	temporal-sql-tool --plugin postgres12 --db "$1" update-schema -d "$versions/$2/versioned"
}

bring_up temporal temporal
bring_up temporal_visibility visibility
