-- Median of the prices of the sales; of the prices offered where nothing was sold.
coalesce(median(price) FILTER (WHERE units > 0), median(price))
