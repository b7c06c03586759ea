-- Returns are netted in their period. Sums are rounded, so that the order of adding does not show.
-- regular_price and the controls are plain means over the rows of the product-period: a mean weighted by
-- units would follow demand, which they are to explain.
CREATE OR REPLACE TABLE weekly_sales AS
WITH used AS (
    SELECT c.category, c.product, CAST(date_trunc($period, r.day) AS DATE) AS period_start, r.* EXCLUDE (category, product)
    FROM raw_sales AS r
    JOIN product_codes AS c ON c.spelling = r.product
    ANTI JOIN unused_sales AS u ON u.file_id = r.file_id AND u.line = r.line
    WHERE r.reason IS NULL
), summed AS (
    SELECT
        category,
        product,
        period_start,
        round(sum(units), 9) AS units,
        round(sum(units * price), 6) AS revenue,
        {price} AS price,
        round(avg(regular_price), 9) AS regular_price,
        count(*) AS n_rows
        {controls}
    FROM used
    GROUP BY category, product, period_start
)
SELECT * FROM summed
ORDER BY category, product, period_start
