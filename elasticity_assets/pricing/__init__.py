"""Which prices to change: the best of a ladder of prices for each product, under the posterior and within rules.

products        what is known of each product: data
ladder          the prices that each may have
gains           what a price brings, in closed form: expectations, quantiles, probabilities
options         each product's ladder with its gains, and which rules forbid which price
groups          rules between products, kept by mixed-integer programming
category_index  what many prices of a category do together: changes to take back
choice          the price of each product alone
recommend       the choice for all products at once
zones           the price of each product in each zone
uniform         what one price change in all zones costs, against prices by zone
changes         what the chosen prices do, product by product
together        what moved prices of a group bring in sum, with intervals
reasons         why, in words
"""
