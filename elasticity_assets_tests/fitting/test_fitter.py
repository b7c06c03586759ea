import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from elasticity_assets.fitting.fitter import CategoryToFit, FittedCategory, Fitter
from elasticity_assets.fitting.side_by_side import side_by_side
from elasticity_assets.fitting.stored_fits import new_record, pack_panels, panel_hash
from elasticity_assets.inference import engines, options, priors
from elasticity_assets.inference.natural_gradient import two_slopes as two_slopes_engine
from elasticity_assets.inference.panel import Panel
from elasticity_assets.inference.posterior import CategoryPosterior
from elasticity_assets.inference.priors import Season, SlowDemand
from elasticity_assets.inference.simulate import Simulation, simulated_panels
from elasticity_assets.inference.zoned_posterior import ZonedPosterior
from elasticity_assets.ingestion.panels import CategoryPanels
from elasticity_assets.settings import settings_of
from elasticity_assets_tests.published.test_rows import posterior, two_slopes
from elasticity_assets_tests.support.projects import make_project, settings_dict
from elasticity_assets_tests.support.zones import zoned_panel, zoned_posterior


@pytest.fixture(scope="module")
def panel() -> Panel:
    return simulated_panels(Simulation(products=4, weeks=20, categories=1))[0][0]


def fitter(folder: Path, **choices: object) -> Fitter:
    return Fitter.from_settings(make_project(folder, **choices).settings)


def test_settings_reach_the_engine(tmp_path: Path, panel: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    svi = {"max_steps": 7, "eta_bounds": [-4.0, 20.0]}
    project = make_project(tmp_path, engine="svi", likelihood="poisson", svi=svi, nuts={"chains": 3})
    fit = Fitter.from_settings(project.settings)
    seen = []
    monkeypatch.setattr(engines, "fit", lambda *args, **kwargs: seen.append((args, kwargs)) or posterior())
    fit.fit(panel, start=posterior())
    ((given, named),) = seen
    wanted = project.settings.fit
    assert given == (panel, priors.DEFAULT, fit.options)
    assert fit.options == options.FitOptions(
        "svi", "poisson", robust=True, serial_correlation=True, svi=wanted.svi, nuts=wanted.nuts
    )
    assert fit.options.svi.eta_bounds == (-4.0, 20.0)
    assert named["start"].category == posterior().category


def test_the_article_preset_overrides_the_other_settings(tmp_path: Path) -> None:
    fit = fitter(tmp_path, preset="article", engine="nuts", likelihood="auto")
    assert fit.priors == priors.ARTICLE
    assert fit.options == options.ARTICLE


def test_products_have_a_slow_demand_but_for_svi_and_where_the_settings_say_none(tmp_path: Path) -> None:
    fits = {}, {"engine": "nuts"}, {"engine": "svi"}, {"slow_demand": False}, {"preset": "article"}
    chosen = [settings_of(settings_dict() | {"fit": fit}, tmp_path, "here") for fit in fits]
    found = [Fitter.from_settings(settings).priors.slow_demand for settings in chosen]
    assert found == [SlowDemand(), SlowDemand(), None, None, None]


def test_products_have_seasons_but_for_svi_and_as_the_settings_say(tmp_path: Path) -> None:
    choices = {"engine": "nuts"}, {"engine": "svi"}, {"season": False}, {"preset": "article"}
    found = [fitter(tmp_path, **choice).priors.season for choice in choices]
    assert found == [Season(), None, None, None]
    always = fitter(tmp_path, season=True).priors
    assert always.over(days=30).season == always.season
    assert fitter(tmp_path).priors.over(days=545).season is None


@pytest.mark.parametrize("engine", ["natural_gradient", "svi"])
def test_categories_fitted_side_by_side_are_those_fitted_alone(tmp_path: Path, engine: str) -> None:
    panels, _ = simulated_panels(Simulation(products=12, weeks=20, categories=4, likelihood="poisson"))
    fit = fitter(tmp_path, engine=engine, likelihood="poisson", svi={"max_steps": 300})
    tasks = [CategoryToFit(panel.category, panel, None, "") for panel in panels]
    # All before the first one alone: NumPyro's handlers must not run in two threads.
    fits = side_by_side(fit, fit.fit_category, tasks, in_threads=fit.by_natural_gradient)
    for task, done in list(fits):
        alone = fit.fit(task.panel)
        assert done.result().category == task.key
        np.testing.assert_allclose(done.result().product_mean, alone.product_mean, rtol=1e-4, atol=1e-5)


def test_two_slopes_take_the_likelihood_of_the_one_slope(
    tmp_path: Path, panel: Panel, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    monkeypatch.setattr(two_slopes_engine, "fit", lambda *args: seen.append(args) or two_slopes())
    fit = fitter(tmp_path, likelihood="auto", engine="svi", natural_gradient={"tolerance": 1e-4})
    how = posterior().diagnostics
    fits = [
        replace(posterior(), diagnostics=replace(how, likelihood=likelihood))
        for likelihood in ("poisson", "negative_binomial")
    ]
    tasks = [FittedCategory("c", panel, one, new_record("", 1)) for one in fits]
    assert [task for task, _ in side_by_side(fit, fit.fit_two_slopes, tasks)] == tasks
    assert sorted(args[2] for args in seen) == ["negative_binomial", "poisson"]
    assert {args[3].tolerance for args in seen} == {1e-4}


def test_numpyros_engines_fit_one_category_at_a_time(tmp_path: Path) -> None:
    for choices in ({"engine": "svi"}, {"engine": "nuts", "likelihood": "auto"}, {"preset": "article"}):
        assert not fitter(tmp_path, **choices).by_natural_gradient
    assert fitter(tmp_path).by_natural_gradient


def test_a_category_with_zones_is_fitted_by_zone(tmp_path: Path, panel: Panel, monkeypatch) -> None:
    seen = []
    monkeypatch.setattr(engines, "fit", lambda *args, **kwargs: posterior())
    monkeypatch.setattr(
        engines,
        "fit_zones",
        lambda *args, **kwargs: seen.append((args, kwargs["start"])) or zoned_posterior(),
    )
    fit, zoned, last = fitter(tmp_path), zoned_panel(), zoned_posterior()
    assert isinstance(fit.fit_category(CategoryToFit("c", panel, last, "")), CategoryPosterior)
    for start in (None, posterior(), last):
        found = fit.fit_category(CategoryToFit("c", panel, start, "", zoned))
        assert isinstance(found, ZonedPosterior)
    assert seen == [((zoned, fit.priors, fit.options), start) for start in (None, None, last)]
    with pytest.raises(ValueError, match="set by zone"):
        fit.cross_check(FittedCategory("c", panel, last, new_record("", 1), zoned))


@pytest.mark.parametrize("truth", ["poisson", "negative_binomial"])
def test_auto_takes_the_likelihood_that_predicts_held_out_sales_better(tmp_path: Path, truth: str) -> None:
    simulation = Simulation(
        products=12, weeks=40, categories=1, likelihood=truth, level_mean=3.0, log_dispersion_mean=1.0
    )
    (panel,), _ = simulated_panels(simulation, seed=1)
    found = fitter(tmp_path, likelihood="auto").fit(panel)
    assert found.diagnostics.likelihood == truth


def test_a_posterior_is_judged_and_held_against_nuts(tmp_path: Path, panel: Panel) -> None:
    fit = fitter(tmp_path, nuts={"warmup": 200, "samples": 300})
    posterior = fit.fit(panel)
    task = FittedCategory("c", panel, posterior, new_record("", 1))
    heldout, samples = fit.evaluate(task), fit.compare_samples(task)
    assert len(heldout.folds().units) == panel.n_obs
    assert list(samples.product) == list(panel.product)
    check = fit.cross_check(task)
    assert check.n_products == panel.n_products
    assert check.mean_difference_rms < 0.2
    assert 0.8 < check.sd_ratio_median < 1.2
    # A posterior that is wrong is told apart.
    elsewhere = replace(posterior, product_mean=posterior.product_mean + 1.0)
    wrong = fit.cross_check(replace(task, posterior=elsewhere))
    assert wrong.mean_difference_rms > 1.0


def hash_of(fit: Fitter, panel: Panel) -> str:
    return fit.inputs_hash(panel_hash(pack_panels(CategoryPanels(panel))))


def test_the_hash_follows_sales_and_choices_and_nothing_else(tmp_path: Path, panel: Panel) -> None:
    fit = fitter(tmp_path)
    first = hash_of(fit, panel)
    assert first == hash_of(fitter(tmp_path / "elsewhere"), replace(panel, units=panel.units.copy()))
    units = panel.units.copy()
    units[0, 0] += 1
    others = [
        hash_of(fit, replace(panel, units=units)),
        hash_of(fit, replace(panel, product=np.array(["x", *panel.product[1:]]))),
        hash_of(fit, replace(panel, zero_truncated=True)),
        hash_of(fitter(tmp_path, likelihood="poisson"), panel),
        hash_of(fitter(tmp_path, likelihood="auto"), panel),
        hash_of(fitter(tmp_path, engine="svi"), panel),
        hash_of(fitter(tmp_path, preset="article"), panel),
        hash_of(fitter(tmp_path, natural_gradient={"tolerance": 1e-4}), panel),
        hash_of(fitter(tmp_path, robust=False), panel),
        hash_of(fitter(tmp_path, serial_correlation=False), panel),
    ]
    assert len({first, *others}) == 1 + len(others)


def test_it_is_pickled_small_and_finds_its_way_back(tmp_path: Path) -> None:
    fit = fitter(tmp_path, natural_gradient={"tolerance": 1e-4})
    content = pickle.dumps(fit)
    assert pickle.loads(content) == fit
    assert len(content) < 4_000
