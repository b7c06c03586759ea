-- This refit's row of refits.
SELECT
    $refit_id AS refit_id,
    $refitted_at::TIMESTAMP AS refitted_at,
    $seconds::DOUBLE AS seconds,
    (SELECT count(*) FROM sales_files) AS n_files,
    (SELECT coalesce(sum(rows_in), 0)::BIGINT FROM sales_files) AS rows_in,
    (SELECT coalesce(sum(n_rows), 0)::BIGINT FROM weekly_sales) AS rows_used,
    (SELECT count(*) FROM rejected_sales) AS rows_rejected,
    (SELECT count(DISTINCT category) FROM product_elasticity) AS n_categories,
    (SELECT count(*) FROM product_elasticity) AS n_products,
    $failed::VARCHAR[] AS failed,
    map($packages::VARCHAR[], $versions::VARCHAR[]) AS versions
