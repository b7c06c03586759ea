"""The natural-gradient engine over a category too large for memory: parts of its products, each read, used and dropped.

A pass reads the parts twice, once to sum up what they say about what all products share (`one_pass.look`), once to move
them by the step that follows (`one_pass.move`); only sums of the shared vector's size stay. What is known of each
product lies beside its sales in a folder. The next part is read, and the last one written, while one is computed.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P

from elasticity_assets.inference import season
from elasticity_assets.inference.density.expectations import Family
from elasticity_assets.inference.devices import AXIS, Leaf, device_mesh, to_devices
from elasticity_assets.inference.natural_gradient import arrow, first_state, one_pass, slow_demand, tau_grid
from elasticity_assets.inference.natural_gradient.blocks import Blocks
from elasticity_assets.inference.natural_gradient.damping import OfRows, OfScales
from elasticity_assets.inference.natural_gradient.engine import STATE_SPECS, base_of_rows
from elasticity_assets.inference.natural_gradient.iteration import is_moving, judge
from elasticity_assets.inference.natural_gradient.one_pass import Moved, MovedRows, Seen, Solved
from elasticity_assets.inference.natural_gradient.result import posterior_of_runs, tolerance_off_mode
from elasticity_assets.inference.natural_gradient.state import (
    FAR_AWAY,
    Found,
    Hyper,
    Run,
    State,
)
from elasticity_assets.inference.options import Likelihood, NaturalGradientOptions, Progress
from elasticity_assets.inference.panel import Panel
from elasticity_assets.inference.posterior import CategoryPosterior
from elasticity_assets.inference.priors import Priors

T = TypeVar("T")

_BEGINNING = "beginning"  # the folder of the first state


class _OfPart(NamedTuple):
    """What is known of the products of a part; arrays as of `State`, `OfRows` and `Found`, of NumPy."""

    theta: Leaf
    var: Leaf
    log_size: Leaf
    size_var: Leaf
    damping: OfRows
    theta_cov: Leaf
    theta_lead: Leaf
    slow: slow_demand.OfRows


def fit(
    parts: Iterable[Panel],
    priors: Priors,
    likelihood: Likelihood,
    options: NaturalGradientOptions,
    folder: Path,
    *,
    on_progress: Progress | None = None,
) -> Iterator[CategoryPosterior]:
    """Fit one category whose products come in parts, over the devices of one process.

    Parameters
    ----------
    parts : iterable of Panel
        Of one category, with the same periods and controls and different products; the first is the largest. Gone over
        once.
    priors : Priors
    likelihood : {'negative_binomial', 'poisson'}
    options : NaturalGradientOptions
    folder : Path
        Empty, on a fast disk; some 30 bytes a product-period, and 40 for each part of a grid of tau, lie there until
        the caller removes it.
    on_progress : callable, optional
        Called with (passes done, ELBO), at the mode of tau and at each point of its grid.

    Returns
    -------
    iterator of CategoryPosterior
        One a part, in their order: its products, and the category as all parts say. The fit is done by the first.

    Raises
    ------
    ValueError
        If there are no parts, or they do not fit together.
    """
    began = time.perf_counter()
    with ThreadPoolExecutor(2) as threads:
        stream = _Stream.begin(parts, priors, likelihood, options, folder, threads)
        runs, weight, mode_at = stream.over_tau(options, on_progress)
        for number in range(stream.count):
            yield posterior_of_runs(
                stream.blocks(number),
                priors,
                likelihood,
                [stream.run_of_part(run, number) for run in runs],
                weight,
                mode_at,
                options,
                log_base=stream.log_base,
                began=began,
            )


@dataclass(frozen=True)
class _Stream:
    """One category's parts in a folder.

    Attributes
    ----------
    folder : Path
    count : int
        Of parts.
    products : int
        In all parts.
    common : Panel
        The first part, for what all have in common.
    rows_like, part_like : Rows and _OfPart
        Shapes of what the files hold.
    places : dict of float to str
        Where in the folder what is known of the products lies, by log tau.
    """

    folder: Path
    count: int
    products: int
    common: Panel
    rows_like: arrow.Rows
    part_like: _OfPart
    priors: Priors
    family: Family
    hyper: Hyper
    mesh: Mesh
    log_base: float
    max_passes: int
    places: dict[float, str]
    threads: ThreadPoolExecutor

    @classmethod
    def begin(
        cls,
        parts: Iterable[Panel],
        priors: Priors,
        likelihood: Likelihood,
        options: NaturalGradientOptions,
        folder: Path,
        threads: ThreadPoolExecutor,
    ) -> "_Stream":
        """Write the parts' rows into the folder."""
        mesh = device_mesh()
        common, count, products, base = None, 0, 0, 0.0
        for panel in parts:
            if common is None:
                common, priors = panel, priors.over(season.length(panel.period))
            elif not _fits(panel, common):
                raise ValueError(
                    f"part {count + 1} of category {panel.category!r} has other periods, controls or units, or more "
                    "products, than the first"
                )
            blocks = Blocks.cut(panel, priors, [panel.log_price], mesh.size, len(common.units))
            base += float(
                np.sum(np.asarray(base_of_rows(blocks.rows.units, blocks.rows.weight)), dtype=float)
            )
            _write(folder / f"rows_{count}.npy", blocks.rows)
            np.save(folder / f"product_{count}.npy", panel.product)
            count, products = count + 1, products + panel.n_products
        if common is None:
            raise ValueError("a category needs at least one part")
        hyper = Hyper.of(common, priors, 1)
        return cls(
            folder=folder,
            count=count,
            products=products,
            common=common,
            rows_like=_shapes(blocks.rows),
            part_like=_part_like(blocks.rows, hyper),
            priors=priors,
            family=Family(likelihood == "negative_binomial", common.zero_truncated),
            hyper=hyper,
            mesh=mesh,
            log_base=base,
            max_passes=options.max_passes,
            places={},
            threads=threads,
        )

    @property
    def lead(self) -> int:
        """How many numbers products share before the period effects: m + K."""
        return len(self.hyper.is_period) - self.common.units.shape[1]

    def _begin_balanced(self) -> State:
        """Write where products start, and return what they share there; see `first_state`."""
        slope = self.priors.category_mean
        is_period = np.asarray(self.hyper.is_period)[self.lead :] > 0

        def read() -> Iterator[tuple[arrow.Rows, np.ndarray]]:
            for rows in self._each(self.rows):
                yield rows, first_state.price_factor(rows, slope)

        before, period_effect, shift = first_state.balance(read, is_period)
        nothing = jax.tree.map(lambda like: np.zeros(like.shape, np.float32), self.part_like)
        (self.folder / _BEGINNING).mkdir()
        sums = np.zeros(3)
        for number, (rows, by_price) in enumerate(read()):
            level, real = np.log(first_state.product_factor(rows, by_price, before)) + shift, rows.real
            centred = level - slope * rows.slope_mean[:, 0]
            sums += [(real * centred).sum(), (real * level).sum(), (real * level**2).sum()]
            no_season = [np.zeros_like(real)] * rows.season.shape[1]
            theta = np.stack([slope * real, *no_season, level * real], axis=1).astype(np.float32)
            log_size = (self.priors.log_dispersion_mean * real).astype(np.float32)
            slow = first_state.no_slow_demand(rows, self.hyper)
            self._write_part(_BEGINNING, number, nothing._replace(theta=theta, log_size=log_size, slow=slow))
        level_mean, mean, square = sums / self.products
        level_sd = float(np.sqrt(max(square - mean**2, 0.0)))
        shared, log_scale = first_state.cold(self.hyper, self.priors, period_effect, level_mean, level_sd)
        none, centre = np.zeros(0, np.float32), np.float32(self.priors.log_dispersion_mean)
        slow = slow_demand.OfRows(none, none, none)
        slow_common = slow_demand.Common.at(self.hyper.slow)
        return State(none, none, none, none, shared, log_scale, centre, slow, slow_common)

    def over_tau(
        self, options: NaturalGradientOptions, on_progress: Progress | None
    ) -> tuple[list[Run], np.ndarray, int]:
        """Fit at the mode, and over the grid of tau; the runs hold what products share."""
        mode = self._run(self._begin_balanced(), _BEGINNING, "mode", 1.0, options.tolerance)
        self.places[float(mode.state.log_scale[0])] = "mode"

        def run_at(near: Run, log_tau: float) -> Run:
            place = f"tau_{len(self.places)}"
            state = tau_grid.at_tau(near.state, log_tau)
            start = self.places[float(near.state.log_scale[0])]
            run = self._run(state, start, place, 0.0, tolerance_off_mode(options))
            self.places[float(run.state.log_scale[0])] = place
            return run

        most = tau_grid.most_points(options.grid_points, self.products, self.hyper.scale)
        return tau_grid.over_tau(run_at, mode, most, self.log_base, on_progress)

    def _run(self, state: State, start: str, place: str, learning: float, tolerance: float) -> Run:
        """Iterate to convergence, as `iterate`, from what lies in one folder to another."""
        (self.folder / place).mkdir()
        found, passes = _nothing_found(), 0
        learns = np.float32(learning)
        gaussian = np.asarray(start != _BEGINNING)
        trace = np.full(self.max_passes, np.nan, np.float32)
        scales = OfScales.first(state.log_scale)
        on = {"mesh": self.mesh, "family": self.family}
        while bool(is_moving(found, passes, tolerance, self.max_passes)):
            seen = one_pass.nothing_seen(len(state.shared))
            for rows, part in self._each(partial(self._rows_and_part, start)):
                seen = _look(seen, rows, _with(state, part), gaussian, **on)
            solved = _solve(self.hyper, state, self.lead, seen, learns, self.family)
            moved, longest = (
                one_pass.nothing_moved(self.part_like.theta.shape[1]),
                np.zeros(one_pass.LONGEST, np.float32),
            )
            writing: list[Future] = []
            for number, (rows, part) in enumerate(self._each(partial(self._rows_and_part, start))):
                damping = part.damping if passes else OfRows.first(part.log_size)
                moved, longest, now, damping = _move(
                    moved,
                    longest,
                    rows,
                    _with(state, part),
                    solved,
                    damping,
                    gaussian,
                    learns,
                    scales.share[-1],
                    self.hyper.is_period,
                    **on,
                )
                after = _OfPart(
                    now.theta,
                    now.var,
                    now.log_size,
                    now.size_var,
                    damping,
                    now.theta_cov,
                    now.theta_lead,
                    now.slow,
                )
                if len(writing) > 1:
                    writing.pop(0).result()
                writing.append(self.threads.submit(self._write_part, place, number, after))
            for future in writing:
                future.result()
            last, before = found, state
            state, found = _settle(
                self.hyper, state, self.lead, seen, solved, moved, longest, scales, learns, self.family
            )
            scales = scales.after(before, state)
            found, near = judge(found, last, passes, gaussian, learns, self.max_passes)
            trace[passes] = found.objective
            passes, gaussian, start = passes + 1, gaussian | near, place
        return jax.device_get(Run(state, found, np.asarray(passes), trace))

    def run_of_part(self, run: Run, number: int) -> Run:
        """Put a part's own arrays into a run."""
        part = self._part(self.places[float(run.state.log_scale[0])], number)
        state = _with(run.state, part)._replace(var=None)
        return run._replace(
            state=state, found=run.found._replace(theta_cov=part.theta_cov, theta_lead=part.theta_lead)
        )

    def blocks(self, number: int) -> Blocks:
        """Rows of a part, with what a posterior needs of its panel: names."""
        product = np.load(self.folder / f"product_{number}.npy")
        return Blocks(replace(self.common, product=product), self.rows(number))

    def rows(self, number: int) -> arrow.Rows:
        """Read a part's rows."""
        return _read(self.folder / f"rows_{number}.npy", self.rows_like)

    def _rows_and_part(self, place: str, number: int) -> tuple[arrow.Rows, _OfPart]:
        """Read a part onto the devices."""
        read = self.rows(number), self._part(place, number)
        return to_devices(read, self.mesh, P(AXIS))

    def _part(self, place: str, number: int) -> _OfPart:
        return _read(self.folder / place / f"{number}.npy", self.part_like)

    def _write_part(self, place: str, number: int, part: _OfPart) -> None:
        _write(self.folder / place / f"{number}.npy", part)

    def _each(self, read: Callable[[int], T]) -> Iterator[T]:
        """Read one part after the other, the next one ahead."""
        ahead = self.threads.submit(read, 0)
        for number in range(self.count):
            now = ahead.result()
            if number + 1 < self.count:
                ahead = self.threads.submit(read, number + 1)
            yield now


_ON_MESH = partial(jax.jit, static_argnames=("mesh", "family"))


@_ON_MESH
def _look(
    total: Seen, rows: arrow.Rows, state: State, gaussian: jax.Array, *, mesh: Mesh, family: Family
) -> Seen:
    def of_device(rows: arrow.Rows, state: State, gaussian: jax.Array) -> Seen:
        return jax.lax.psum(
            one_pass.look(rows, state, one_pass.nothing_kept(rows, state), gaussian, family)[0], AXIS
        )

    seen = jax.shard_map(of_device, mesh=mesh, in_specs=(P(AXIS), STATE_SPECS, P()), out_specs=P())(
        rows, state, gaussian
    )
    return jax.tree.map(jnp.add, total, seen)


@_ON_MESH
def _move(
    moved: Moved,
    longest: jax.Array,
    rows: arrow.Rows,
    state: State,
    solved: Solved,
    damping: OfRows,
    gaussian: jax.Array,
    learning: jax.Array,
    slow_share: jax.Array,
    is_period: jax.Array,
    *,
    mesh: Mesh,
    family: Family,
) -> tuple[Moved, jax.Array, MovedRows, OfRows]:
    """Look at the rows again, which is cheaper than to keep what was seen, and move them."""

    def of_device(
        rows: arrow.Rows,
        state: State,
        solved: Solved,
        damping: OfRows,
        gaussian: jax.Array,
        learning: jax.Array,
        slow_share: jax.Array,
        is_period: jax.Array,
    ) -> tuple[Moved, jax.Array, MovedRows, OfRows]:
        _, kept = one_pass.look(rows, state, one_pass.nothing_kept(rows, state), gaussian, family)
        moved, longest, now = one_pass.move(
            rows, state, kept, solved, damping, gaussian, learning, slow_share, is_period
        )
        after = state._replace(theta=now.theta, log_size=now.log_size, size_var=now.size_var)
        damping = damping.after(state, after, gaussian)
        return jax.lax.psum(moved, AXIS), jax.lax.pmax(longest, AXIS), now, damping

    more, longer, now, damping = jax.shard_map(
        of_device,
        mesh=mesh,
        in_specs=(P(AXIS), STATE_SPECS, P(), P(AXIS), P(), P(), P(), P()),
        out_specs=(P(), P(), P(AXIS), P(AXIS)),
    )(rows, state, solved, damping, gaussian, learning, slow_share, is_period)
    return jax.tree.map(jnp.add, moved, more), jnp.maximum(longest, longer), now, damping


_solve = jax.jit(one_pass.solve, static_argnames=("lead", "family"))
_settle = jax.jit(one_pass.settle, static_argnames=("lead", "family"))


def _fits(panel: Panel, first: Panel) -> bool:
    """Whether a part has what the first has: category, periods, controls and room."""
    return (
        panel.category == first.category
        and np.array_equal(panel.period, first.period)
        and panel.control == first.control
        and panel.units.shape[1] == first.units.shape[1]
        and len(panel.units) <= len(first.units)
        and panel.zero_truncated == first.zero_truncated
        and panel.unit == first.unit
    )


def _with(state: State, part: _OfPart) -> State:
    """Put the products' own parts beside what they share."""
    return state._replace(
        theta=part.theta, var=part.var, log_size=part.log_size, size_var=part.size_var, slow=part.slow
    )


def _nothing_found() -> Found:
    """Start with nothing known."""
    far, none = np.float32(FAR_AWAY), np.zeros(0, np.float32)
    return Found(far, far, far, far, far, far, none, none, none, none)


def _part_like(rows: arrow.Rows, hyper: Hyper) -> _OfPart:
    """Shapes of what is known of the products of a part with one slope each."""
    blocks, W, n = rows.units.shape
    d, lead = 2 + rows.season.shape[1], 2 + rows.controls.shape[1]

    def like(*shape: int) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct((blocks, *shape, n), np.float32)

    damping = OfRows(like(), like(), like(), like(), like())
    slow = slow_demand.OfRows(like(W if hyper.slow.there else 0), like(), like())
    return _OfPart(like(d), like(W), like(), like(), damping, like(d, d), like(d, lead), slow)


def _shapes(tree: T) -> T:
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, np.float32), tree)


def _write(file: Path, tree: object) -> None:
    """Write arrays one after the other, without their shapes."""
    with file.open("wb") as out:
        for leaf in jax.tree.leaves(tree):
            np.asarray(leaf, np.float32).tofile(out)


def _read(file: Path, like: T) -> T:
    with file.open("rb") as source:
        return jax.tree.map(
            lambda leaf: np.fromfile(source, np.float32, int(np.prod(leaf.shape))).reshape(leaf.shape), like
        )
