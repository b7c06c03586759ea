"""The dynamic partitions: one a category of a warehouse's sales, kept in step by ingest."""

import re
from collections.abc import Iterable, Sequence
from urllib.parse import unquote

import dagster as dg

from elasticity_assets.warehouse.file import Warehouse

# What Dagster refuses in a partition key, and whatever `unquote` would read as an escape.
_REFUSED = re.compile(r"[\x00-\x1f\x7f]|\.(?=\.\.)|%(?=[0-9A-Fa-f]{2})")


class Categories(dg.DynamicPartitionsDefinition):
    """Partitions whose ranges reach as far as there are partitions.

    A run that was asked for before an ingest dropped the first or last of its categories covers the others.
    """

    def get_partition_keys_in_range(self, partition_key_range: dg.PartitionKeyRange) -> Sequence[str]:
        """Give the partitions there are from the first named to the last."""
        keys = list(self.get_partition_keys())
        first, last = partition_key_range
        if first == last:
            return [first] if first in keys else []
        start = keys.index(first) if first in keys else 0
        end = keys.index(last) + 1 if last in keys else len(keys)
        return keys[start:end]


CATEGORIES = Categories(name="category")
"""Of no warehouse: what assets are written with; `build_definitions` puts its warehouse's in their place."""


def categories_of(warehouse: Warehouse) -> Categories:
    """Partitions of one warehouse: several projects may share a DAGSTER_HOME."""
    return Categories(name=_name(warehouse))


def _name(warehouse: Warehouse) -> str:
    return f"category of {warehouse.name}"


def partition_keys(instance: dg.DagsterInstance, warehouse: Warehouse) -> Sequence[str]:
    """All partition keys, in their own order."""
    return categories_of(warehouse).get_partition_keys(dynamic_partitions_store=instance)


def partition_key(category: str) -> str:
    """Give a category's partition key: its own name, with what Dagster refuses percent-encoded."""
    return _REFUSED.sub(lambda found: f"%{ord(found.group()):02X}", category)


def category_of(partition_key: str) -> str:
    """Give the category whose partition key this is."""
    return unquote(partition_key)


def gone_since(context: dg.AssetExecutionContext) -> list[str]:
    """Name the categories at the ends of what a run was asked to cover that have no partition any more."""
    keys = set(context.partition_keys)
    return [category_of(key) for key in dict.fromkeys(context.partition_key_range) if key not in keys]


def keep_in_step(
    instance: dg.DagsterInstance, warehouse: Warehouse, categories: Iterable[str]
) -> tuple[list[str], list[str]]:
    """Add partitions of new categories and delete those of categories that have no sales left.

    Returns
    -------
    added, deleted : lists of str
        Categories, sorted.
    """
    name = _name(warehouse)
    wanted = {partition_key(category) for category in categories}
    present = set(partition_keys(instance, warehouse))
    added, deleted = sorted(wanted - present), sorted(present - wanted)
    if added:
        instance.add_dynamic_partitions(name, added)
    for key in deleted:
        instance.delete_dynamic_partition(name, key)
    return [category_of(key) for key in added], [category_of(key) for key in deleted]
