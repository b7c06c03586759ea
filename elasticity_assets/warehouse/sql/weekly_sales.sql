-- Returns are netted in their period. Sums are rounded, so that the order of adding does not show.
-- regular_price and the controls are plain means over the rows of the product-period: a mean weighted by
-- units would follow demand, which they are to explain.
-- Rows lie by their category's hash, since DuckDB knows of a block of texts only how they begin: so it reads no block
-- of other categories.
-- Codes get their spelling in use before the sums and their category after them: most need no other spelling.
INSERT INTO weekly_sales BY NAME
WITH respelled AS (
    SELECT spelling, product FROM product_codes WHERE spelling <> product
), summed AS (
    SELECT
        coalesce(s.product, r.product) AS product,
        CAST(date_trunc($period, r.day) AS DATE) AS period_start,
        round(sum(units), 9) AS units,
        round(sum(units * price), 6) AS revenue,
        {price} AS price,
        {regular_price} AS regular_price,
        count(*) AS n_rows
        {controls}
    FROM raw_sales AS r
    LEFT JOIN respelled AS s ON s.spelling = r.product
    ANTI JOIN unused_sales AS u ON u.file_id = r.file_id AND u.line = r.line
    WHERE r.reason IS NULL {of_batch}
    GROUP BY ALL
)
SELECT c.category, md5_number_lower(c.category) AS category_hash, s.*
FROM summed AS s
JOIN product_codes AS c ON c.spelling = s.product
ORDER BY category_hash, c.category, s.product, s.period_start
