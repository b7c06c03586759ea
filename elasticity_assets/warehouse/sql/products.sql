DELETE FROM products;
INSERT INTO products
SELECT DISTINCT product, category, description FROM product_codes
SEMI JOIN weekly_sales USING (product)
ORDER BY category, product
