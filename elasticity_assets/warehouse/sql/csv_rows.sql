read_csv(
    $path, columns = $columns, delim = $delimiter, encoding = $encoding, compression = $compression,
    auto_detect = false, header = true, quote = '"', escape = '"', comment = '', strict_mode = true,
    null_padding = false, store_rejects = true
)
