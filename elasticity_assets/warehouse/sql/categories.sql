SELECT DISTINCT category FROM weekly_sales ORDER BY category
