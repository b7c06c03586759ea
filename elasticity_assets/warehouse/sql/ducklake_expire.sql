CALL ducklake_expire_snapshots({lake}, versions => $snapshots::UBIGINT[])
