-- Of PostgreSQL.
SELECT 1
