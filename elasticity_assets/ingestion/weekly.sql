-- name: name_macros
-- What all spellings of a name have in common: Unicode's normal form, without regard to case.
CREATE OR REPLACE TEMP MACRO name_key(x) AS
    replace(replace(nfc_normalize(lower(nfc_normalize(x))), 'ß', 'ss'), 'ς', 'σ');

-- Without the quotes, backslashes, semicolons and unseen characters at both ends.
CREATE OR REPLACE TEMP MACRO without_marks(x) AS
    regexp_extract(x, '^[\s\pZ\p{Cf}\p{Pi}\p{Pf}"''`´′″„‚;\\]*(.*?)[\s\pZ\p{Cf}\p{Pi}\p{Pf}"''`´′″„‚;\\]*$', 1, 's');

-- A quote at an end that no other closes, and that is no sign of inches (TV 42"); a semicolon, backslash or unseen
-- character there.
CREATE OR REPLACE TEMP MACRO has_stray_mark(x) AS
    regexp_matches(x, '^[;\\\p{Cf}]|[;\\\p{Cf}]$')
    OR (
        regexp_matches(x, '^"|"$')
        AND (length(x) - length(replace(x, '"', ''))) % 2 = 1
        AND NOT regexp_matches(x, '(^|[^\pL\d])\d+([.,/]\d+)?"$')
    );

-- name: product_facts
-- How products and categories are spelled in rows that are not in the future. Keys are made of the distinct spellings,
-- which are far fewer than the rows.
CREATE OR REPLACE TEMP TABLE product_facts AS
SELECT
    r.product AS spelling,
    name_key(r.product) AS code,
    r.category,
    name_key(r.category) AS category_key,
    list_concat([r.description, r.substitutes], r.attributes) AS texts,
    r.last_day,
    r.place,
    r.n
FROM (
    SELECT
        r.product,
        r.category,
        r.description,
        r.substitutes,
        r.attributes,
        max(r.day) AS last_day,
        max(f.place) AS place,
        count(*) AS n
    FROM raw_sales AS r
    JOIN sales_files AS f ON f.file_id = r.file_id
    WHERE r.reason IS NULL
        AND r.day < CAST(date_trunc($period, $today::DATE) + CAST('1 ' || $period AS INTERVAL) AS DATE)
    GROUP BY r.product, r.category, r.description, r.substitutes, r.attributes
) AS r

-- name: product_codes
-- Spellings of one name are one product, or one category: its most frequent spelling is shown. A product's category is
-- the one delivered last; of its texts, the description, the group of substitutes and the attributes, each is its most frequent one.
CREATE OR REPLACE TEMP TABLE category_names AS
SELECT category_key, nfc_normalize(arg_max(category, (n, category))) AS category
FROM (SELECT category_key, category, sum(n) AS n FROM product_facts GROUP BY category_key, category)
GROUP BY category_key;

CREATE OR REPLACE TEMP TABLE product_codes AS
WITH spellings AS (
    SELECT code, spelling, max(last_day) AS last_day, sum(n) AS n
    FROM product_facts
    GROUP BY code, spelling
), categories AS (
    SELECT code, category_key, max((last_day, place)) AS last, sum(n) AS n
    FROM product_facts
    GROUP BY code, category_key
), texts AS (
    SELECT code, place, "text", sum(n) AS n
    FROM (SELECT code, n, generate_subscripts(texts, 1) AS place, unnest(texts) AS "text" FROM product_facts)
    GROUP BY code, place, "text"
)
SELECT s.spelling, s.code, p.product, k.category, t.texts
FROM spellings AS s
JOIN (
    SELECT code, nfc_normalize(arg_max(spelling, (n, last_day, spelling))) AS product FROM spellings GROUP BY code
) AS p ON p.code = s.code
JOIN (
    SELECT code, arg_max(category_key, (last, n, category_key)) AS category_key FROM categories GROUP BY code
) AS c ON c.code = s.code
JOIN category_names AS k ON k.category_key = c.category_key
JOIN (
    SELECT code, list("text" ORDER BY place) AS texts
    FROM (
        SELECT code, place, arg_max("text", (n, "text")) FILTER ("text" IS NOT NULL) AS "text"
        FROM texts
        GROUP BY code, place
    )
    GROUP BY code
) AS t ON t.code = s.code

-- name: product_places
-- Products in the order in which sales are stored: numbers are grouped and sorted faster than texts. Sales lie by their
-- category's hash, since DuckDB knows of a block of texts only how they begin: so it reads no block of other categories.
CREATE OR REPLACE TEMP TABLE product_places AS
SELECT *, CAST(row_number() OVER (ORDER BY category_hash, category, product) AS INTEGER) AS place
FROM (SELECT DISTINCT product, category, md5_number_lower(category) AS category_hash FROM product_codes);

CREATE OR REPLACE TEMP TABLE places_of_spellings AS
SELECT spelling, place FROM product_codes JOIN product_places USING (product)

-- name: zone_codes
-- Spellings of one name are one zone: its most frequent spelling is shown.
CREATE OR REPLACE TEMP TABLE zone_codes AS
WITH spellings AS (
    SELECT zone AS spelling, name_key(zone) AS code, n
    FROM (SELECT zone, count(*) AS n FROM raw_sales WHERE reason IS NULL AND zone IS NOT NULL GROUP BY zone)
)
SELECT s.spelling, c.zone
FROM spellings AS s
JOIN (
    SELECT code, nfc_normalize(arg_max(spelling, (n, spelling))) AS zone FROM spellings GROUP BY code
) AS c ON c.code = s.code

-- name: join_zone_codes
JOIN zone_codes AS z ON z.spelling = r.zone

-- name: leave_out_without_zone
-- Of files that are gone, and were read before the settings named zones.
INSERT INTO unused_sales
SELECT r.file_id, r.line, 'no zone'
FROM raw_sales AS r
ANTI JOIN unused_sales AS u ON u.file_id = r.file_id AND u.line = r.line
WHERE r.reason IS NULL AND r.zone IS NULL

-- name: clear_unused_sales
DELETE FROM unused_sales

-- name: clear_products
DELETE FROM products

-- name: leave_out_future
-- By the clock, each time anew: what is in the future today will be sales.
INSERT INTO unused_sales
SELECT file_id, line, 'period in the future'
FROM raw_sales
WHERE reason IS NULL AND CAST(date_trunc($period, day) AS DATE) > $today

-- name: find_replaced
-- Where files overlap: for each product, store, zone and date as delivered, the latest file that delivers it.
-- Files whose dates do not overlap are not looked at.
CREATE OR REPLACE TEMP TABLE latest_delivery AS
WITH ordered AS (
    SELECT *, row_number() OVER (ORDER BY place, file) AS turn FROM sales_files
), overlapping AS (
    SELECT a.file_id, a.turn
    FROM ordered AS a
    SEMI JOIN ordered AS b
        ON a.file_id <> b.file_id AND a.first_day <= b.last_day AND b.first_day <= a.last_day
)
SELECT c.code, r.store, {zone} r.day, max(o.turn) AS turn
FROM raw_sales AS r
JOIN overlapping AS o ON o.file_id = r.file_id
JOIN product_codes AS c ON c.spelling = r.product
{join_zones}
WHERE r.reason IS NULL
GROUP BY ALL
HAVING min(o.turn) < max(o.turn)

-- name: leave_out_replaced
INSERT INTO unused_sales
WITH ordered AS (
    SELECT *, row_number() OVER (ORDER BY place, file) AS turn FROM sales_files
)
SELECT r.file_id, r.line, 'replaced by ' || winner.file
FROM raw_sales AS r
JOIN ordered AS own ON own.file_id = r.file_id
JOIN product_codes AS c ON c.spelling = r.product
{join_zones}
JOIN latest_delivery AS d
    ON d.code = c.code AND d.store IS NOT DISTINCT FROM r.store AND d.day = r.day AND own.turn < d.turn {same_zone}
JOIN ordered AS winner ON winner.turn = d.turn
ANTI JOIN unused_sales AS u ON u.file_id = r.file_id AND u.line = r.line
WHERE r.reason IS NULL

-- name: incomplete_periods
-- The first and last period, where days are summed and days on which the shop trades are missing from it.
-- Days are summed where files deliver dates, and a period mostly has several. The shop trades on a weekday
-- that has at least half as many dates as the busiest.
WITH dates AS (
    SELECT day, CAST(date_trunc($period, day) AS DATE) AS period_start
    FROM (SELECT DISTINCT day FROM raw_sales WHERE reason IS NULL AND dated AND day <= $today)
), weekdays AS (
    SELECT isodow(day) AS weekday, count(*) AS n FROM dates GROUP BY weekday
), trading AS (
    SELECT weekday FROM weekdays WHERE 2 * n >= (SELECT max(n) FROM weekdays)
), span AS (
    SELECT
        min(day) AS first_day,
        max(day) AS last_day,
        min(period_start) AS first_period,
        max(period_start) AS last_period,
        count(*) >= 1.5 * count(DISTINCT period_start) AS summed
    FROM dates
), labelled AS (
    SELECT min(day) AS first_label, max(day) AS last_label FROM raw_sales WHERE reason IS NULL AND NOT dated
), missing AS (
    SELECT CAST(day AS DATE) AS day
    FROM span, unnest(
        generate_series(CAST(first_period AS TIMESTAMP), first_day - INTERVAL 1 DAY, INTERVAL 1 DAY)
        || generate_series(
            last_day + INTERVAL 1 DAY,
            last_period + CAST('1 ' || $period AS INTERVAL) - INTERVAL 1 DAY,
            INTERVAL 1 DAY
        )
    ) AS days (day)
    WHERE isodow(day) IN (SELECT weekday FROM trading)
)
SELECT
    CASE WHEN summed AND first_period <= coalesce(first_label, first_period)
        AND EXISTS (FROM missing WHERE missing.day < first_day) THEN first_period END AS first_incomplete,
    CASE WHEN summed AND last_period >= coalesce(last_label, last_period)
        AND EXISTS (FROM missing WHERE missing.day > last_day) THEN last_period END AS last_incomplete
FROM span, labelled
WHERE $period <> 'day'

-- name: leave_out_incomplete
INSERT INTO unused_sales
SELECT
    r.file_id,
    r.line,
    CASE CAST(date_trunc($period, r.day) AS DATE)
        WHEN $first_incomplete THEN 'incomplete first period' ELSE 'incomplete last period'
    END
FROM raw_sales AS r
ANTI JOIN unused_sales AS u ON u.file_id = r.file_id AND u.line = r.line
WHERE r.reason IS NULL AND CAST(date_trunc($period, r.day) AS DATE) IN ($first_incomplete, $last_incomplete)

-- name: leave_out_negative
INSERT INTO unused_sales
SELECT r.file_id, r.line, 'more returned than sold'
FROM raw_sales AS r
JOIN product_codes AS c ON c.spelling = r.product
{join_zones}
JOIN {sales} AS d ON d.product = c.product AND d.period_start = CAST(date_trunc($period, r.day) AS DATE) {same_zone}
ANTI JOIN unused_sales AS u ON u.file_id = r.file_id AND u.line = r.line
WHERE r.reason IS NULL AND d.units < 0

-- name: drop_negative
DELETE FROM {sales} WHERE units < 0

-- name: products
INSERT INTO products BY NAME
SELECT
    product,
    category,
    texts[1] AS product_description,
    texts[2] AS substitutes,
    map($attributes::VARCHAR[], texts[3:]) AS attributes
FROM (SELECT DISTINCT product, category, texts FROM product_codes)
SEMI JOIN (SELECT DISTINCT product FROM weekly_sales) USING (product)
ORDER BY category, product

-- name: price_unit_value
-- Revenue over units, returns netted; of the sales alone where returns at other prices put it outside the
-- prices paid; the mean price offered where nothing was sold.
coalesce(
    CASE
        WHEN round(sum(units), 9) > 0
            AND round(sum(units * price), 6) / round(sum(units), 9)
                BETWEEN min(price) FILTER (WHERE units > 0) AND max(price) FILTER (WHERE units > 0)
        THEN round(sum(units * price), 6) / round(sum(units), 9)
    END,
    round(round(sum(units * price) FILTER (WHERE units > 0), 6) / round(sum(units) FILTER (WHERE units > 0), 9), 9),
    round(avg(price), 9)
)

-- name: holds_returns
-- Whether any usable row is a return, or no sale at all.
SELECT EXISTS (FROM raw_sales WHERE reason IS NULL AND units <= 0)

-- name: price_unit_value_of_sales
-- Revenue over units where all rows are sales.
round({sum}(units * price), 6) / round({sum}(units), 9)

-- name: price_unit_value_of_one_row
CASE
    WHEN units > 0 AND round(units * price, 6) / round(units, 9) = price THEN price
    WHEN units > 0 THEN round(round(units * price, 6) / round(units, 9), 9)
    ELSE round(price, 9)
END

-- name: price_median_of_one_row
price

-- name: holds_several_rows
-- Whether any product-period, or zone's, has several rows: if not, as where files have one line each, none are added up.
-- 63 periods share a bit mask: far fewer groups than there are product-periods.
SELECT coalesce(bool_or(n_rows > n_periods), false)
FROM (
    SELECT count(*) AS n_rows, bit_count(bit_or(CAST(1 AS BIGINT) << CAST(number % 63 AS INTEGER))) AS n_periods
    FROM (
        SELECT coalesce(s.product, r.product) AS product, {zone} date_diff($period, DATE '0001-01-01', r.day) AS number
        FROM raw_sales AS r
        LEFT JOIN (FROM product_codes WHERE spelling <> product) AS s ON s.spelling = r.product
        {join_zones}
        ANTI JOIN unused_sales AS u ON u.file_id = r.file_id AND u.line = r.line
        WHERE r.reason IS NULL
    ) AS z
    GROUP BY product, {zone} number // 63
)

-- name: weekly_batches
-- Products in batches of about as many rows: the place of the first of each.
SELECT min(place) AS first_place
FROM (
    SELECT place, CAST(sum(n) OVER (ORDER BY place ROWS UNBOUNDED PRECEDING) AS BIGINT) // $rows AS batch
    FROM (
        SELECT p.place, sum(f.n) AS n
        FROM product_facts AS f
        JOIN places_of_spellings AS p ON p.spelling = f.spelling
        GROUP BY p.place
    )
)
GROUP BY batch
ORDER BY first_place

-- name: add_up
-- Returns are netted in their period, and zone. Sums are rounded, so that the order of adding does not show.
-- regular_price, cost and the controls are plain means over the rows of the product-period: a mean weighted by
-- units would follow demand, which they are to explain. A price is random only where all sales are at one that was drawn.
-- A product is its place, under a name that no control can have, until rows are sorted: what is sorted is narrow. Threads
-- may store some rows out of order; all are found by values.
INSERT INTO {sales} BY NAME
WITH summed AS (
    SELECT
        c.place AS product,
        {zone}
        CAST(date_trunc($period, r.day) AS DATE) AS period_start,
        round({sum}(units), 9) AS units,
        round({sum}(units * price), 6) AS revenue,
        {price} AS price,
        {regular_price} AS regular_price,
        {cost} AS cost,
        {randomized} AS randomized,
        {n_rows} AS n_rows
        {controls}
    FROM raw_sales AS r
    JOIN (FROM places_of_spellings {of_batch}) AS c ON c.spelling = r.product
    {join_zones}
    ANTI JOIN unused_sales AS u ON u.file_id = r.file_id AND u.line = r.line
    WHERE r.reason IS NULL
    {group_by}
)
SELECT p.category, p.category_hash, p.product, s.* EXCLUDE (product)
FROM (FROM summed AS s ORDER BY s.product, {by_zone} s.period_start) AS s
JOIN product_places AS p ON p.place = s.product

-- name: clear_zones
DELETE FROM zones

-- name: clear_zone_sales
DELETE FROM zone_sales

-- name: zones
-- What is known of a zone is the mean of its stores: a store counts once, however many rows it has.
INSERT INTO zones BY NAME
SELECT zone, map($covariates::VARCHAR[], [{means}]::DOUBLE[]) AS covariates
FROM (
    SELECT z.zone, r.store {means_of_store}
    FROM raw_sales AS r
    JOIN zone_codes AS z ON z.spelling = r.zone
    ANTI JOIN unused_sales AS u ON u.file_id = r.file_id AND u.line = r.line
    WHERE r.reason IS NULL
    GROUP BY ALL
)
GROUP BY zone
ORDER BY zone

-- name: all_randomized
-- Prices of several stores, or days, add up to a unit value, which buyers choose: that was drawn only where it is one
-- price, but for rounding.
coalesce(
    bool_and(coalesce(randomized, false)) FILTER (WHERE units >= 0)
    AND max(price) FILTER (WHERE units >= 0) <= 1.001 * min(price) FILTER (WHERE units >= 0),
    false
)

-- name: randomized_at_several_prices
-- Product-periods, of a zone where there are some, whose sales are all marked as random, but at several prices.
SELECT count(*)
FROM (
    SELECT 1
    FROM raw_sales AS r
    JOIN product_codes AS c ON c.spelling = r.product
    {join_zones}
    ANTI JOIN unused_sales AS u ON u.file_id = r.file_id AND u.line = r.line
    WHERE r.reason IS NULL AND r.units >= 0
    GROUP BY c.product, {zone} date_trunc($period, r.day)
    HAVING bool_and(coalesce(r.randomized, false)) AND max(r.price) > 1.001 * min(r.price)
)

-- name: one_randomized
units >= 0 AND coalesce(randomized, false)

-- name: none_randomized
CAST(NULL AS BOOLEAN)

-- name: of_batch
WHERE place >= $first_place AND (place < $next_place OR $next_place IS NULL)

-- name: accounts
SELECT
    (SELECT coalesce(sum(rows_in), 0) FROM sales_files) AS rows_in,
    (SELECT coalesce(sum(units_in), 0) FROM sales_files) AS units_in,
    (SELECT coalesce(sum(units), 0) FROM rejected_sales) AS units_rejected,
    coalesce(sum(n_rows), 0) AS rows_used,
    coalesce(sum(units), 0) AS units_used,
    (SELECT count(DISTINCT category) FROM products) AS n_categories,
    (SELECT count(*) FROM products) AS n_products,
    count(DISTINCT period_start) AS n_periods,
    count(*) AS n_product_periods,
    min(period_start) AS first_period,
    max(period_start) AS last_period
FROM weekly_sales

-- name: changed_categories
-- Products delivered in several categories, the latest last.
WITH several AS (
    SELECT code FROM product_facts GROUP BY code HAVING min(category_key) < max(category_key)
)
SELECT c.product, list(k.category ORDER BY k.category = c.category, f.last_day, k.category)
FROM (
    SELECT code, category_key, max(last_day) AS last_day
    FROM product_facts
    SEMI JOIN several USING (code)
    GROUP BY code, category_key
) AS f
JOIN category_names AS k ON k.category_key = f.category_key
JOIN (SELECT DISTINCT code, product, category FROM product_codes SEMI JOIN several USING (code)) AS c ON c.code = f.code
GROUP BY c.product
ORDER BY c.product

-- name: mangled_codes
-- Product codes that were changed on their way: by a spreadsheet, such as 5.01234E+12, and 123 beside 00123; or by marks
-- at their ends that broken quoting or escaping leaves, or nobody sees, such as P001" beside P001.
SELECT product, 'digits are lost' AS why
FROM products
WHERE regexp_full_match(product, '\d([.,]\d+)?E\+\d+', 'i')
UNION ALL
SELECT product, 'the same number as ' || other
FROM (
    SELECT
        product,
        first(product) OVER (PARTITION BY number ORDER BY length(product), product) AS other
    FROM (
        SELECT product, regexp_extract(product, '^0*(\d+?)(?:\.0+)?$', 1) AS number
        FROM products
        WHERE regexp_full_match(product, '\d+(\.0+)?')
    )
)
WHERE product <> other
UNION ALL
SELECT product, 'but for marks at its ends the same as ' || other
FROM (
    SELECT product, first(product) OVER (PARTITION BY name_key(bare) ORDER BY length(product), product) AS other
    FROM (SELECT product, without_marks(product) AS bare FROM products)
    WHERE bare <> ''
)
WHERE product <> other
UNION ALL
SELECT product, 'a mark at its end, as hardly another code has'
FROM (
    SELECT product, bare, count(*) OVER (PARTITION BY name_key(bare)) AS n_alike, avg(marked::INT) OVER () AS share
    FROM (SELECT product, without_marks(product) AS bare, has_stray_mark(product) AS marked FROM products)
    QUALIFY marked
)
WHERE bare <> '' AND n_alike = 1 AND share <= 0.05
ORDER BY product

-- name: reasons
SELECT reason, count(*) AS n FROM rejected_sales GROUP BY reason ORDER BY n DESC, reason

-- name: unusable_rows
-- Rows that could not be used as delivered, and all rows; and their units without their signs.
SELECT
    count(*) FILTER (WHERE unusable),
    count(*),
    coalesce(sum(abs(units)) FILTER (WHERE unusable), 0),
    coalesce(sum(abs(units)), 0)
FROM (
    SELECT r.units, coalesce(r.reason NOT IN ('not a product', 'row of totals', 'duplicate row'), u.line IS NOT NULL) AS unusable
    FROM raw_sales AS r
    LEFT JOIN (
        SELECT file_id, line FROM unused_sales WHERE reason IN ('period in the future', 'no zone')
    ) AS u ON u.file_id = r.file_id AND u.line = r.line
)

-- name: unusable_row
SELECT file, line, reason, left("row", 200)
FROM rejected_sales
WHERE reason = (
    SELECT reason
    FROM (
        SELECT reason FROM raw_sales WHERE reason NOT IN ('not a product', 'row of totals', 'duplicate row')
        UNION ALL
        SELECT reason FROM unused_sales WHERE reason IN ('period in the future', 'no zone')
    )
    GROUP BY reason
    ORDER BY count(*) DESC, reason
    LIMIT 1
)
ORDER BY file, line
LIMIT 1

-- name: weekly_contract
-- What weekly_sales and zone_sales must never hold: each fault with how many rows have it, and one of them. No row is no fault.
WITH faulty AS (
    SELECT *
    FROM {sales}
    WHERE coalesce(trim(category), '') = '' OR coalesce(trim(product), '') = ''
        OR (period_start <= $today AND units >= 0 AND isfinite(units) AND price > 0 AND isfinite(price)) IS NOT TRUE
), repeating AS (
    -- Products with more rows than periods. 63 days of one weekday share a bit mask: far fewer groups than there are
    -- product-periods.
    SELECT product
    FROM (SELECT product, {zone} period_start - DATE '0001-01-01' AS number FROM {sales} AS z) AS z
    GROUP BY product, {zone} number // 441, number % 7
    HAVING count(*) > bit_count(bit_or(CAST(1 AS BIGINT) << CAST(number // 7 % 63 AS INTEGER)))
), faults AS (
    SELECT unnest([
        CASE WHEN coalesce(trim(category), '') = '' THEN 'a blank category' END,
        CASE WHEN coalesce(trim(product), '') = '' THEN 'a blank product' END,
        CASE WHEN period_start IS NULL THEN 'no period' END,
        CASE WHEN period_start > $today THEN 'a period in the future' END,
        CASE WHEN (units >= 0 AND isfinite(units)) IS NOT TRUE THEN 'units that are negative or no number' END,
        CASE WHEN (price > 0 AND isfinite(price)) IS NOT TRUE THEN 'a price that is not positive or no number' END
    ]) AS fault, category, product, period_start
    FROM faulty
    UNION ALL
    SELECT 'a product-period twice', category, product, period_start
    FROM {sales} AS z
    SEMI JOIN repeating USING (product)
    GROUP BY category, product, {zone} period_start
    HAVING count(*) > 1
)

SELECT
    fault,
    count(*) AS n_rows,
    format('{{}}, {{}}, {{}}', min(category), min(product), min(period_start)) AS example
FROM faults
WHERE fault IS NOT NULL
GROUP BY fault
ORDER BY fault

-- name: zones_add_up
-- Product-periods of which weekly_sales and zone_sales say something else.
SELECT
    'zones that do not add up' AS fault,
    count(*) AS n_rows,
    format('{}, {}, {}', min(category), min(product), min(period_start)) AS example
FROM weekly_sales
FULL JOIN (
    SELECT category, product, period_start, sum(units) AS units_of_zones, sum(n_rows) AS rows_of_zones
    FROM zone_sales
    GROUP BY ALL
) AS z USING (category, product, period_start)
WHERE (abs(units - units_of_zones) <= 1e-6 * greatest(units, 1) AND n_rows = rows_of_zones) IS NOT TRUE
HAVING count(*) > 0

-- name: price_median
-- Median of the prices of the sales; of the prices offered where nothing was sold.
coalesce(median(price) FILTER (WHERE units > 0), median(price))
