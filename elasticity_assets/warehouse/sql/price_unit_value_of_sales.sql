-- Revenue over units where all rows are sales.
round(sum(units * price), 6) / round(sum(units), 9)
