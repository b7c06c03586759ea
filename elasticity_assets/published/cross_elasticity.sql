-- name: cross_elasticity
-- The effect of the others' mean price, shared out by what each of the others sells in periods that count.
WITH sold AS (
    SELECT w.category, w.product, p.substitutes, sum(w.units) AS units
    FROM weekly_sales AS w
    INNER JOIN products AS p ON p.product = w.product
    LEFT JOIN (
        SELECT product, period_start, min(weight) AS weight FROM suspect_sales WHERE zone IS NULL GROUP BY ALL
    ) AS s
        ON s.product = w.product AND s.period_start = w.period_start
    WHERE p.substitutes IS NOT NULL AND coalesce(s.weight, 1) > 0
        AND w.category IN (SELECT category FROM control_effect WHERE control = $control)
    GROUP BY ALL
),

members AS (
    SELECT
        s.*,
        e.fit_id,
        sum(s.units) OVER of_group AS units_of_group,
        row_number() OVER (of_group ORDER BY s.units DESC, s.product) AS place
    FROM sold AS s
    INNER JOIN product_elasticity AS e ON e.category = s.category AND e.product = s.product
    WINDOW of_group AS (PARTITION BY s.category, s.substitutes)
)

SELECT
    own.category,
    own.product,
    other.product AS other_product,
    c.effect * other.units / (own.units_of_group - own.units) AS elasticity,
    c.effect_sd * other.units / (own.units_of_group - own.units) AS elasticity_sd,
    c.effect_q05 * other.units / (own.units_of_group - own.units) AS elasticity_q05,
    c.effect_q95 * other.units / (own.units_of_group - own.units) AS elasticity_q95,
    own.fit_id
FROM members AS own
INNER JOIN members AS other ON other.category = own.category AND other.substitutes = own.substitutes
INNER JOIN control_effect AS c ON c.category = own.category AND c.control = $control
WHERE other.product <> own.product
    AND other.units > 0
    -- Without itself.
    AND other.place <= $most_others + CASE WHEN own.place <= $most_others THEN 1 ELSE 0 END
ORDER BY own.category, own.product, other.product
