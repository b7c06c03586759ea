"""What is published, how old it is, and which checks failed."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path

import dagster as dg
import duckdb

from elasticity_assets.warehouse.sql import statement
from elasticity_assets.words import utc_now


def table_text(header: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """Lay rows out in columns, text to the left and the rest to the right."""
    lines = [[str(value) for value in header]]
    texts = [True] * len(lines[0])
    for row in rows:
        values = list(row)
        texts = [text and isinstance(value, str) for text, value in zip(texts, values, strict=True)]
        lines.append([_cell(value) for value in values])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            value.ljust(width) if text else value.rjust(width)
            for value, width, text in zip(line, widths, texts, strict=True)
        ).rstrip()
        for line in lines
    )


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.2f}"
    text = str(value)
    return text if text.isprintable() else repr(text)  # a name may hold line breaks


def elasticities_text(published: Path) -> str:
    """Give the categories' elasticities, and the global one, as a table of text."""
    with duckdb.connect(str(published), read_only=True) as connection:
        rows = connection.execute(statement("published_elasticities")).fetchall()
    return table_text(["category", "products", "elasticity", "q05", "q95"], rows)


def fits_text(published: Path, kept: Sequence[str]) -> str:
    """Give each category's fit and its age, and the last refit, as text.

    Parameters
    ----------
    published : Path
    kept : sequence of str
        Refits that can be published again, the newest first.
    """
    with duckdb.connect(str(published), read_only=True) as connection:
        fits = connection.execute(statement("published_fits")).fetchall()
        last = connection.execute(statement("last_refit")).fetchone()
    now = utc_now()
    rows = [
        (
            name,
            products,
            mean,
            age(now, fitted_at),
            engine,
            "yes" if converged else "no",
            "old" if old else "",
        )
        for name, products, mean, fitted_at, engine, converged, old in fits
    ]
    text = table_text(["category", "products", "elasticity", "fitted", "engine", "converged", "note"], rows)
    if last is None:
        return text
    refit_id, refitted_at, rows_in, rows_used, rows_rejected, failed = last
    lines = [
        text,
        f"last refit {refit_id}, {age(now, refitted_at)}: {rows_in:,} rows in, {rows_used:,} used, "
        f"{rows_rejected:,} rejected",
    ]
    if kept and kept[0] != refit_id:
        lines.append(f"newer, and not what is published: refit {kept[0]}")
    lines.append(f"kept for rollback: {', '.join(kept) or 'none'}")
    if failed:
        lines.append(f"not refitted: {', '.join(map(repr, failed))}")
    return "\n".join(lines)


def age(now: datetime, then: datetime) -> str:
    """Say how long ago something was, in its largest whole unit."""
    seconds = max((now - then).total_seconds(), 0.0)
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= length:
            n = int(seconds // length)
            return f"{n} {unit}{'s' if n > 1 else ''} ago"
    return "just now"


def failed_checks(
    instance: dg.DagsterInstance, keys: Iterable[dg.AssetCheckKey]
) -> list[tuple[dg.AssetCheckKey, dg.AssetCheckEvaluation]]:
    """Find the checks whose last result was negative, errors before warnings.

    Parameters
    ----------
    instance : DagsterInstance
    keys : iterable of AssetCheckKey
        All checks.
    """
    failed = []
    for key in keys:
        record = instance.get_latest_asset_check_evaluation_record(key)
        event = record.event.dagster_event if record and record.event else None
        if event and event.event_type == dg.DagsterEventType.ASSET_CHECK_EVALUATION:
            evaluation = event.asset_check_evaluation_data
            if not evaluation.passed:
                failed.append((key, evaluation))
    return sorted(failed, key=lambda found: (found[1].severity != dg.AssetCheckSeverity.ERROR, found[0]))
