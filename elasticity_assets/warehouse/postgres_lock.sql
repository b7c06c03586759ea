-- name: run_lock_keepalives
-- Lets the server notice a machine that vanished, and free its lock, after 90 seconds; by default it would take two hours.
SELECT
    set_config('tcp_keepalives_idle', '60', false),
    set_config('tcp_keepalives_interval', '10', false),
    set_config('tcp_keepalives_count', '3', false);

-- Newer servers may end idle sessions.
SELECT set_config(name, '0', false) FROM pg_settings WHERE name = 'idle_session_timeout'

-- name: still_there
-- Of PostgreSQL.
SELECT 1

-- name: take_run_lock
-- Of PostgreSQL.
SELECT pg_try_advisory_lock(%(key)s)

-- name: run_lock_holder
-- Of PostgreSQL: the session that has the lock. A key of 64 bits is listed in two halves.
SELECT a.application_name
FROM pg_locks AS l
JOIN pg_stat_activity AS a ON a.pid = l.pid
WHERE
    l.locktype = 'advisory'
    AND l.granted
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND l.classid = %(key)s >> 32
    AND l.objid = %(key)s & 4294967295
