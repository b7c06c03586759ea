"""Settings for `elasticity init`: files looked at as a person would, each decision with what speaks for it.

    named_files(["sales/*.csv"]) -> list[Path]
    propose_settings(["sales.csv"], folder) -> ProposedSettings

What is known is decided, by values as well as names, and said with an example; where two readings are as likely, or
something is missing, the setting is open. In this order:

    header_lines, delivered_files    which files hold sales, how they are laid out; their rows as table `delivered`
    wide_files, joined_tables        periods as columns; price lists, product tables and calendars beside the sales
    column_names, column_profiles    what names say, in several languages; what all values of a column look like
    periods                          dates (date_columns, date_formats), else labels and numbers (period_numbers)
    number_marks                     points and commas
    products                         products, descriptions, categories, stores; totals among products
    amount_columns                   which columns multiply to others; of these units, prices, discounts, costs
    zones                            where prices are set by: a column that says so, or stores that share their prices
    controls                         promotions and holidays
    trial                            the proposal tried on all rows, by the code of a refit
    settings_text                    `elasticity.yaml`
"""

from elasticity_assets.ingestion.initial_settings.decision import Decision, Remark
from elasticity_assets.ingestion.initial_settings.delivered_files import named_files
from elasticity_assets.ingestion.initial_settings.propose import ProposedSettings, propose_settings

__all__ = ["Decision", "ProposedSettings", "Remark", "named_files", "propose_settings"]
