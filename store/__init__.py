"""The ledger: tables, one file of queries per noun, migrations. It never decides when to commit."""
