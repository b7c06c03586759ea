-- name: share_of_marked_that_vary
-- Of the products with marked rows, the share that has others, too; NULL where none is marked.
SELECT avg(CAST(some_not AS INTEGER))
FROM (
    SELECT bool_or(marked = 0) AS some_not, bool_or(marked = 1) AS some_marked
    FROM (SELECT {product} AS product, {marked} AS marked FROM delivered)
    GROUP BY product
)
WHERE some_marked
