-- Lets the server notice a machine that vanished, and free its lock, after 90 seconds; by default it would take two hours.
SELECT
    set_config('tcp_keepalives_idle', '60', false),
    set_config('tcp_keepalives_interval', '10', false),
    set_config('tcp_keepalives_count', '3', false)
