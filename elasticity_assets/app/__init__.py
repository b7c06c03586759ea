"""The page for pricing teams: which prices to change, a product's own page, a what-if. Streamlit on the published file.

serve              the server, on the loopback address
page               what Streamlit runs for each visitor: the four views and the way between them
prices_view        first view: what to raise, lower or keep; accepted and rejected; downloads
product_view       all that is known of one product
what_if_view       prices moved by hand, of one product or of a group
tests_view         which products to test, and what that would bring
published_file     the file, opened again when a refit publishes a new one
unreadable         what is said where it cannot be shown
recommendations    recommended prices by filters, a page at a time; values to filter by
products           what the file says of one product
price_tests        recommended price tests, a page at a time
groups             products whose prices are moved together
decisions          accepted and rejected recommendations, as CSV and as an Excel workbook
drawing            texts and charts on the page, hostile ones as harmless as others

Nothing loads a table: queries have limits. Texts of the files are shown by `drawing`, never as Markdown or HTML.
"""
