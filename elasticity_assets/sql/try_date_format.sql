SELECT try_strptime('', ?)
