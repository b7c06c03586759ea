-- name: products_of_columns
-- For each pair and third column: how often the product of the pair is the third, of rows where that can be told.
SELECT {counts} FROM (SELECT * FROM read_rows LIMIT 100000)

-- name: row_of_product
SELECT {units}, {price}, {revenue}
FROM read_rows
WHERE {units} > 1 AND {price} > 0 AND abs({units} * {price} - {revenue}) <= 0.005 * abs({units}) + 0.01 + 0.001 * abs({revenue})
LIMIT 1

-- name: spread_within_products
SELECT avg(amount), avg(a_unit), avg(units), avg(amounts), avg(a_units), count(*)
FROM (
    SELECT
        var_samp(ln({amount})) AS amount,
        var_samp(ln({amount} / {units})) AS a_unit,
        var_samp(ln({units})) AS units,
        count(DISTINCT round({amount}, 2)) / count(*) AS amounts,
        count(DISTINCT round({amount} / {units}, 2)) / count(*) AS a_units
    FROM read_rows
    WHERE {amount} > 0 AND {units} > 0
    GROUP BY {product}
    HAVING count(*) >= 3
)

-- name: ratio_of_revenue
-- Revenue over price times units: its quantiles, and the share of rows where it is below, at and above one.
SELECT
    quantile_cont(ratio, [0.05, 0.5, 0.95]),
    count_if(ratio < 0.995) / count(*),
    count_if(ratio > 1.005) / count(*),
    count(*)
FROM (SELECT {revenue} / ({price} * {units}) AS ratio FROM read_rows WHERE {price} > 0 AND {units} > 0 AND {revenue} > 0)

-- name: share_where
SELECT count_if({condition}), count(*) FROM read_rows WHERE {given}

-- name: example_where
SELECT {shown} FROM read_rows WHERE {condition} LIMIT 1

-- name: discount_and_price
-- Within products, over rows with and without a discount: the slope of log price on log (1 - discount), and how much of
-- its variance that explains.
SELECT regr_slope(p, d), regr_r2(p, d), regr_count(p, d), var_pop(p), var_pop(d)
FROM (
    SELECT ln(price) - avg(ln(price)) OVER w AS p, ln(kept) - avg(ln(kept)) OVER w AS d
    FROM (SELECT {product} AS product, {price} AS price, 1 - {discount} AS kept FROM read_rows WHERE {price} > 0 AND {discount} < 1)
    WINDOW w AS (PARTITION BY product)
)

-- name: discount_by_price
-- How the log of a discount goes with the log of the price, over the rows with a discount.
SELECT regr_slope(d, p), regr_r2(d, p), regr_count(d, p), var_pop(d), var_pop(p)
FROM (SELECT ln({discount}) AS d, ln({price}) AS p FROM read_rows WHERE {discount} > 0 AND {price} > 0)
