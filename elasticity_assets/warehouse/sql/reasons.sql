SELECT reason, count(*) AS n FROM rejected_sales GROUP BY reason ORDER BY n DESC, reason
