DROP TABLE IF EXISTS temp.reject_errors;
DROP TABLE IF EXISTS temp.reject_scans
