SELECT DISTINCT period_start FROM weekly_sales ORDER BY period_start
