"""Draw the pictures of docs/story-of-a-product.md, and print its numbers: python docs/make_story.py.

Takes the market that the story's `elasticity simulate` draws its sales from, its prices not rounded to cents, fits it
with ever more terms of the model, and writes docs/images/story_*.svg.
"""

from dataclasses import replace
from pathlib import Path

import altair as alt
import numpy as np
import pandas as pd
import vl_convert

from elasticity_assets.inference import engines
from elasticity_assets.inference.category_price_index import with_category_price_index
from elasticity_assets.inference.departures import DEPARTURES, Market
from elasticity_assets.inference.options import FitOptions
from elasticity_assets.inference.panel import CategorySales, Panel, panel_from_sales
from elasticity_assets.inference.posterior import CategoryPosterior
from elasticity_assets.inference.price_lags import with_price_lags
from elasticity_assets.inference.priors import DEFAULT, Season, SlowDemand
from elasticity_assets.inference.season import PRICE_SEASON, sine_and_cosine, with_price_season
from elasticity_assets.inference.simulate import FIRST_PERIOD
from elasticity_assets.inference.substitute_prices import with_substitute_prices
from elasticity_assets.inference.summaries import long_run_summary, product_summary

IMAGES = Path(__file__).parent / "images"
PRODUCT, SEED, PRODUCTS, WEEKS, LAGS = 10, 2, 40, 156, 4
"""Place of the story's product, `p11`, in its category; what `elasticity simulate` is told; `fit.lags`."""

WITHOUT = {
    "level, own price, weeks of the category": {"season", "slow_demand", "substitutes", "lags"},
    "+ season": {"slow_demand", "substitutes", "lags"},
    "+ slow demand": {"substitutes", "lags"},
    "+ prices of substitutes": {"lags"},
    "+ earlier prices: all terms": set(),
}
"""What each step leaves out."""

BLUE, ORANGE, GREY, RED = "#3b7fc4", "#d9822b", "#8a94a3", "#d1392b"
WIDTH = 620


def laid_out(market: Market, units: np.ndarray) -> Panel:
    """Lay the category's sales out."""
    row, week = np.divmod(np.arange(units.size), WEEKS)
    sales = CategorySales(
        "category_1",
        np.char.add("p", np.char.zfill((row + 1).astype(str), 2)),
        FIRST_PERIOD + 7 * week,
        units.ravel(),
        np.exp(market.log_price).ravel(),
    )
    return panel_from_sales(sales)


def fitted_without(without: set[str], panel: Panel, group: np.ndarray) -> tuple[Panel, CategoryPosterior]:
    """Fit the category as the default settings say, but for some terms; and what was fitted."""
    lags = 0 if "lags" in without else LAGS
    panel = with_price_lags(with_category_price_index(panel, lags), lags)
    if "season" not in without:
        panel = with_price_season(panel, Season.least_days)
    if "substitutes" not in without:
        panel = with_substitute_prices(panel, group)
    terms = {"slow_demand": SlowDemand(), "season": Season()}
    priors = replace(DEFAULT, **{name: term for name, term in terms.items() if name not in without})
    return panel, engines.fit(panel, priors, FitOptions(robust=True, serial_correlation=True))


def spreadsheet_slope(panel: Panel) -> float:
    """Least squares of the product's log units on its log price, and nothing else."""
    T = panel.n_periods
    return float(np.polyfit(panel.log_price[PRODUCT, :T], np.log(panel.units[PRODUCT, :T] + 0.5), 1)[0])


def sales_picture(sales: pd.DataFrame) -> alt.VConcatChart:
    """Units and price over the weeks."""
    week = alt.X("week:T", title=None)
    units = (
        alt.Chart(sales)
        .mark_bar(color=BLUE, width=3)
        .encode(x=week, y=alt.Y("units:Q", title="units a week"))
    )
    price = (
        alt.Chart(sales)
        .mark_line(color=ORANGE, interpolate="step-after", strokeWidth=1.2)
        .encode(x=week, y=alt.Y("price:Q", title="price", scale=alt.Scale(zero=False)))
    )
    return alt.vconcat(units.properties(width=WIDTH, height=170), price.properties(width=WIDTH, height=90))


def spreadsheet_picture(sales: pd.DataFrame, season: np.ndarray) -> alt.LayerChart:
    """Units against price on logarithmic axes, with the line of least squares."""
    when = np.where(season > 0, "in its season", "out of it")
    cloud = sales.assign(when=when, at_least=np.maximum(sales["units"], 0.5))
    slope, level = np.polyfit(np.log(sales["price"]), np.log(sales["units"] + 0.5), 1)
    ends = np.array([sales["price"].min(), sales["price"].max()])
    line = pd.DataFrame({"price": ends, "at_least": np.exp(level + slope * np.log(ends))})
    x = alt.X("price:Q", scale=alt.Scale(type="log", nice=False, padding=12), title="price (logarithmic)")
    y = alt.Y(
        "at_least:Q", scale=alt.Scale(type="log", nice=False, padding=8), title="units a week (logarithmic)"
    )
    colour = alt.Color(
        "when:N", title=None, scale=alt.Scale(domain=["in its season", "out of it"], range=[RED, BLUE])
    )
    points = alt.Chart(cloud).mark_circle(size=36, opacity=0.75).encode(x=x, y=y, color=colour)
    return (
        points + alt.Chart(line).mark_line(color="#444444", strokeDash=[6, 4]).encode(x=x, y=y)
    ).properties(width=WIDTH - 80, height=260)


def season_of(panel: Panel, posterior: CategoryPosterior) -> np.ndarray:
    """Log season of the product in each week, with what it shares with its prices' season."""
    effect = posterior.weight @ posterior.control_mean[:, posterior.control.index(PRICE_SEASON)]
    shared = panel.controls[PRODUCT, : panel.n_periods, panel.control.index(PRICE_SEASON)] * effect
    return posterior.season[PRODUCT] @ sine_and_cosine(panel.period) + shared


def demand_picture(panel: Panel, posterior: CategoryPosterior, market: Market) -> alt.VConcatChart:
    """Demand at the usual price, as found and as drawn; and the parts that are the product's own."""
    T = panel.n_periods
    season, slow = season_of(panel, posterior), posterior.slow_demand[PRODUCT]
    parts = {"season": season, "slow demand": slow}
    others = np.array([name != PRICE_SEASON for name in panel.control])
    controls = panel.controls[PRODUCT, :T] @ (others * (posterior.weight @ posterior.control_mean))
    found = posterior.level[PRODUCT] + posterior.period_effect + controls + season + slow
    both = pd.concat(
        pd.DataFrame({"week": panel.period, "units": np.exp(values), "which": which})
        for which, values in {"true": market.demand[PRODUCT], "found": found}.items()
    )
    factors = pd.concat(
        pd.DataFrame({"week": panel.period, "factor": np.exp(values), "which": which})
        for which, values in parts.items()
    )

    def lines(rows: pd.DataFrame, y: alt.Y, colours: dict[str, str]) -> alt.Chart:
        scale = alt.Scale(domain=list(colours), range=list(colours.values()))
        return (
            alt.Chart(rows)
            .mark_line(strokeWidth=1.6)
            .encode(x=alt.X("week:T", title=None), y=y, color=alt.Color("which:N", title=None, scale=scale))
        )

    above = lines(both, alt.Y("units:Q", title="units at the usual price"), {"true": GREY, "found": BLUE})
    log_scale = alt.Scale(type="log", nice=False, padding=8)
    below = lines(
        factors,
        alt.Y("factor:Q", title="times usual", scale=log_scale),
        {"season": RED, "slow demand": ORANGE},
    )
    return alt.vconcat(
        above.properties(width=WIDTH - 90, height=170), below.properties(width=WIDTH - 90, height=130)
    ).resolve_scale(color="independent")


def steps_picture(rows: pd.DataFrame, truth: dict[str, float]) -> alt.FacetChart:
    """Elasticity by step, with its interval, beside the truth."""
    rows = rows.assign(truth=rows["which"].map(truth))
    base = alt.Chart(rows).encode(y=alt.Y("step:N", sort=list(dict.fromkeys(rows["step"])), title=None))
    bars = base.mark_rule(color=BLUE, strokeWidth=3).encode(
        x=alt.X("low:Q", title="elasticity", scale=alt.Scale(padding=10)), x2="high:Q"
    )
    dots = base.mark_circle(color=BLUE, size=70, opacity=1).encode(x="mean:Q")
    true = base.mark_rule(color=RED, strokeDash=[5, 4]).encode(x="truth:Q", y=alt.Y())
    return (
        alt.layer(true, bars, dots)
        .properties(width=WIDTH / 2 - 110, height=180)
        .facet(column=alt.Column("which:N", title=None, sort=list(truth)))
    )


def promotion_picture(posterior: CategoryPosterior, market: Market) -> alt.LayerChart:
    """Change of units by a week at 20% less, in that week and the four after it, as found and as drawn."""
    effects = posterior.weight @ posterior.control_mean
    later = [effects[posterior.control.index(f"price_lag_{lag}")] for lag in (1, 2, 3, 4)]
    own = float(posterior.weight @ posterior.product_mean[:, PRODUCT])
    borrowed = market.later[PRODUCT] / 0.9
    drawn = [market.elasticity[PRODUCT], *(borrowed * share for share in (0.4, 0.25, 0.15, 0.1))]
    weeks = ["in the week", *(f"{lag} later" if lag > 1 else "1 week later" for lag in (1, 2, 3, 4))]
    rows = pd.DataFrame(
        {"week": weeks, "found": 0.8 ** np.array([own, *later]) - 1, "drawn": 0.8 ** np.array(drawn) - 1}
    )
    x = alt.X("week:N", sort=weeks, title=None, axis=alt.Axis(labelAngle=0))
    y = alt.Y("found:Q", title="change of units", axis=alt.Axis(format="+%"))
    bars = alt.Chart(rows).mark_bar(color=BLUE, width=46).encode(x=x, y=y)
    ticks = alt.Chart(rows).mark_tick(color=RED, thickness=3, width=60).encode(x=x, y="drawn:Q")
    return (bars + ticks).properties(width=WIDTH - 120, height=200)


def main() -> None:
    """Draw the pictures and print the numbers."""
    market = DEPARTURES["all_at_once"](np.random.default_rng([SEED, 0]), PRODUCTS, WEEKS)
    bare = laid_out(market, market.units())
    rows, slope = [], spreadsheet_slope(bare)
    for step, without in WITHOUT.items():
        panel, posterior = fitted_without(without, bare, market.group)
        for which, found in {
            "in the week": product_summary(posterior),
            "to a change that lasts": long_run_summary(posterior),
        }.items():
            rows.append((which, step, found.mean[PRODUCT], found.q05[PRODUCT], found.q95[PRODUCT]))
    rows = [
        (which, "spreadsheet", *[slope] * 3) for which in ("in the week", "to a change that lasts")
    ] + rows
    steps = pd.DataFrame(rows, columns=["which", "step", "mean", "low", "high"])
    truth = {
        "in the week": market.elasticity[PRODUCT],
        "to a change that lasts": market.long_run[PRODUCT],
    }
    print(steps.round(2).to_string(), truth)
    sales = pd.DataFrame(
        {
            "week": panel.period,
            "units": panel.units[PRODUCT, : panel.n_periods],
            "price": np.exp(panel.log_price[PRODUCT, : panel.n_periods]),
        }
    )
    season = season_of(panel, posterior)
    pictures = {
        "sales": sales_picture(sales),
        "spreadsheet": spreadsheet_picture(sales, season),
        "demand": demand_picture(panel, posterior, market),
        "promotion": promotion_picture(posterior, market),
        "steps": steps_picture(steps, truth),
    }
    for name, chart in pictures.items():
        whole = chart.configure(background="white", font="Helvetica, Arial, sans-serif")
        svg = vl_convert.vegalite_to_svg(whole.configure_view(stroke=None).to_json())
        (IMAGES / f"story_{name}.svg").write_text(svg + "\n", encoding="utf-8")
    effects = posterior.weight @ posterior.control_mean
    print(dict(zip(posterior.control, effects.round(2).tolist(), strict=True)))


if __name__ == "__main__":
    main()
