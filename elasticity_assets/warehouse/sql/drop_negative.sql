DELETE FROM weekly_sales WHERE units < 0
