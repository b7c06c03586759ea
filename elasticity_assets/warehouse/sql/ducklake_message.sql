-- Names the snapshot that this transaction will make.
CALL {database}.set_commit_message('elasticity_assets', $message)
