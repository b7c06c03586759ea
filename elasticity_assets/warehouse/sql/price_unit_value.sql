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
