-- Files of which no snapshot knows any more; a day later, for those who are still reading them.
CALL ducklake_cleanup_old_files({lake}, older_than => now()::TIMESTAMP - INTERVAL 1 DAY)
