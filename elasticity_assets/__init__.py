"""Price elasticities for every product, as Dagster assets."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from elasticity_assets.component import ElasticityProject

__all__ = ["ElasticityProject"]


def __getattr__(name: str) -> object:
    """Load the component when it is asked for: it imports Dagster, and `inference` does without."""
    if name in __all__:
        from elasticity_assets import component  # noqa: PLC0415

        return getattr(component, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """Let `dg` find the component."""
    return sorted([*globals(), *__all__])
