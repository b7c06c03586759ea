-- Products' rows as published: those of a category whose fit failed are the last ones, and say so.
SELECT
    * REPLACE (
        CASE
            WHEN list_contains((SELECT failed FROM this_refit), category) THEN
                concat_ws('; ', flag, 'old: this refit failed, numbers are of ' || strftime(fitted_at, '%Y-%m-%d'))
            ELSE flag
        END AS flag
    )
FROM {table}
