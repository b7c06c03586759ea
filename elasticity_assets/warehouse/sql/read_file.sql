INSERT INTO raw_sales BY NAME
WITH delivered AS (
    SELECT
        {line} AS line,
        {row} AS delivered,
        {product} AS product,
        {category} AS category,
        {store} AS store,
        {date} AS delivered_date,
        {label} AS period_label,
        {period_given} AS period_given,
        {units} AS units,
        {units_given} AS units_given,
        {price} AS price,
        {price_given} AS price_given,
        {regular_price} AS regular_price,
        {description} AS description
        {controls}
    FROM {source} AS {row}
), understood AS (
    SELECT
        *,
        coalesce(delivered_date, start_of_label(period_label, $period)) AS day,
        delivered_date IS NOT NULL AS dated
    FROM delivered
), judged AS (
    SELECT
        *,
        CASE
            WHEN product IS NULL THEN 'no product'
            WHEN regexp_full_match(product, $not_products, 'i') THEN 'not a product'
            WHEN category IS NULL THEN 'no category'
            WHEN NOT period_given THEN 'no period'
            WHEN day IS NULL THEN 'period unreadable'
            WHEN NOT units_given THEN 'no units'
            WHEN units IS NULL THEN 'units unreadable'
            WHEN NOT price_given THEN 'no price'
            WHEN price IS NULL THEN 'price unreadable'
            WHEN price <= 0 THEN 'price not positive'
        END AS reason
    FROM understood
)
SELECT
    CAST($file_id AS INTEGER) AS file_id,
    reason,
    CASE WHEN reason IS NOT NULL THEN CAST(to_json(delivered) AS VARCHAR) END AS "row",
    * EXCLUDE (delivered, delivered_date, period_label, period_given, units_given, price_given, reason)
FROM judged
