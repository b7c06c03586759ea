"""The dynamic `category` partitions: one a category of the sales, kept in step by ingest."""

import re
from collections.abc import Iterable
from urllib.parse import unquote

import dagster as dg

CATEGORIES = dg.DynamicPartitionsDefinition(name="category")

# What Dagster refuses in a partition key, and whatever `unquote` would read as an escape.
_REFUSED = re.compile(r"[\x00-\x1f\x7f]|\.(?=\.\.)|%(?=[0-9A-Fa-f]{2})")


def partition_key(category: str) -> str:
    """Give a category's partition key: its own name, with what Dagster refuses percent-encoded."""
    return _REFUSED.sub(lambda found: f"%{ord(found.group()):02X}", category)


def category_of(partition_key: str) -> str:
    """Give the category whose partition key this is."""
    return unquote(partition_key)


def keep_in_step(instance: dg.DagsterInstance, categories: Iterable[str]) -> tuple[list[str], list[str]]:
    """Add partitions of new categories and delete those of categories that have no sales left.

    Returns
    -------
    added, deleted : lists of str
        Categories, sorted.
    """
    wanted = {partition_key(category) for category in categories}
    present = set(instance.get_dynamic_partitions("category"))
    added, deleted = sorted(wanted - present), sorted(present - wanted)
    if added:
        instance.add_dynamic_partitions("category", added)
    for key in deleted:
        instance.delete_dynamic_partition("category", key)
    return [category_of(key) for key in added], [category_of(key) for key in deleted]
