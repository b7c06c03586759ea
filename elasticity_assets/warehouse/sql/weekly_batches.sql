-- Product codes in batches of about as many rows: the first code of each.
SELECT min(code) AS first_code
FROM (
    SELECT code, CAST(sum(n) OVER (ORDER BY code ROWS UNBOUNDED PRECEDING) AS BIGINT) // $rows AS batch
    FROM (SELECT lower(spelling) AS code, sum(n) AS n FROM product_facts GROUP BY code)
)
GROUP BY batch
ORDER BY first_code
