-- name: suspect_macros
-- What price and units of a cell, or of n cells in a row, say of each other. `price` is log price and `units` log units
-- above what is usual there, `usual` the usual units, `sd` how much log units vary.
-- Units do not follow where they lie beyond 2 sds from where they would be if revenue had stayed the same; few say little.
CREATE OR REPLACE TEMP MACRO units_do_not_follow(price, units, usual, sd, n) AS
    usual >= 5
    AND sign(price) * (units - ln(usual * exp(-price) + 0.5) + ln(usual + 0.5)) * sqrt(n)
    > 2 * sqrt(greatest(sd, 0.3) ** 2 + 1 / (usual * exp(-price) + 0.5));
-- No shop charges six times the usual price: only units that say clearly that people paid it speak against a mistake.
-- Promotions go down to a fifth, where units rise. `lasting`: the cells are the product's first or last, and many.
-- Revenue that then stays as it was, at many times the price or a small part of it, is another unit of measure.
CREATE OR REPLACE TEMP MACRO suspected(price, units, usual, sd, n, lasting) AS
    CASE
        WHEN price >= ln(6.5) AND units > -1.4 * price
            THEN CASE WHEN abs(units + price) <= 0.3 * price THEN 'unit of measure' ELSE 'price' END
        WHEN price > 0 AND units > -0.25 * price AND units_do_not_follow(price, units, usual, sd, n) THEN 'price'
        WHEN lasting AND usual >= 5 AND (price >= ln(2.9) OR price <= -ln(5.5))
            AND abs(units + price) <= 0.2 * abs(price)
            THEN 'unit of measure'
        WHEN price <= -ln(8) AND units < -0.5 * price THEN 'price'
        WHEN price <= -ln(4) AND units < -0.25 * price AND units_do_not_follow(price, units, usual, sd, n)
            THEN 'price'
        WHEN price <= -ln(8) AND abs(units + price) <= -0.3 * price THEN 'unit of measure'
    END

-- name: store_macros
CREATE OR REPLACE TEMP MACRO kinds_of_stores() AS
    '(?:stores?|shops?|outlets?|branches|markets?|regions?|locations?|sites?|channels?|filialen?|markte|laden|geschafte|'
    || 'regionen|tiendas?|sucursales|regiones|magasins?|negozi|regioni|lojas|regioes|winkels|vestigingen)';

-- Of a store: whether its name is that of all of them, such as All stores, Total or Filialen gesamt.
CREATE OR REPLACE TEMP MACRO names_all_stores(x) AS
    regexp_full_match(
        lower(strip_accents(trim(x))),
        concat(
            '(?:', kinds_of_stores(), '[ _-]+)?(?:grand[ _-]?)?',
            '(?:total|totals|totale|totaal|totaux|summe|gesamt|all|alle|todas|todos|tous|toutes|tutti|tutte|overall)',
            '(?:[ _-]+(?:(?:the|las|los|les|le|i|os|as|de) )?', kinds_of_stores(), ')?:?'
        )
    )

-- name: clear_suspects
DELETE FROM suspect_sales

-- name: possible_totals
-- A category's, or all, units in each period, where in several periods one product has half of them, which is rare.
CREATE OR REPLACE TEMP TABLE possible_totals AS
SELECT {of_whom} period_start, sum(units) AS total, count(*) FILTER (units > 0) AS n, max(units) AS most
FROM (SELECT category, product, period_start, units FROM weekly_sales) -- a control may be called as what is made of them
ANTI JOIN suspect_sales USING (product)
GROUP BY {of_whom} period_start
QUALIFY count(*) FILTER (n >= 3 AND abs(2 * most - total) <= 1e-4 * total) OVER (PARTITION BY {of_whom} TRUE) >= 6

-- name: suspect_totals
-- Products whose units are the sum of all others' in nearly all periods: rows of totals, published as products. Of the
-- same category, or of all; a period counts where several others sold.
INSERT INTO suspect_sales BY NAME
WITH compared AS (
    SELECT category, product, period_start, units, total - units AS others, n >= 3 AND total > units AS counts
    FROM (SELECT category, product, period_start, units FROM weekly_sales)
    JOIN possible_totals USING ({of_whom} period_start)
    ANTI JOIN suspect_sales USING (product)
), totals AS (
    SELECT product
    FROM compared
    WHERE counts
    GROUP BY product
    HAVING count(*) >= 6 AND avg(CAST(abs(units - others) <= 1e-4 * others AS INTEGER)) >= 0.95
)
SELECT category, product, period_start, 'total row' AS what, units AS value, others AS usual, 0 AS weight
FROM compared
SEMI JOIN totals USING (product)

-- name: series_of_products
-- What is looked at by the statements that follow: each product's sales over all zones.
CREATE OR REPLACE TEMP VIEW sales_in_series AS
SELECT product AS series, category, product, CAST(NULL AS VARCHAR) AS zone, period_start, units, price
FROM weekly_sales

-- name: series_of_zones
-- Or each product's sales in each zone, but for periods that are suspect in all zones, of which enough is said.
CREATE OR REPLACE TEMP VIEW sales_in_series AS
SELECT [z.product, z.zone] AS series, z.category, z.product, z.zone, z.period_start, z.units, z.price
FROM zone_sales AS z
ANTI JOIN suspect_sales AS s
    ON s.product = z.product AND s.period_start = z.period_start AND s.zone IS NULL AND s.weight = 0

-- name: series_facts
-- How far each series reaches, which tells the few that are looked at closely. Statements choose these by HAVING: DuckDB
-- takes tables of an open transaction for empty, and what is filtered by WHERE for more than the sales that it is joined to.
CREATE OR REPLACE TEMP TABLE series_facts AS
SELECT
    series,
    any_value(category) AS category,
    min(price) AS lowest,
    max(price) AS highest,
    sum(units) AS total,
    max(units) AS most,
    count(*) AS n
FROM sales_in_series
GROUP BY series

-- name: price_series
-- Products whose prices differ so much that any may be suspect, each cell in its place.
CREATE OR REPLACE TEMP TABLE price_series AS
SELECT
    series,
    category,
    product,
    zone,
    period_start,
    price,
    ln(price) AS log_price,
    ln(units + 0.5) AS log_units,
    row_number() OVER (PARTITION BY series ORDER BY period_start) AS place
FROM sales_in_series
SEMI JOIN (SELECT series FROM series_facts GROUP BY series HAVING max(highest) > 2.5 * min(lowest)) USING (series)
ANTI JOIN (FROM suspect_sales WHERE zone IS NULL AND weight = 0) USING (product, period_start)
WHERE price > 0

-- name: price_steps
-- Prices that change for good, from one cell to the next: cents, packs, a new currency. The cells between two steps are
-- a segment; `step` is by how much its log price lies above that of the level on which the product has most cells.
CREATE OR REPLACE TEMP TABLE price_segments AS
WITH sides AS (
    SELECT
        series,
        place,
        log_price - lag(log_price) OVER (PARTITION BY series ORDER BY place) AS jump,
        quantile_disc(log_price, 0.5) OVER after - quantile_disc(log_price, 0.5) OVER before AS step,
        -- Most prices on one side lie above most of those on the other.
        greatest(
            quantile_disc(log_price, 0.25) OVER after - quantile_disc(log_price, 0.75) OVER before,
            quantile_disc(log_price, 0.25) OVER before - quantile_disc(log_price, 0.75) OVER after
        ) > ln(2) AS apart,
        count(*) OVER before >= 3 AND count(*) OVER after >= 3 AS known
    FROM price_series
    WINDOW
        before AS (PARTITION BY series ORDER BY place ROWS BETWEEN 13 PRECEDING AND 1 PRECEDING),
        after AS (PARTITION BY series ORDER BY place ROWS BETWEEN CURRENT ROW AND 12 FOLLOWING)
), jumps AS (
    SELECT * FROM sides WHERE known AND apart AND abs(step) > ln(2.5) AND jump * step > 0 AND abs(jump) > 0.5 * abs(step)
), steps AS (  -- one step is seen once, where the price jumps most
    SELECT a.*
    FROM jumps AS a
    ANTI JOIN jumps AS b
        ON a.series = b.series AND a.place <> b.place AND abs(a.place - b.place) <= 4 AND a.jump * b.jump > 0
        AND (abs(b.jump) > abs(a.jump) OR (abs(b.jump) = abs(a.jump) AND b.place < a.place))
), cells AS (
    SELECT c.series, c.place, coalesce(sum(s.step), 0) AS above_first, count(s.step) AS segment
    FROM price_series AS c
    SEMI JOIN steps USING (series)
    LEFT JOIN steps AS s ON s.series = c.series AND s.place <= c.place
    GROUP BY ALL
), segments AS (
    SELECT series, segment, above_first, min(place) AS first, max(place) AS last, count(*) AS n
    FROM cells
    GROUP BY ALL
), levels AS (
    SELECT a.series, a.above_first, a.segment, sum(b.n) AS n
    FROM segments AS a
    JOIN segments AS b ON a.series = b.series AND abs(a.above_first - b.above_first) < ln(2)
    GROUP BY ALL
), home AS (
    SELECT series, arg_max(above_first, (n, segment)) AS above_first FROM levels GROUP BY series
)
SELECT
    series,
    segment,
    first,
    last,
    s.above_first - h.above_first AS step,
    segment IN (0, max(segment) OVER (PARTITION BY series)) AS outermost
FROM segments AS s
JOIN home AS h USING (series)

-- name: level_series
-- The same cells with the steps taken out: `level` is a log price that compares with its neighbours'.
CREATE OR REPLACE TEMP TABLE level_series AS
SELECT c.*, coalesce(s.segment, 0) AS segment, c.log_price - coalesce(s.step, 0) AS level
FROM price_series AS c
LEFT JOIN price_segments AS s ON s.series = c.series AND c.place BETWEEN s.first AND s.last

-- name: suspect_steps
-- Segments off the level on which a product has most cells, where their units do not follow.
INSERT INTO suspect_sales BY NAME
WITH home AS (
    SELECT series, avg(log_units) AS log_units, coalesce(stddev_samp(log_units), 0) AS sd
    FROM level_series
    JOIN price_segments AS s USING (series, segment)
    WHERE abs(s.step) < ln(2)
    GROUP BY series
), off AS (
    SELECT
        s.series,
        s.segment,
        s.step,
        suspected(s.step, avg(c.log_units) - h.log_units, exp(h.log_units) - 0.5, h.sd, count(*), count(*) >= 8 AND s.outermost) AS what
    FROM price_segments AS s
    JOIN level_series AS c USING (series, segment)
    JOIN home AS h USING (series)
    WHERE abs(s.step) >= ln(2.5)
    GROUP BY s.series, s.segment, s.step, s.outermost, h.log_units, h.sd
)
SELECT category, product, zone, period_start, what, price AS value, round(exp(log_price - step), 9) AS usual, 0 AS weight
FROM level_series
JOIN off USING (series, segment)
WHERE what IS NOT NULL

-- name: suspect_cells
-- Single prices, or a few in a row, far from those around them, which few of them share, where their units do not follow.
INSERT INTO suspect_sales BY NAME
WITH compared AS (
    SELECT
        *,
        quantile_disc(level, 0.5) OVER around AS usual,
        mad(level) OVER around AS spread
    FROM level_series
    WINDOW around AS (PARTITION BY series ORDER BY place ROWS BETWEEN 13 PRECEDING AND 13 FOLLOWING)
), far AS (
    SELECT *, level - usual AS above
    FROM compared
    WHERE abs(level - usual) > greatest(ln(2.5), least(5 * 1.4826 * spread, ln(6.5)))
), judged AS (
    SELECT
        f.category,
        f.product,
        f.zone,
        f.period_start,
        f.price,
        f.above,
        f.log_units - coalesce(avg(n.log_units) FILTER (like_usual), f.log_units) AS units_above,
        exp(coalesce(avg(n.log_units) FILTER (like_usual), f.log_units)) - 0.5 AS usual_units,
        coalesce(stddev_samp(n.log_units) FILTER (like_usual), 0) AS sd,
        count(*) FILTER (abs(n.level - f.level) < 0.25) <= 0.25 * count(*) AS rare
    FROM far AS f
    JOIN (FROM level_series) AS n
        ON n.series = f.series AND n.segment = f.segment AND n.place <> f.place
        AND n.place BETWEEN f.place - 13 AND f.place + 13
    CROSS JOIN LATERAL (SELECT abs(n.level - f.usual) < ln(2) AS like_usual)
    GROUP BY f.series, f.category, f.product, f.zone, f.period_start, f.price, f.above, f.log_units
)
SELECT *
FROM (
    SELECT
        category,
        product,
        zone,
        period_start,
        suspected(above, units_above, usual_units, sd, 1, FALSE) AS what,
        price AS value,
        round(price * exp(-above), 9) AS usual,
        0 AS weight
    FROM judged
    WHERE rare OR abs(above) >= ln(6.5)
)
WHERE what IS NOT NULL

-- name: suspect_units
-- Units many times those around them and beyond all that the product ever sold, at a price that does not explain it, in a
-- period in which the category sold as usual. Few units say little: sds are of log units.
INSERT INTO suspect_sales BY NAME
WITH ranked AS (
    SELECT *, row_number() OVER w AS rank, units > 3 * lead(units) OVER w AS gap
    FROM sales_in_series
    SEMI JOIN (
        SELECT series
        FROM series_facts
        GROUP BY series
        HAVING min(lowest) > 0 AND max(most) > 8 * (sum(total) - max(most)) / greatest(sum(n) - 1, 1)
    ) USING (series)
    WINDOW w AS (PARTITION BY series ORDER BY units DESC, period_start)
), series AS (
    SELECT
        *,
        ln(units + 0.5) AS log_units,
        ln(price) AS log_price,
        -- Few lie so high, and all others far below.
        rank <= 3 AND bool_or(gap AND rank <= 3) OVER (PARTITION BY series ORDER BY rank DESC) AS high,
        row_number() OVER (PARTITION BY series ORDER BY period_start) AS place
    FROM ranked
), judged AS (
    SELECT
        s.category,
        s.product,
        s.zone,
        s.period_start,
        s.units,
        exp(avg(n.log_units)) - 0.5 AS usual,
        s.log_units - avg(n.log_units) - 6 * greatest(0, avg(n.log_price) - s.log_price) AS above,
        greatest(coalesce(stddev_samp(n.log_units), 0), 0.3) ** 2 + 1 / exp(avg(n.log_units)) AS variance
    FROM series AS s
    JOIN series AS n ON n.series = s.series AND NOT n.high AND n.place BETWEEN s.place - 13 AND s.place + 13
    WHERE s.high
    GROUP BY s.series, s.category, s.product, s.zone, s.period_start, s.units, s.log_units, s.log_price
    HAVING count(*) >= 4
), high AS (
    SELECT * FROM judged WHERE above > greatest(ln(7), 6 * sqrt(variance))
), of_periods AS (
    SELECT category, period_start, median(log_units - usual) AS above
    FROM (
        SELECT category, period_start, ln(units + 0.5) AS log_units, avg(ln(units + 0.5)) OVER (PARTITION BY series) AS usual
        FROM sales_in_series
        SEMI JOIN high USING (category)
    )
    GROUP BY ALL
    HAVING count(*) >= 3
)
SELECT j.category, j.product, j.zone, j.period_start, 'units' AS what, j.units AS value, j.usual, 0 AS weight
FROM high AS j
LEFT JOIN of_periods AS p ON p.category = j.category AND p.period_start = j.period_start
ANTI JOIN suspect_sales AS s
    ON s.product = j.product AND s.period_start = j.period_start AND s.zone IS NOT DISTINCT FROM j.zone
WHERE
    j.above - greatest(coalesce(p.above, 0), 0) > greatest(ln(7), 6 * sqrt(j.variance))

-- name: suspect_levels
-- Products whose prices are all a large multiple, or a small part, of the category's: cents among euros. A constant factor
-- changes no elasticity, so that they count. Levels are looked at where a product's highest price lies far above the
-- median of the products' lowest, or its lowest far below that of their highest: in few categories.
INSERT INTO suspect_sales BY NAME
WITH possible AS (
    SELECT f.category
    FROM series_facts AS f
    LEFT JOIN (
        SELECT product, count(DISTINCT period_start) AS n FROM suspect_sales GROUP BY product
    ) AS s ON s.product = f.series
    WHERE f.lowest > 0 AND f.n > coalesce(s.n, 0)
    GROUP BY f.category
    HAVING ln(max(f.highest)) - median(ln(f.lowest)) > ln(30) OR median(ln(f.highest)) - ln(min(f.lowest)) > ln(30)
), levels AS (
    SELECT category, product, median(ln(price)) AS level
    FROM weekly_sales
    SEMI JOIN possible USING (category)
    ANTI JOIN suspect_sales USING (product, period_start)
    WHERE price > 0
    GROUP BY category, product
), compared AS (
    SELECT
        product,
        level - median(level) OVER of_category AS above,
        mad(level) OVER of_category AS spread,
        count(*) OVER of_category AS n
    FROM levels
    WINDOW of_category AS (PARTITION BY category)
)
SELECT
    w.category,
    w.product,
    w.period_start,
    'price' AS what,
    w.price AS value,
    round(w.price * exp(-c.above), 9) AS usual,
    1 AS weight
FROM weekly_sales AS w
JOIN compared AS c ON c.product = w.product
ANTI JOIN suspect_sales AS s ON s.product = w.product
WHERE c.n >= 5 AND abs(c.above) > greatest(ln(30), 5 * 1.4826 * c.spread)

-- name: several_files
SELECT count(*) > 1 FROM sales_files

-- name: no_suspect_files
CREATE OR REPLACE TEMP TABLE cells_of_suspect_files (file VARCHAR, above DOUBLE, product VARCHAR, period_start DATE)

-- name: suspect_files
-- Files in which nearly all products' prices are a large multiple, or a small part, of those in the other files. A
-- product's own level is that of the file in the middle, rows counted; its periods with rows of such a file do not count.
CREATE OR REPLACE TEMP TABLE suspect_files AS
WITH levels AS (
    SELECT c.product, r.file_id, sum(r.log_price) / sum(r.n) AS level, CAST(sum(r.n) AS BIGINT) AS n
    FROM (
        SELECT product, file_id, sum(ln(price)) AS log_price, count(*) AS n
        FROM raw_sales
        WHERE reason IS NULL
        GROUP BY product, file_id
    ) AS r
    JOIN product_codes AS c ON c.spelling = r.product
    GROUP BY c.product, r.file_id
), shared AS (
    SELECT
        *,
        sum(n) OVER (PARTITION BY product ORDER BY level, file_id) AS n_up_to,
        sum(n) OVER (PARTITION BY product) AS n_rows
    FROM levels
    QUALIFY count(*) OVER (PARTITION BY product) > 1
), own AS (
    SELECT product, min(level) AS level FROM shared WHERE 2 * n_up_to >= n_rows GROUP BY product
), compared AS (
    SELECT s.file_id, s.level - o.level AS above
    FROM shared AS s
    JOIN own AS o USING (product)
)
SELECT file_id, f.file, median(above) AS above
FROM compared
JOIN sales_files AS f USING (file_id)
GROUP BY file_id, f.file
HAVING
    count(*) >= 3
    AND greatest(count(*) FILTER (above > ln(8)), count(*) FILTER (above < -ln(8))) >= 0.8 * count(*)

-- name: cells_of_suspect_files
INSERT INTO cells_of_suspect_files
SELECT DISTINCT f.file, f.above, c.product, CAST(date_trunc($period, r.day) AS DATE) AS period_start
FROM raw_sales AS r
JOIN suspect_files AS f USING (file_id)
JOIN product_codes AS c ON c.spelling = r.product
ANTI JOIN unused_sales AS u ON u.file_id = r.file_id AND u.line = r.line
WHERE r.reason IS NULL

-- name: suspect_of_files
INSERT INTO suspect_sales BY NAME
SELECT DISTINCT ON (w.product, w.period_start)
    w.category,
    w.product,
    w.period_start,
    'price' AS what,
    w.price AS value,
    round(w.price * exp(-f.above), 9) AS usual,
    0 AS weight
FROM weekly_sales AS w
JOIN cells_of_suspect_files AS f ON f.product = w.product AND f.period_start = w.period_start
ANTI JOIN suspect_sales AS s ON s.product = w.product AND s.period_start = w.period_start
ORDER BY w.product, w.period_start, abs(f.above) DESC

-- name: total_places
-- Stores, or zones, that are the sum of the others: their units are, in nearly all periods; or they are named so, and
-- sell as much.
WITH of_places AS (
    SELECT {place} AS place, date_trunc($period, day) AS period_start, sum(units) AS units
    FROM raw_sales
    WHERE reason IS NULL AND {place} IS NOT NULL
    GROUP BY ALL
), compared AS (
    SELECT
        place,
        units,
        sum(units) OVER cell - units AS others,
        count(*) FILTER (units > 0) OVER cell >= 3 AND sum(units) OVER cell > units AS counts
    FROM of_places
    WINDOW cell AS (PARTITION BY period_start)
)
SELECT place, 'by its units' AS why
FROM compared
WHERE counts
GROUP BY place
HAVING count(*) >= 6 AND avg(CAST(abs(units - others) <= 1e-4 * others AS INTEGER)) >= 0.95
UNION ALL
SELECT place, 'by its name' AS why
FROM compared
WHERE names_all_stores(place)
GROUP BY place
HAVING sum(units) >= 0.5 * sum(others) AND sum(others) > 0
ORDER BY place, why

-- name: suspect_counts
SELECT what, count(*) FROM suspect_sales GROUP BY what

-- name: suspects_in_words
-- What is suspect, in as few groups as it may be said in: a file; periods, with most products of a category; a product,
-- in all zones or in one, with several periods; a cell. Of each how many cells and products, from when to when, and the cell
-- that is furthest off.
WITH cells AS (
    SELECT s.*, ln(times) AS above, abs(ln(times)) AS off, round(log10(times)) AS magnitude, f.file
    FROM suspect_sales AS s
    CROSS JOIN LATERAL (SELECT greatest(s.value, 1e-9) / greatest(s.usual, 1e-9) AS times)
    LEFT JOIN (SELECT product, period_start, min(file) AS file FROM cells_of_suspect_files GROUP BY ALL) AS f
        ON s.what = 'price' AND s.zone IS NULL AND f.product = s.product AND f.period_start = s.period_start
), sold AS (
    SELECT category, period_start, count(*) AS n
    FROM weekly_sales
    SEMI JOIN suspect_sales USING (category)
    GROUP BY ALL
), of_periods AS (
    SELECT category, period_start, what
    FROM cells
    JOIN sold USING (category, period_start)
    WHERE file IS NULL AND zone IS NULL
    GROUP BY category, period_start, what, n
    HAVING count(*) >= 3 AND 2 * count(*) >= n
), scoped AS (
    SELECT
        c.*,
        CASE
            WHEN file IS NOT NULL THEN 'file'
            WHEN p.what IS NOT NULL THEN 'periods'
            WHEN count(*) FILTER (file IS NULL AND p.what IS NULL) OVER (PARTITION BY c.product, c.zone, c.what) >= 3 THEN 'product'
            ELSE 'cell'
        END AS scope
    FROM cells AS c
    LEFT JOIN of_periods AS p
        ON p.category = c.category AND p.period_start = c.period_start AND p.what = c.what AND c.zone IS NULL
)
SELECT
    what,
    scope,
    any_value(file) AS file,
    count(*) AS n_cells,
    count(DISTINCT product) AS n_products,
    min(period_start) AS first,
    max(period_start) AS last,
    exp(median(above)) AS times,
    arg_max((category, product, zone, period_start, value, usual), off) AS example
FROM scoped
GROUP BY
    what,
    scope,
    CASE scope WHEN 'file' THEN file WHEN 'periods' THEN CAST(magnitude AS VARCHAR) ELSE product END,
    zone,
    CASE WHEN scope = 'cell' THEN period_start END
ORDER BY
    what,
    list_position(['file', 'periods', 'product', 'cell'], scope),
    n_cells DESC,
    max(off) DESC,
    example
