-- name: prices_of_places
-- Of the products with the most rows: the price of each, in each place, at a time.
CREATE OR REPLACE TEMP TABLE prices_of_places AS
SELECT
    {product} AS product,
    {day} AS day,
    {place} AS place,
    median({paid}) AS price,
    max({paid}) / min({paid}) - 1 AS spread,
    count(*) AS n
FROM read_rows
SEMI JOIN (
    SELECT {product} AS chosen FROM read_rows WHERE {product} IS NOT NULL GROUP BY ALL ORDER BY count(*) DESC, chosen LIMIT $products
) AS c ON c.chosen = {product}
WHERE {day} IS NOT NULL AND {place} IS NOT NULL AND {paid} > 0
GROUP BY ALL

-- name: differing_prices
-- Product-days in several places, those at several prices, and one of these, on which the most places sold.
SELECT
    count(*),
    count_if(differ),
    arg_max(product, rank) FILTER (WHERE differ),
    arg_max(day, rank) FILTER (WHERE differ),
    arg_max(low, rank) FILTER (WHERE differ),
    arg_max(low_place, rank) FILTER (WHERE differ),
    arg_max(high, rank) FILTER (WHERE differ),
    arg_max(high_place, rank) FILTER (WHERE differ)
FROM (
    SELECT
        product,
        day,
        min(price) AS low,
        max(price) AS high,
        arg_min(place, (price, place)) AS low_place,
        arg_max(place, (price, place)) AS high_place,
        max(price) > (1 + $same) * min(price) AS differ,
        (count(*), product, day) AS rank
    FROM prices_of_places
    GROUP BY product, day
    HAVING count(*) >= 2
)

-- name: differing_within_places
SELECT avg(CAST(spread > $same AS INTEGER)) FROM prices_of_places WHERE n >= 2

-- name: prices_to_compare
-- On the product-days on which the most stores sold, numbered.
SELECT place, cell, price
FROM prices_of_places
JOIN (
    SELECT product, day, row_number() OVER (ORDER BY count(*) DESC, product, day) - 1 AS cell
    FROM prices_of_places
    GROUP BY product, day
    HAVING count(*) >= 2
    QUALIFY cell < $cells
) USING (product, day)
