-- The spellings of each product's code, and the one in use: the latest, then the most frequent.
-- Codes that differ only in case are one product. So are its categories: the latest delivered holds.
CREATE OR REPLACE TEMP TABLE product_facts AS
SELECT r.product AS spelling, r.category, r.description, max(r.day) AS last_day, max(f.place) AS place, count(*) AS n
FROM raw_sales AS r
JOIN sales_files AS f ON f.file_id = r.file_id
WHERE r.reason IS NULL
GROUP BY r.product, r.category, r.description;

CREATE OR REPLACE TEMP TABLE product_codes AS
WITH spellings AS (
    SELECT lower(spelling) AS code, spelling, max(last_day) AS last_day, sum(n) AS n
    FROM product_facts
    GROUP BY spelling
), categories AS (
    SELECT lower(spelling) AS code, category, max((last_day, place)) AS last, sum(n) AS n
    FROM product_facts
    GROUP BY code, category
), descriptions AS (
    SELECT lower(spelling) AS code, description, sum(n) AS n
    FROM product_facts
    WHERE description IS NOT NULL
    GROUP BY code, description
)
SELECT s.spelling, p.product, c.category, d.description
FROM spellings AS s
JOIN (
    SELECT code, arg_max(spelling, (last_day, n, spelling)) AS product FROM spellings GROUP BY code
) AS p ON p.code = s.code
JOIN (
    SELECT code, arg_max(category, (last, n, category)) AS category FROM categories GROUP BY code
) AS c ON c.code = s.code
LEFT JOIN (
    SELECT code, arg_max(description, (n, description)) AS description FROM descriptions GROUP BY code
) AS d ON d.code = s.code
