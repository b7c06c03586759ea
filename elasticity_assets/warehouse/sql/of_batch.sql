AND lower(r.product) >= $first_code AND (lower(r.product) < $next_code OR $next_code IS NULL)
