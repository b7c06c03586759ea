CREATE OR REPLACE TABLE weekly_sales (
    category VARCHAR,
    product VARCHAR,
    period_start DATE,
    units DOUBLE,
    revenue DOUBLE,
    price DOUBLE,
    regular_price DOUBLE,
    n_rows BIGINT,
    category_hash UBIGINT
    {controls}
)
