# One category's Poisson model in glmmTMB: random slope and level a product, a random effect a week.
# Prints one JSON line. Usage: Rscript mixed_model.R sales.csv (columns product, week, lp, units)
suppressPackageStartupMessages(library(glmmTMB))
sales <- read.csv(commandArgs(trailingOnly = TRUE)[1])
sales$product <- factor(sales$product)
sales$week <- factor(sales$week)
seconds <- system.time(
  fit <- glmmTMB(units ~ lp + (1 + lp | product) + (1 | week), data = sales, family = poisson)
)[["elapsed"]]
product <- attr(VarCorr(fit)$cond$product, "stddev")
week <- attr(VarCorr(fit)$cond$week, "stddev")
cat(sprintf(
  '{"glmmtmb_seconds": %.3f, "glmmtmb_tau": %.5f, "glmmtmb_level_spread": %.5f, "glmmtmb_period_spread": %.5f}\n',
  seconds, product[["lp"]], product[["(Intercept)"]], week[["(Intercept)"]]
))
