SELECT regexp_full_match('', ?)
