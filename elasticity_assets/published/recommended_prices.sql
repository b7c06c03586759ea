-- name: products_to_price
-- What is known of each product when its price is chosen; the cost is the last one given. A price stays until it is
-- changed again: what counts is today's regular price, where it is given, since one paid may be a promotion's, and the
-- elasticity to changes that last: estimated where the product's own prices say something of it.
SELECT
    e.category,
    e.product,
    -- As in the fit, a regular price below the one paid counts as that.
    coalesce(greatest(w.regular_price, e.price_latest), e.price_mean) AS price,
    coalesce(e.price_latest, e.price_mean) AS price_paid,
    coalesce(e.units_per_period, 0) AS units,
    c.cost,
    t.elasticity,
    t.elasticity_sd,
    coalesce(x.effect, 0) AS index_effect,
    coalesce(x.effect_sd, 0) AS index_effect_sd,
    e.estimated AND t.of_own_prices AS estimated,
    coalesce(v.prices_follow_demand, false) AS confounded,
    e.price_min,
    e.price_max
FROM product_elasticity AS e
LEFT JOIN causal_evidence AS v ON v.category = e.category
INNER JOIN ({lasting}) AS t ON t.category = e.category AND t.product = e.product
LEFT JOIN control_effect AS x ON x.category = e.category AND x.control = {index}
LEFT JOIN weekly_sales AS w
    ON w.category = e.category AND w.product = e.product AND w.period_start = e.price_latest_at
LEFT JOIN (
    SELECT category, product, arg_max(cost, period_start) AS cost
    FROM weekly_sales
    WHERE cost IS NOT NULL
    GROUP BY category, product
) AS c ON c.category = e.category AND c.product = e.product
ORDER BY e.category, e.product

-- name: cross_effects_to_price
-- What a product's price does to its substitutes' units; products are named by their places in products_to_price, from 0.
WITH places AS (
    SELECT category, product, row_number() OVER (ORDER BY category, product) - 1 AS place
    FROM product_elasticity
)

SELECT
    changed.place AS changed,
    affected.place AS affected,
    c.elasticity,
    c.elasticity_sd
FROM cross_elasticity AS c
INNER JOIN places AS changed ON changed.category = c.category AND changed.product = c.other_product
INNER JOIN places AS affected ON affected.category = c.category AND affected.product = c.product
ORDER BY changed.place, affected.place
