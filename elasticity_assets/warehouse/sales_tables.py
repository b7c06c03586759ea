"""The tables that ingestion writes: every column's type, unit and meaning, once; and which names controls may have."""

from collections.abc import Sequence

from elasticity_assets.settings.sales import Columns
from elasticity_assets.warehouse.schema import Column, Table

CATEGORY = Column("category", "VARCHAR", "text", "Product category, as in the sales files")
PRODUCT = Column("product", "VARCHAR", "text", "Product code, as in the sales files")
_FILE_ID = Column("file_id", "INTEGER", "id", "Names a file taken in, in sales_files")
_LINE = Column(
    "line", "BIGINT", "rows", "Its place in the file: a CSV file's header is 1, a Parquet file's first row 1"
)

SALES_FILES = Table(
    "sales_files",
    "One row a sales file taken in.",
    ("file_id",),
    (
        _FILE_ID,
        Column("file", "VARCHAR", "path", "Where it was"),
        Column("content_hash", "VARCHAR", "SHA-256", "Hash of its bytes"),
        Column("reading", "VARCHAR", "JSON", "The settings that it was read with"),
        Column("place", "INTEGER", "index", "The entry of sales.path that names it: a later one wins"),
        Column("rows_in", "BIGINT", "rows", "Its rows, the header apart"),
        Column("units_in", "DOUBLE", "units sold", "Sum of all units that could be read"),
        Column("first_day", "DATE", "date", "First day of its usable rows"),
        Column("last_day", "DATE", "date", "Last day of its usable rows"),
    ),
)

RAW_SALES = Table(
    "raw_sales",
    "One row a row of a file, the unusable ones with their reason. The controls follow as further columns.",
    ("file_id", "line"),
    (
        _FILE_ID,
        _LINE,
        Column("reason", "VARCHAR", "text", "Why the row cannot be used; NULL if it can", True),
        Column("row", "VARCHAR", "JSON", "The row as delivered, by column; NULL if it can be used", True),
        Column("product", "VARCHAR", "text", "As delivered, trimmed; NULL where not given", True),
        Column("category", "VARCHAR", "text", "As delivered, trimmed; NULL where not given", True),
        Column("store", "VARCHAR", "text", "As delivered; NULL where not given", True),
        Column("zone", "VARCHAR", "text", "As delivered, trimmed; NULL where the settings name none", True),
        Column(
            "day",
            "DATE",
            "date",
            "Date as delivered, or first day of the period as delivered; NULL where it could not be read",
            True,
        ),
        Column(
            "dated",
            "BOOLEAN",
            "truth",
            "Whether day is a date as delivered, not a period's; NULL as day",
            True,
        ),
        Column(
            "units", "DOUBLE", "units sold", "Returns are negative; NULL where they could not be read", True
        ),
        Column("price", "DOUBLE", "currency a unit", "NULL where it could not be read", True),
        Column(
            "currency_mark",
            "VARCHAR",
            "text",
            "What beside the price or revenue names a currency, such as €; NULL where nothing does",
            True,
        ),
        Column(
            "regular_price",
            "DOUBLE",
            "currency a unit",
            "Price without promotion; NULL where not given",
            True,
        ),
        Column("cost", "DOUBLE", "currency a unit", "Cost; NULL where not given", True),
        Column(
            "randomized",
            "BOOLEAN",
            "true or false",
            "Whether its price was drawn at random, for a test; NULL where not given",
            True,
        ),
        Column("description", "VARCHAR", "text", "Of the product; NULL where not given", True),
        Column(
            "substitutes",
            "VARCHAR",
            "text",
            "Group of the product's substitutes; NULL where not given",
            True,
        ),
        Column(
            "attributes",
            "VARCHAR[]",
            "texts",
            "Of the product, as the settings name them; NULL where they name none",
            True,
        ),
        Column(
            "zone_covariates",
            "DOUBLE[]",
            "as in the files",
            "Of the zone, as the settings name them; NULL where they name none",
            True,
        ),
    ),
)

UNUSED_SALES = Table(
    "unused_sales",
    "One row a usable row that weekly_sales leaves out.",
    ("file_id", "line"),
    (_FILE_ID, _LINE, Column("reason", "VARCHAR", "text", "Why, in words")),
)

REJECTED_SALES = Table(
    "rejected_sales",
    "One row a rejected row of the sales files: nothing is dropped in silence.",
    ("file", "line"),
    (
        Column("file", "VARCHAR", "path", "The file it came in"),
        _LINE,
        Column("reason", "VARCHAR", "text", "Why it was rejected, in words"),
        Column("row", "VARCHAR", "JSON", "The row as delivered, by column"),
        Column("units", "DOUBLE", "units sold", "Its units; NULL where they could not be read", True),
    ),
)
"""In the warehouse a view on the three tables before."""

PRODUCTS = Table(
    "products",
    "One row a product with sales.",
    ("product",),
    (
        PRODUCT,
        CATEGORY,
        Column(
            "product_description", "VARCHAR", "text", "Its most frequent description; NULL where none", True
        ),
        Column(
            "substitutes",
            "VARCHAR",
            "text",
            "Its most frequent group of substitutes; NULL where none",
            True,
        ),
        Column(
            "attributes",
            "MAP(VARCHAR, VARCHAR)",
            "text by name",
            "The most frequent value of each of its attributes; NULL where an earlier version found none",
            True,
        ),
    ),
)

_WEEKLY_SALES = Table(
    "weekly_sales",
    "One row a product and period: the sales that the fits saw.",
    ("category", "product", "period_start"),
    (
        CATEGORY,
        PRODUCT,
        Column("period_start", "DATE", "date", "First day of the day, week, month or quarter"),
        Column("units", "DOUBLE", "units sold", "Units sold in the period, net of returns"),
        Column("revenue", "DOUBLE", "currency of the files", "Revenue of the period"),
        Column("price", "DOUBLE", "currency a unit", "Price of the period by the settings' price_rule"),
        Column(
            "regular_price",
            "DOUBLE",
            "currency a unit",
            "Price without promotion; NULL where the files give none",
            True,
        ),
        Column("cost", "DOUBLE", "currency a unit", "Cost; NULL where the files give none", True),
        Column(
            "randomized",
            "BOOLEAN",
            "true or false",
            "Whether all its sales were at one price drawn at random, for a test; NULL where the files mark none",
            True,
        ),
        Column("n_rows", "BIGINT", "rows", "Rows of the files behind it", published=False),
        Column(
            "category_hash",
            "UBIGINT",
            "hash",
            "md5_number_lower(category): rows lie by it, and are found by it",
            published=False,
        ),
    ),
)

_ZONE = Column("zone", "VARCHAR", "text", "Zone in which prices are set: a store, a region, a channel")

_ZONE_SALES = Table(
    "zone_sales",
    "One row a product, zone and period: the same sales as in weekly_sales, where the settings name zones; else none.",
    ("category", "product", "zone", "period_start"),
    (*_WEEKLY_SALES.columns[:2], _ZONE, *_WEEKLY_SALES.columns[2:]),
)

ZONES = Table(
    "zones",
    "One row a zone with sales.",
    ("zone",),
    (
        _ZONE,
        Column(
            "covariates",
            "MAP(VARCHAR, DOUBLE)",
            "as in the files, by name",
            "What the settings name as known of zones, mean over the zone's stores, as far as given",
        ),
    ),
)

SUSPECT_SALES = Table(
    "suspect_sales",
    "One row a product and period, or a product, zone and period, whose sales can hardly be as delivered: mistyped, in "
    "another unit, rows of totals. They stay in weekly_sales, and those of weight 0 count for nothing in the fits.",
    ("category", "product", "zone", "period_start", "what"),
    (
        CATEGORY,
        PRODUCT,
        Column(
            "zone", "VARCHAR", "text", "The zone whose sales alone they are; NULL: those of all zones", True
        ),
        Column("period_start", "DATE", "date", "First day of the day, week, month or quarter"),
        Column("what", "VARCHAR", "text", "What is suspect: price, units, unit of measure or total row"),
        Column(
            "value",
            "DOUBLE",
            "currency a unit, or units sold",
            "The price; the units where what is units or total row",
        ),
        Column(
            "usual",
            "DOUBLE",
            "currency a unit, or units sold",
            "What the product's other periods have there, in that zone or in all; of a total row the sum of all other "
            "products' units",
        ),
        Column("weight", "DOUBLE", "fraction", "How much it counts in the fits, 0 to 1"),
    ),
)


def weekly_sales(controls: Sequence[str] = ()) -> Table:
    """Give the schema of weekly_sales, whose last columns are the controls that the settings name.

    Raises
    ------
    ValueError
        If a control's name will not do; see `check_controls`.
    """
    return _with_controls(_WEEKLY_SALES, controls)


def zone_sales(controls: Sequence[str] = ()) -> Table:
    """Give the schema of zone_sales, whose last columns are those of weekly_sales.

    Raises
    ------
    ValueError
        If a control's name will not do; see `check_controls`.
    """
    return _with_controls(_ZONE_SALES, controls)


def _with_controls(table: Table, controls: Sequence[str]) -> Table:
    check_controls(controls)
    return table.with_columns(
        Column(
            name,
            "DOUBLE",
            "as in the files",
            f"Control {name}, mean of the period; NULL where not given",
            True,
        )
        for name in controls
    )


_OF_READING = ("delivered_date", "period_label", "discount")
"""What is read of files beside the columns of `raw_sales`."""


def check_controls(controls: Sequence[str]) -> None:
    """Refuse controls named twice, or like another column of a table in which they are columns.

    Raises
    ------
    ValueError
        If there is one; told in one line.
    """
    taken = {
        column.name: table.name for table in (PRODUCTS, RAW_SALES, _WEEKLY_SALES) for column in table.columns
    } | dict.fromkeys(_OF_READING, "sales files as they are read")
    named: set[str] = set()
    for control in controls:
        name = control.casefold()
        if name in named:
            raise ValueError(f"{control!r} is named twice; columns match without regard to case")
        if name in taken:
            role = (
                f", or name it as sales.columns.{name} if it is that" if name in Columns.model_fields else ""
            )
            raise ValueError(f"{control!r} is a column of {taken[name]}; rename it in the files{role}")
        named.add(name)
