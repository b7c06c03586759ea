"""The text of `elasticity.yaml`: each setting with its reason above it, and what is open marked."""

import textwrap
from collections.abc import Sequence
from typing import Any

import yaml

from elasticity_assets.ingestion.initial_settings.decision import Decision, Remark
from elasticity_assets.words import in_one_line
from elasticity_assets.yaml_file import OPEN

WIDTH = 118

ORDER = (
    "path", "roots", "join", "sheet", "encoding", "decimal", "columns.product", "columns.category",
    "columns.period", "columns.year", "columns.units", "columns.price", "columns.revenue", "columns.discount",
    "columns.regular_price", "columns.cost", "columns.randomized", "columns.store", "columns.zone",
    "columns.description", "discount_unit", "period", "first_week", "date_format", "controls", "not_products",
)  # fmt: skip
"""Settings in the order of the file; others come last."""

REST: dict[str, Any] = {
    "fit": {"engine": "natural_gradient", "likelihood": "negative_binomial"},
    "schedule": {"cron": "0 6 * * 1", "timezone": "UTC"},
    "warehouse": "data/warehouse.duckdb",
    "published": "data/elasticity.duckdb",
    "keep": 8,
}
"""What users mostly change, beside the sales."""


def settings_text(header: str, decisions: Sequence[Decision], remarks: Sequence[Remark]) -> str:
    """Write the settings with their reasons, and the open ones as `key:  # OPEN: what is missing`."""
    by_key = {decision.key: decision for decision in decisions}
    keys = [key for key in ORDER if key in by_key] + [key for key in by_key if key not in ORDER]
    lines = _comment(header, "")
    for remark in remarks:
        lines += _comment(f"- {remark.why}", "", hanging="  ")
    lines.append("sales:")
    columns = [key for key in keys if key.startswith("columns.")]
    first_column = True
    for key in keys:
        if key in columns:
            if first_column:
                lines.append("  columns:")
                for column in columns:
                    lines += _setting(column.removeprefix("columns."), by_key[column], "    ")
                first_column = False
            continue
        lines += _setting(key, by_key[key], "  ")
    return "\n".join(lines) + "\n" + yaml.safe_dump(REST, sort_keys=False)


def _setting(key: str, decision: Decision, indent: str) -> list[str]:
    if decision.is_open:
        return [f"{indent}{key}:  {OPEN} {in_one_line(decision.why)}"]
    value = yaml.safe_dump({key: decision.value}, sort_keys=False, allow_unicode=True, width=10**6)
    return [*_comment(decision.why, indent), *(indent + line for line in value.splitlines())]


def _comment(text: str, indent: str, hanging: str = "") -> list[str]:
    first, following = f"{indent}# ", f"{indent}# {hanging}"
    # Values of the files may hold anything: a line break would end the comment.
    shown = "".join(c if c.isprintable() else "?" for c in in_one_line(text))
    return textwrap.wrap(
        shown, WIDTH, initial_indent=first, subsequent_indent=following, break_on_hyphens=False
    )
