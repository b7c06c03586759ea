"""The choice for all products at once: alone or together, and at most so many changes."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np

from elasticity_assets.fitting.threads import cores, run_each
from elasticity_assets.pricing.category_index import too_many
from elasticity_assets.pricing.choice import (
    CATEGORY_INDEX,
    COLLIDING_GROUPS,
    CONFOUNDED,
    GROUPS,
    LOCKED,
    MAX_PRODUCTS,
    MIN_MARGIN,
    NONE,
    NOT_ESTIMATED,
    NOT_SOLD,
    POSITIVE,
    TOO_SLOW,
    Choice,
    each_alone,
)
from elasticity_assets.pricing.groups import SECONDS, PairRule, TooSlowError, best_together, joined_by
from elasticity_assets.pricing.options import Options, options, worth_of_a_unit
from elasticity_assets.pricing.products import CrossEffects, Products
from elasticity_assets.settings import PricingSettings

AT_A_TIME = 25_000
"""Products whose ladders a core has in memory at once."""
_TRIES = 20
"""Halvings of the price of a change, as long as `SECONDS` last."""


def pair_rules(products: Products, rules: PricingSettings) -> tuple[list[PairRule], np.ndarray, list[str]]:
    """Find the products that the rules between products name.

    Returns
    -------
    pairs : list of PairRule
        Those whose products both are there.
    locked : bool array, shape (n,)
        Products whose price stays.
    unknown : list of str
        Products named that are not there.
    """
    place = {str(product): number for number, product in enumerate(products.product)} if rules.groups else {}
    pairs, locked, unknown = [], np.zeros(len(products), bool), []
    for rule in rules.groups:
        named = [*rule.locked, *(product for pair in rule.pairs for product in pair)]
        unknown += [product for product in named if product not in place]
        locked[[place[product] for product in rule.locked if product in place]] = True
        least, most = rule.bounds
        pairs += [
            PairRule(place[product], place[other], least, most, rule.words)
            for product, other in rule.pairs
            if product in place and other in place
        ]
    return pairs, locked, unknown


def choose(
    products: Products, rules: PricingSettings, cross: CrossEffects | None = None
) -> tuple[Choice, list[str]]:
    """Choose each product's price: the best within the rules, none of which is broken by a changed price.

    Products that rules join are chosen together, the others each for itself; of more than `max_products` changes, the
    best. While one price is chosen the others' count as today's; of changes that move a category's price index, those
    are left that gain with what the index does.

    Parameters
    ----------
    products : Products
        All of them.
    rules : PricingSettings
    cross : CrossEffects, optional
        Of prices on other products' units.

    Returns
    -------
    choice : Choice
    unknown : list of str
        Products that rules name and that are not there.
    """
    cross = cross or CrossEffects.none()
    pairs, locked, unknown = pair_rules(products, rules)
    stays = _why_it_stays(products, locked)

    def choose_alone(part: np.ndarray) -> Choice:
        return each_alone(_options(products, part, rules, cross), products.take(part), stays[part], rules)

    every_product = np.arange(len(products))
    alone = [done.result() for _, done in run_each(choose_alone, parts(every_product), cores())]
    choice = Choice(
        *(np.concatenate([getattr(part, field.name) for part in alone]) for field in fields(Choice))
    )
    groups = [
        _Group.of(places, pairs, stays, _options(products, places, rules, cross))
        for places in joined_by(pairs, len(products))
    ]
    freely = [group.best() for group in groups]
    columns = list(freely)
    in_group = np.isin(every_product, np.concatenate([np.zeros(0, int), *(g.places for g in groups)]))
    _keep_to_index(choice, products, rules, ~in_group)
    if rules.max_products is not None:
        columns = _keep_to(rules.max_products, choice, choice.changed & ~in_group, groups, columns, products)
    for group, chosen, without_limit in zip(groups, columns, freely, strict=True):
        _put(group, chosen, without_limit, choice)
    _keep_to_index(choice, products, rules, ~in_group)  # with what the groups and the limit made of it
    return choice, unknown


def _keep_to_index(choice: Choice, products: Products, rules: PricingSettings, alone: np.ndarray) -> None:
    """Take back changes that would not gain with their category's price index, of products that no rule joins."""
    back = too_many(
        products,
        np.where(choice.changed, np.log(choice.price / products.price), 0.0),
        np.where(choice.changed, choice.gain, 0.0),
        np.where(products.units > 0, worth_of_a_unit(products, rules), 0.0),
        choice.changed & alone & ~asked_for(choice),
    )
    choice.take_back(back, products.price, CATEGORY_INDEX)


def asked_for(choice: Choice) -> np.ndarray:
    """Whether a rule asks for a change: today's price breaks it. Where it forbids a better price, that is named."""
    return choice.changed & (choice.rule == MIN_MARGIN) & np.isnan(choice.better)


def _options(products: Products, places: np.ndarray, rules: PricingSettings, cross: CrossEffects) -> Options:
    return options(products.take(places), rules, cross.of(places), products)


def parts(places: np.ndarray) -> list[np.ndarray]:
    """Cut places into parts whose ladders are in memory at once."""
    return np.array_split(places, max(1, -(-len(places) // AT_A_TIME)))


def _why_it_stays(products: Products, locked: np.ndarray) -> np.ndarray:
    """Give the rule by which a product's price stays, whatever the others say; empty where none does."""
    stays = np.full(len(products), NONE, dtype=object)
    sold = np.isfinite(products.price) & (products.units > 0)
    for holds, rule in (
        (~sold, NOT_SOLD),
        (products.elasticity >= 0, POSITIVE),
        (products.confounded, CONFOUNDED),
        (~products.estimated, NOT_ESTIMATED),
        (locked, LOCKED),
    ):
        stays[holds] = rule
    return stays


@dataclass
class _Group:
    """Products that rules join.

    Attributes
    ----------
    places : int array, shape (n,)
        Among all products, ascending.
    ladders : Options
    rules : sequence of PairRule
        Their places are those in the group.
    stays : object array of str, shape (n,)
        Rule by which a product's price stays; empty where none does.
    failed : str
        Why its prices stay as they are though that breaks a rule, or would gain; empty where neither is so.
    """

    places: np.ndarray
    ladders: Options
    rules: Sequence[PairRule]
    stays: np.ndarray
    failed: str = NONE

    @classmethod
    def of(
        cls, places: np.ndarray, pairs: Sequence[PairRule], stays: np.ndarray, ladders: Options
    ) -> "_Group":
        """Give the group of products that stand at these places."""
        place = {int(number): here for here, number in enumerate(places)}
        rules = [
            replace(rule, product=place[rule.product], other=place[rule.other])
            for rule in pairs
            if rule.product in place
        ]
        return cls(places, ladders, rules, stays[places])

    @property
    def today(self) -> np.ndarray:
        """The columns of today's prices."""
        return np.full(len(self.places), self.ladders.price.shape[1] - 1)

    def best(self, price_of_a_change: float = 0.0) -> np.ndarray:
        """Choose the columns; today's where none keep the rules, or none were found in time.

        Each change gains with the confidence asked for, but for those that the rules force: as few as can be.
        """
        if not self.failed:
            allowed, unsure = self._allowed(self.ladders.feasible), ~self.ladders.sure
            try:
                found = best_together(
                    self.ladders.price, self._value, allowed, self.rules, price_of_a_change, unsure=unsure
                )
            except TooSlowError:
                self.failed = TOO_SLOW
            else:
                if found is not None:
                    return found
                self.failed = COLLIDING_GROUPS
        return self.today

    def nearest(self) -> np.ndarray:
        """Choose the columns that break the rules between products by as little as can be."""
        allowed = self._allowed(self.ladders.feasible | self._is_today)
        try:
            found = best_together(self.ladders.price, self._value, allowed, self.rules, bend=True)
        except TooSlowError:
            found = None
        return self.today if found is None else found

    def n_changed(self, columns: np.ndarray) -> int:
        """How many prices a choice changes."""
        return int((columns != self.today).sum())

    def forbidding(self, product: int, price: float, chosen: np.ndarray) -> str:
        """Give the rules that a product's price would break, the others' being as chosen, as the settings have them.

        All of the product's, where it would break none: another product's price then depends on it.

        Parameters
        ----------
        product : int
            Its place in the group.
        price : float
        chosen : float array, shape (n,)
            The group's prices.
        """
        with_price = chosen.copy()
        with_price[product] = price
        of_product = [rule for rule in self.rules if product in (rule.product, rule.other)]
        broken = [rule for rule in of_product if not rule.is_kept(with_price)]
        return ", ".join(dict.fromkeys(rule.words for rule in broken or of_product))

    def _allowed(self, feasible: np.ndarray) -> np.ndarray:
        return np.where((self.stays == NONE)[:, None], feasible, self._is_today)

    @property
    def largest_gain(self) -> float:
        """The largest value of any price, gain or loss."""
        return float(np.abs(self._value).max(initial=0.0))

    @property
    def _is_today(self) -> np.ndarray:
        return np.broadcast_to(np.arange(self.today[0] + 1) == self.today[0], self.ladders.price.shape)

    @property
    def _value(self) -> np.ndarray:
        return np.where(self.ladders.there, self.ladders.value, 0.0)


def _keep_to(
    most: int,
    choice: Choice,
    single: np.ndarray,
    groups: Sequence[_Group],
    columns: list[np.ndarray],
    products: Products,
) -> list[np.ndarray]:
    """Keep to so many changes, the best: a change has a price, at which no more are worth it.

    Parameters
    ----------
    most : int
    choice : Choice
        The changes of products alone that are not among the best are taken back in it.
    single : bool array, shape (n,)
        The products alone that change.
    groups : sequence of _Group
    columns : list of int array
        Each group's choice without a price of changes.
    products : Products

    Returns
    -------
    list of int array
        Each group's choice.
    """

    def n_in_groups(chosen: Sequence[np.ndarray]) -> int:
        return sum(group.n_changed(part) for group, part in zip(groups, chosen, strict=True))

    gain = np.where(single, choice.gain, -np.inf)
    gain[single & asked_for(choice)] = np.inf  # what a rule asks for comes first
    if single.sum() + n_in_groups(columns) <= most:
        return columns
    if n_in_groups(columns):
        until = time.monotonic() + SECONDS
        low, high = 0.0, 1.0 + 2 * sum(group.largest_gain for group in groups)
        columns = [group.best(high) for group in groups]
        for _ in range(_TRIES):
            if time.monotonic() > until:
                break
            price = 0.5 * (low + high)
            found = [group.best(price) for group in groups]
            if int((gain > price).sum()) + n_in_groups(found) <= most:
                high, columns = price, found
            else:
                low = price
    left = most
    for number, group in enumerate(groups):
        n = group.n_changed(columns[number])
        if n > left:  # even what the rules between products force
            columns[number], group.failed = group.today, MAX_PRODUCTS
        else:
            left -= n
    back = single.copy()
    back[np.argsort(-gain, kind="stable")[:left]] = False
    choice.take_back(back, products.price, MAX_PRODUCTS)
    return columns


def _put(group: _Group, columns: np.ndarray, without_limit: np.ndarray, choice: Choice) -> None:
    """Put a group's choice in place of what each of its products would have alone.

    Parameters
    ----------
    group : _Group
    columns, without_limit : int arrays
        Its choice, and what it would be were any number of changes allowed.
    choice : Choice
        Of all products.
    """
    row, ladders, places = np.arange(len(columns)), group.ladders, group.places
    alone = choice.price[places]
    price, changed = ladders.price[row, columns], columns != group.today
    by_rules = (price != alone) & (group.stays == NONE)
    choice.price[places] = price
    choice.changed[places] = changed
    choice.gain[places] = np.where(changed, ladders.value[row, columns], 0.0)
    choice.probability[places] = ladders.probability[row, columns]
    choice.rule[places[by_rules]] = group.failed or GROUPS
    choice.better[places[by_rules]] = alone[by_rules]
    for here in np.flatnonzero(by_rules):
        choice.between[places[here]] = group.forbidding(int(here), alone[here], price)
    limited = ~changed & (without_limit != group.today)
    choice.rule[places[limited]] = MAX_PRODUCTS
    choice.better[places[limited]] = ladders.price[row, without_limit][limited]
    if group.failed == COLLIDING_GROUPS:
        free = group.stays == NONE
        choice.rule[places[free]] = COLLIDING_GROUPS
        choice.better[places[free]] = ladders.price[row, group.nearest()][free]
