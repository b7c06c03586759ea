-- The one that the macro is asked for: price_change on the left of AS is its parameter.
SELECT price_change::DOUBLE AS price_change
