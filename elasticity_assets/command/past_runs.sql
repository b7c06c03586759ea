-- name: dagster_runs
-- The newest runs in Dagster's own SQLite file, each with the process that it is in. One that the UI began again has the
-- tags of the one before.
SELECT
    r.run_id,
    r.pipeline_name,
    r.status,
    coalesce(r.end_time, r.start_time) AS since,
    r.create_timestamp,
    t.value AS process
FROM runs AS r
LEFT JOIN run_tags AS t
    ON
        t.run_id = r.run_id
        AND t.key = ?
        AND NOT EXISTS (SELECT 1 FROM run_tags AS p WHERE p.run_id = r.run_id AND p.key = 'dagster/parent_run_id')
ORDER BY r.id DESC
LIMIT ?

-- name: last_step
-- The step that a run began last, in Dagster's own SQLite file of its events.
SELECT step_key FROM event_logs WHERE dagster_event_type = 'STEP_START' ORDER BY id DESC LIMIT 1
