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
