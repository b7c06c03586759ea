import pytest

from elasticity_assets.warehouse.sales_tables import check_controls, weekly_sales

pytestmark = pytest.mark.quick


def test_controls_are_the_last_columns_of_weekly_sales() -> None:
    assert [column.name for column in weekly_sales(["display"]).columns][-1] == "display"


@pytest.mark.parametrize(
    ("controls", "reason"),
    [
        (["price"], "'price' is a column of weekly_sales; rename it"),
        (["Units"], "'Units' is a column of weekly_sales"),
        (["category_hash"], "'category_hash' is a column of weekly_sales"),
        (["store"], "'store' is a column of raw_sales"),
        (["randomized"], r"rename it in the files, or name it as sales\.columns\.randomized if it is that"),
        (["product_description"], "is a column of products"),
        (["display", "DISPLAY"], "'DISPLAY' is named twice"),
    ],
)
def test_a_control_may_not_take_another_columns_name(controls: list[str], reason: str) -> None:
    for check in (check_controls, weekly_sales):
        with pytest.raises(ValueError, match=reason):
            check(controls)
