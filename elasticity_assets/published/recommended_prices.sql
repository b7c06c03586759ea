-- name: products_to_price
-- What is known of each product when its price is chosen; the cost is the last one given. A price stays until it is
-- changed again: what counts is today's regular price, where it is given, since one paid may be a promotion's, and the
-- elasticity to changes that last: estimated where the product's own prices say something of it.
-- Units are those of the last 13 weeks, each period's as if sold at today's price: a promotion's are no base for a price
-- without it. Prices beyond half or twice today's count as these.
WITH today AS (
    SELECT
        e.category,
        e.product,
        e.elasticity,
        -- As in the fit, a regular price below the one paid counts as that.
        coalesce(greatest(w.regular_price, e.price_latest), e.price_mean) AS price
    FROM product_elasticity AS e
    LEFT JOIN weekly_sales AS w
        ON w.category = e.category AND w.product = e.product AND w.period_start = e.price_latest_at
), recent AS (
    {at_todays_price}
)
SELECT
    e.category,
    e.product,
    t.price,
    coalesce(e.price_latest, e.price_mean) AS price_paid,
    coalesce(e.units_per_period * coalesce(r.at_todays_price, 1), 0) AS units,
    c.cost,
    l.elasticity,
    l.elasticity_sd,
    coalesce(x.effect, 0) AS index_effect,
    coalesce(x.effect_sd, 0) AS index_effect_sd,
    e.estimated AND l.of_own_prices AS estimated,
    coalesce(v.prices_follow_demand, false) AS confounded,
    -- A verdict may be that there is nothing to go by.
    coalesce(v.lead_z, v.hausman_z, v.randomized_gap_z) IS NOT NULL AS tested,
    e.price_min,
    e.price_max
FROM product_elasticity AS e
LEFT JOIN causal_evidence AS v ON v.category = e.category
INNER JOIN today AS t ON t.category = e.category AND t.product = e.product
LEFT JOIN recent AS r ON r.category = e.category AND r.product = e.product
INNER JOIN ({lasting}) AS l ON l.category = e.category AND l.product = e.product
LEFT JOIN control_effect AS x ON x.category = e.category AND x.control = {index}
LEFT JOIN (
    SELECT category, product, arg_max(cost, period_start) AS cost
    FROM weekly_sales
    WHERE cost IS NOT NULL
    GROUP BY category, product
) AS c ON c.category = e.category AND c.product = e.product
ORDER BY e.category, e.product

-- name: at_todays_price
-- By how much more or less than was sold of late would be sold at today's price. In the order of the periods: a sum in any
-- other order has other last digits. Lists sorted once they are whole take a fraction of the memory of an ORDER BY within them.
SELECT
    {key},
    list_sum(list_transform(periods, lambda period: period.revalued))
    / list_sum(list_transform(periods, lambda period: period.units)) AS at_todays_price
FROM (
    SELECT
        {key},
        list_sort(list(struct_pack(
            period_start := s.period_start,
            revalued := s.units * power(least(greatest(today.price / s.price, 0.5), 2), today.elasticity),
            units := s.units
        ))) AS periods
    FROM {counting} AS s
    INNER JOIN today USING ({key})
    WHERE
        s.units > 0
        AND s.price > 0
        AND s.period_start > (SELECT max(period_start) FROM {sales}) - INTERVAL 91 DAY
    GROUP BY {key}
) AS sold

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

-- name: shared_sd
-- The part of an elasticity's error that all products of its category share: its own leans on the category's by its
-- shrinkage, and what prices take from later periods is the same for all of them.
least({elasticity_sd}, sqrt(power(e.shrinkage * c.elasticity_sd, 2) + power(coalesce(c.elasticity_later_sd, 0), 2)))

-- name: errors_of_categories
-- In the order of products_to_price.
SELECT {shared_sd} AS shared_sd
FROM product_elasticity AS e
INNER JOIN ({lasting}) AS l ON l.category = e.category AND l.product = e.product
LEFT JOIN category_elasticity AS c ON c.category = e.category
ORDER BY e.category, e.product

-- name: zones_to_price
-- What is known of each product in each zone, as products_to_price has it of all zones together; products are named by their
-- places there. To changes that last a zone's units respond by as much more than at once as the product's in all zones do.
WITH places AS (
    SELECT
        e.category,
        e.product,
        row_number() OVER (ORDER BY e.category, e.product) - 1 AS place,
        l.elasticity - e.elasticity AS later,
        greatest(power(l.elasticity_sd, 2) - power(e.elasticity_sd, 2), 0) AS later_variance
    FROM product_elasticity AS e
    INNER JOIN ({lasting}) AS l ON l.category = e.category AND l.product = e.product
), today AS (
    SELECT
        z.category,
        z.product,
        z.zone,
        z.elasticity,
        coalesce(greatest(w.regular_price, z.price_latest), z.price_latest) AS price
    FROM zone_elasticity AS z
    LEFT JOIN zone_sales AS w
        ON w.category = z.category
        AND w.product = z.product
        AND w.zone = z.zone
        AND w.period_start = z.price_latest_at
), counting AS (  -- without what is suspect
    SELECT w.*
    FROM zone_sales AS w
    {weights}
    WHERE {weight} > 0
), recent AS (
    {at_todays_price}
), charged AS (
    SELECT category, product, zone, min(price) AS price_min, max(price) AS price_max
    FROM counting
    WHERE price > 0
    GROUP BY category, product, zone
), costs AS (
    SELECT category, product, zone, arg_max(cost, period_start) AS cost
    FROM zone_sales
    WHERE cost IS NOT NULL
    GROUP BY category, product, zone
), costs_of_products AS (
    SELECT category, product, arg_max(cost, period_start) AS cost
    FROM weekly_sales
    WHERE cost IS NOT NULL
    GROUP BY category, product
)
SELECT
    p.place,
    z.zone,
    t.price,
    coalesce(z.price_latest, t.price) AS price_paid,
    coalesce(z.units_per_period * coalesce(r.at_todays_price, 1), 0) AS units,
    coalesce(c.cost, o.cost) AS cost,
    z.elasticity + p.later AS elasticity,
    sqrt(power(z.elasticity_sd, 2) + p.later_variance) AS elasticity_sd,
    z.shared_sd,
    z.estimated,
    coalesce(s.price_min, t.price) AS price_min,
    coalesce(s.price_max, t.price) AS price_max
FROM zone_elasticity AS z
INNER JOIN places AS p ON p.category = z.category AND p.product = z.product
INNER JOIN today AS t ON t.category = z.category AND t.product = z.product AND t.zone = z.zone
LEFT JOIN recent AS r ON r.category = z.category AND r.product = z.product AND r.zone = z.zone
LEFT JOIN charged AS s ON s.category = z.category AND s.product = z.product AND s.zone = z.zone
LEFT JOIN costs AS c ON c.category = z.category AND c.product = z.product AND c.zone = z.zone
LEFT JOIN costs_of_products AS o ON o.category = z.category AND o.product = z.product
ORDER BY p.place, z.zone
