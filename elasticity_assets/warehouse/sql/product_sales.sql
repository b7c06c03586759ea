-- What the products of some categories sold, and at which prices.
SELECT
    weekly_sales.category,
    product,
    any_value(products.product_description) AS product_description,
    count(*) AS n_periods,
    sum(units) AS units,
    sum(revenue) AS revenue,
    avg(price) AS price_mean,
    min(price) AS price_min,
    max(price) AS price_max,
    stddev_pop(ln(price)) AS log_price_sd
FROM weekly_sales
LEFT JOIN products USING (product)
WHERE weekly_sales.category IN (SELECT unnest($categories))
GROUP BY weekly_sales.category, product
ORDER BY weekly_sales.category, product
