"""Write docs/tables.md from the schema: python docs/make_tables.py > docs/tables.md."""

from elasticity_assets.published.tables import MACRO_COMMENT, published_tables
from elasticity_assets.warehouse.tables import WITH_ATTRIBUTES

INTRODUCTION = """# The published tables

`data/elasticity.duckdb`, a DuckDB file. Made by `python docs/make_tables.py` from
`elasticity_assets/warehouse/tables.py` and `sales_tables.py`; the same texts stand in the file as comments
(`SELECT * FROM duckdb_columns()`).

Elasticities are d log units / d log price with the rest of the category's prices unchanged: relative-price
elasticities. When a whole category changes its prices, units change less: by how much, `category_move_elasticity` says.
Intervals are central 90% credible intervals: `q05` is the 5% quantile. Times are in UTC, prices and revenue in the
files' currency.
"""


def main() -> None:
    """Print the document."""
    print(INTRODUCTION)
    for table in published_tables():
        print(f"## {table.name}\n\n{table.comment}\n")
        if table.key:
            print(f"Key: {', '.join(f'`{name}`' for name in table.key)}.\n")
        print("| column | type | unit | what |\n|---|---|---|---|")
        for column in table.columns:
            print(f"| {column.name} | {column.type} | {column.unit} | {column.meaning} |")
        if table.name in {of.name for of in WITH_ATTRIBUTES}:
            print("\nThe attributes that the settings name follow what the product is, as further columns.")
        if table.name == "weekly_sales":
            print("\nThe controls that the settings name follow as further columns.")
        print()
    print(f"## Macro price_scenario\n\n{MACRO_COMMENT}.\n")
    print("    SELECT * FROM price_scenario('914190', -0.10)")


if __name__ == "__main__":
    main()
