DELETE FROM unused_sales
