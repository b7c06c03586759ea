-- name: weights_of_suspects
-- How much a row w of sales counts where its period is suspect in all zones.
-- The category is among the keys so that DuckDB looks at those only that w is of.
LEFT JOIN (
    SELECT category, product, period_start, min(weight) AS weight FROM suspect_sales WHERE zone IS NULL GROUP BY ALL
) AS suspect
    ON suspect.category = w.category AND suspect.product = w.product AND suspect.period_start = w.period_start

-- name: weight_of_suspects
coalesce(suspect.weight, 1)

-- name: weights_of_suspects_in_zones
-- And where it is in the row's own zone.
LEFT JOIN (
    SELECT category, product, zone, period_start, min(weight) AS weight
    FROM suspect_sales
    WHERE zone IS NOT NULL
    GROUP BY ALL
) AS suspect_there
    ON suspect_there.category = w.category
    AND suspect_there.product = w.product
    AND suspect_there.period_start = w.period_start
    AND suspect_there.zone = w.zone

-- name: weight_of_suspects_in_zones
least(coalesce(suspect.weight, 1), coalesce(suspect_there.weight, 1))
