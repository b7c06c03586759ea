-- name: no_progress_bar
SET enable_progress_bar = false
