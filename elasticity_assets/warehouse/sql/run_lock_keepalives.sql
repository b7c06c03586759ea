-- Lets the server notice a machine that vanished, and free its lock, after 90 seconds; by default it would take two hours.
SELECT
    set_config('tcp_keepalives_idle', '60', false),
    set_config('tcp_keepalives_interval', '10', false),
    set_config('tcp_keepalives_count', '3', false);

-- Newer servers may end idle sessions.
SELECT set_config(name, '0', false) FROM pg_settings WHERE name = 'idle_session_timeout'
