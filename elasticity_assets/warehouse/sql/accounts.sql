SELECT
    (SELECT coalesce(sum(rows_in), 0) FROM sales_files) AS rows_in,
    (SELECT coalesce(sum(units_in), 0) FROM sales_files) AS units_in,
    (SELECT coalesce(sum(units), 0) FROM rejected_sales) AS units_rejected,
    coalesce(sum(n_rows), 0) AS rows_used,
    coalesce(sum(units), 0) AS units_used,
    count(DISTINCT category) AS n_categories,
    count(DISTINCT product) AS n_products,
    count(DISTINCT period_start) AS n_periods,
    count(*) AS n_product_periods,
    min(period_start) AS first_period,
    max(period_start) AS last_period
FROM weekly_sales
