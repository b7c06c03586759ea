-- name: product_sales
-- What the products of some categories sold, or each of them in each zone, and at which prices: suspect ones are left out, unless a product has no others.
-- Units a period are those of the last 13 weeks or 3 months. Of periods without a row only those count in which nothing was
-- sold, from a product's first period on.
WITH recent AS (
    SELECT list(period_start) AS periods, min(period_start) AS first_period
    FROM (
        SELECT DISTINCT period_start
        FROM weekly_sales
        WHERE period_start > (SELECT max(period_start) FROM weekly_sales) - $recent::INTERVAL
    )
), rows_that_count AS (
    -- A product's rows that count, and those that do not, apart: many filtered sums cost more than twice as many groups.
    SELECT
        w.category,
        {key},
        {weight} > 0 AS counts,
        count(*) AS n,
        sum(w.units) AS units,
        sum(w.revenue) AS revenue,
        avg(w.price) AS price_mean,
        min(w.price) AS price_min,
        max(w.price) AS price_max,
        stddev_pop(ln(w.price)) AS log_price_sd,
        arg_max(w.price, w.period_start) AS price_latest,
        min(w.period_start) AS first_period,
        max(w.period_start) AS last_period,
        list(w.period_start) FILTER (NOT ({weight} > 0)) AS suspect_periods,
        coalesce(sum(w.units) FILTER (w.period_start >= recent.first_period), 0) AS recent_units,
        count(*) FILTER (w.period_start >= recent.first_period) AS n_recent
    FROM {sales} AS w
    CROSS JOIN recent
    {weights}
    WHERE w.category IN (SELECT unnest($categories))
    GROUP BY w.category, {key}, {weight} > 0 -- a control may be called counts
), summed AS (
    SELECT
        w.category,
        {key},
        any_value(products.product_description) AS product_description,
        any_value(products.substitutes) AS substitutes,
        coalesce(sum(w.units) FILTER (w.counts), 0) AS counted_units,
        sum(w.n)::BIGINT AS n_periods,
        sum(w.units) AS units,
        sum(w.revenue) AS revenue,
        coalesce(any_value(w.price_mean) FILTER (w.counts), any_value(w.price_mean)) AS price_mean,
        coalesce(any_value(w.price_min) FILTER (w.counts), any_value(w.price_min)) AS price_min,
        coalesce(any_value(w.price_max) FILTER (w.counts), any_value(w.price_max)) AS price_max,
        coalesce(any_value(w.log_price_sd) FILTER (w.counts), 0) AS log_price_sd,
        counted_units > 0 AS sold,
        coalesce(sum(w.n) FILTER (NOT w.counts), 0)::BIGINT AS n_suspect,
        any_value(w.first_period) FILTER (w.counts) AS first_counted,
        any_value(w.last_period) FILTER (w.counts) AS last_counted,
        coalesce(sum(w.n) FILTER (w.counts), 0)::BIGINT AS n_counted,
        any_value(w.suspect_periods) FILTER (NOT w.counts) AS suspect_periods,
        coalesce(any_value(w.price_latest) FILTER (w.counts), any_value(w.price_latest)) AS price_latest,
        coalesce(any_value(w.last_period) FILTER (w.counts), any_value(w.last_period)) AS price_latest_at,
        coalesce(sum(w.recent_units) FILTER (w.counts), 0) AS recent_units,
        coalesce(sum(w.n_recent) FILTER (w.counts), 0)::BIGINT AS n_recent,
        coalesce(sum(w.n_recent) FILTER (NOT w.counts), 0)::BIGINT AS n_recent_suspect,
        min(w.first_period) AS first_period
    FROM rows_that_count AS w
    LEFT JOIN products ON products.product = w.product
    GROUP BY w.category, {key}
)
SELECT
    s.* EXCLUDE (
        substitutes, counted_units, recent_units, n_recent, n_recent_suspect, first_period, first_counted, last_counted,
        n_counted, suspect_periods
    ),
    -- Where a period without a row counts as one without sales, the fit has all from the first to the last that count.
    CASE
        WHEN $zero AND s.n_counted > 0
        THEN len(list_filter(every_period.periods, lambda period: period BETWEEN s.first_counted AND s.last_counted))
            - coalesce(
                len(list_filter(s.suspect_periods, lambda period: period BETWEEN s.first_counted AND s.last_counted)), 0
            )
        ELSE s.n_counted
    END AS n_fitted,
    -- Whether others of its group sold anything.
    s.substitutes IS NOT NULL
    AND sum(s.counted_units) OVER (PARTITION BY s.category, s.substitutes) > 1.000000001 * s.counted_units
    AS has_substitutes,
    s.recent_units / greatest(
        CASE
            WHEN $unobserved THEN s.n_recent
            ELSE len(list_filter(recent.periods, lambda period: period >= s.first_period)) - s.n_recent_suspect
        END,
        1
    ) AS units_per_period,
    s.price_latest * units_per_period AS revenue_per_period
FROM summed AS s
CROSS JOIN recent
CROSS JOIN (SELECT list(DISTINCT period_start) AS periods FROM weekly_sales) AS every_period
ORDER BY s.category, {order}

-- name: categories_rows
-- A table's rows of some categories.
SELECT *
FROM {table}
WHERE category IN (SELECT unnest($categories::VARCHAR[]))
ORDER BY ALL

-- name: whole_categories
-- The categories whose rows in the products' and the categories' tables come from one fit.
SELECT p.category
FROM (
    SELECT
        category,
        any_value(fit_id) AS fit_id
    FROM product_elasticity
    GROUP BY category
    HAVING count(DISTINCT fit_id) = 1
) AS p
INNER JOIN category_elasticity AS c ON p.category = c.category AND p.fit_id = c.fit_id
INNER JOIN fit_diagnostics AS d ON p.category = d.category AND p.fit_id = d.fit_id

-- name: changes_since_last_refit
-- By category, how many elasticities moved by more than a limit since the last refit, and the one that moved most.
SELECT
    category,
    count(*) AS n_products,
    count(*) FILTER (abs(sds) > $limit) AS n_jumped,
    arg_max(product, abs(sds)) AS product,
    arg_max(elasticity_before, abs(sds)) AS elasticity_before,
    arg_max(elasticity, abs(sds)) AS elasticity,
    arg_max(sds, abs(sds)) AS sds
FROM (
    SELECT
        n.category,
        n.product,
        b.elasticity AS elasticity_before,
        n.elasticity,
        (n.elasticity - b.elasticity) / sqrt(n.elasticity_sd ** 2 + b.elasticity_sd ** 2) AS sds
    FROM (SELECT {columns} FROM new_rows) AS n
    INNER JOIN product_elasticity AS b ON n.category = b.category AND n.product = b.product
)
GROUP BY category
ORDER BY category
