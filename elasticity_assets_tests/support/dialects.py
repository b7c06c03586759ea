"""Sales files as retailers write them: one sale in many dialects, with what has to be read of it."""

import csv
import io
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np
from hypothesis import strategies as st

NAMES: dict[str, dict[str, tuple[str, ...]]] = {
    "en": {
        "product": ("Product ID", "SKU", "Item Code", "Article Number", "product", "UPC"),
        "description": ("Product Name", "Item Description", "Description"),
        "category": ("Category", "Department", "Product Group"),
        "store": ("Store", "Store ID", "Shop", "Outlet"),
        "date": ("Date", "Order Date", "Invoice Date", "Sales Date", "Transaction Date", "Week Starting", "Day"),
        "year": ("Year",), "week": ("Week", "Week Number"), "month": ("Month",),
        "units": ("Units Sold", "Quantity", "Qty", "Sales Units", "Bottles Sold", "Unit Sales"),
        "price": ("Unit Price", "Price", "Selling Price", "Avg Price", "Price (USD)"),
        "revenue": ("Revenue", "Sales Amount", "Sale (Dollars)", "Total Price", "Turnover"),
        "regular_price": ("Base Price", "List Price", "Regular Price", "RRP"),
        "discount": ("Discount", "Discount %", "Discount Rate"),
        "promo": ("Promo", "On Promotion", "Display", "Holiday"),
        "cost": ("Unit Cost", "Cost Price"),
        "customer": ("Customer ID", "Customer"),
    },
    "de": {
        "product": ("Artikelnummer", "Artikel", "Produkt", "Artikel-Nr.", "Produktcode"),
        "description": ("Bezeichnung", "Artikelbezeichnung", "Produktname"),
        "category": ("Warengruppe", "Kategorie", "Abteilung"),
        "store": ("Filiale", "Markt", "Laden"),
        "date": ("Datum", "Verkaufsdatum", "Rechnungsdatum", "Tag"),
        "year": ("Jahr",), "week": ("Woche", "KW", "Kalenderwoche"), "month": ("Monat",),
        "units": ("Menge", "Absatz", "Stück", "Stückzahl", "Verkaufte Menge"),
        "price": ("Preis", "Einzelpreis", "Verkaufspreis", "Stückpreis"),
        "revenue": ("Umsatz", "Umsatz in EUR", "Gesamtpreis", "Umsatzerlöse"),
        "regular_price": ("Listenpreis", "Normalpreis", "Grundpreis", "UVP"),
        "discount": ("Rabatt", "Rabatt %", "Nachlass"),
        "promo": ("Aktion", "Werbung", "Angebot"),
        "cost": ("Einkaufspreis", "Kosten"),
        "customer": ("Kunde", "Kundennummer"),
    },
    "fr": {
        "product": ("Code produit", "Produit", "Référence produit", "Code article"),
        "description": ("Libellé", "Désignation", "Nom du produit"),
        "category": ("Catégorie", "Rayon", "Famille"),
        "store": ("Magasin", "Code magasin", "Boutique"),
        "date": ("Date", "Date de vente", "Jour", "Date de commande"),
        "year": ("Année",), "week": ("Semaine",), "month": ("Mois",),
        "units": ("Quantité", "Quantité vendue", "Unités vendues", "Qté"),
        "price": ("Prix", "Prix unitaire", "Prix de vente"),
        "revenue": ("Chiffre d'affaires", "Montant total", "Montant des ventes"),
        "regular_price": ("Prix de base", "Prix normal", "Prix catalogue"),
        "discount": ("Remise", "Remise %", "Réduction"),
        "promo": ("Promotion", "Promo"),
        "cost": ("Coût unitaire", "Prix d'achat"),
        "customer": ("Client", "Code client"),
    },
    "es": {
        "product": ("Código de producto", "Producto", "Artículo", "SKU"),
        "description": ("Descripción", "Nombre del producto"),
        "category": ("Categoría", "Familia", "Departamento"),
        "store": ("Tienda", "Sucursal"),
        "date": ("Fecha", "Fecha de venta", "Día"),
        "year": ("Año",), "week": ("Semana",), "month": ("Mes",),
        "units": ("Cantidad", "Unidades vendidas", "Unidades"),
        "price": ("Precio", "Precio unitario", "Precio de venta"),
        "revenue": ("Ingresos", "Importe total", "Facturación", "Ventas totales"),
        "regular_price": ("Precio de lista", "Precio regular", "Precio base"),
        "discount": ("Descuento", "Descuento %"),
        "promo": ("Promoción", "Oferta", "Festivo"),
        "cost": ("Costo unitario", "Coste"),
        "customer": ("Cliente", "Código de cliente"),
    },
    "pt": {
        "product": ("Código do produto", "Produto", "Artigo", "Item"),
        "description": ("Descrição", "Nome do produto"),
        "category": ("Categoria", "Departamento", "Seção"),
        "store": ("Loja", "Código da loja"),
        "date": ("Data", "Data da venda", "Dia"),
        "year": ("Ano",), "week": ("Semana",), "month": ("Mês",),
        "units": ("Quantidade", "Qtd", "Quantidade vendida", "Unidades"),
        "price": ("Preço", "Preço unitário", "Preço de venda"),
        "revenue": ("Receita", "Faturamento", "Valor total"),
        "regular_price": ("Preço de tabela", "Preço normal"),
        "discount": ("Desconto", "Desconto %"),
        "promo": ("Promoção", "Oferta", "Feriado"),
        "cost": ("Custo unitário", "Custo"),
        "customer": ("Cliente",),
    },
    "it": {
        "product": ("Codice prodotto", "Prodotto", "Articolo", "Codice articolo"),
        "description": ("Descrizione", "Nome prodotto"),
        "category": ("Categoria", "Reparto", "Famiglia"),
        "store": ("Negozio", "Punto vendita"),
        "date": ("Data", "Data vendita", "Giorno"),
        "year": ("Anno",), "week": ("Settimana",), "month": ("Mese",),
        "units": ("Quantità", "Pezzi", "Quantità venduta", "Unità vendute"),
        "price": ("Prezzo", "Prezzo unitario", "Prezzo di vendita"),
        "revenue": ("Ricavo", "Fatturato", "Importo totale"),
        "regular_price": ("Prezzo di listino", "Prezzo base"),
        "discount": ("Sconto", "Sconto %"),
        "promo": ("Promozione", "Offerta"),
        "cost": ("Costo unitario", "Costo"),
        "customer": ("Cliente",),
    },
    "nl": {
        "product": ("Artikelnummer", "Artikel", "Product", "Productcode"),
        "description": ("Omschrijving", "Productnaam", "Artikelomschrijving"),
        "category": ("Categorie", "Afdeling", "Productgroep"),
        "store": ("Winkel", "Filiaal"),
        "date": ("Datum", "Verkoopdatum", "Dag"),
        "year": ("Jaar",), "week": ("Week",), "month": ("Maand",),
        "units": ("Aantal", "Verkocht aantal", "Afzet", "Stuks"),
        "price": ("Prijs", "Verkoopprijs", "Prijs per stuk"),
        "revenue": ("Omzet", "Totaalbedrag", "Totaal bedrag"),
        "regular_price": ("Adviesprijs", "Normale prijs", "Lijstprijs"),
        "discount": ("Korting", "Korting %"),
        "promo": ("Actie", "Aanbieding"),
        "cost": ("Kostprijs", "Inkoopprijs"),
        "customer": ("Klant", "Klantnummer"),
    },
}  # fmt: skip
"""What columns are called."""

DATE_FORMATS = (
    "%Y-%m-%d", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%d/%m/%y",
    "%m/%d/%y", "%d.%m.%y", "%Y/%m/%d", "%Y%m%d", "%d-%b-%Y", "%d %b %Y", "%b %d, %Y", "%d %B %Y", "%d-%b-%y",
    "%m/%d/%Y %H:%M", "%d/%m/%Y %H:%M", "%m/%d/%Y %I:%M:%S %p", "%d.%m.%Y %H:%M", "unpadded d/m", "unpadded m/d",
    "excel",
)  # fmt: skip
PERIOD_FORMS = {
    "week": ("2022-W05", "year and week"),
    "month": ("2022-05", "202205", "year and month", "%b %Y", "%m/%Y", "%b-%y", "year and month name"),
    "day": (),
}
MARKS = ((".", ""), (".", ","), (",", ""), (",", "."), (",", " "), (".", "'"), (",", "\u00a0"), (".", " "))
CURRENCIES = ("{}", "{}", "{}", "${}", "{} €", "€{}", "{} EUR", "USD {}", "£{}", "R$ {}", "{}\u00a0€")
STYLES: tuple[Callable[[str], str], ...] = (
    str,
    lambda name: name.lower().replace(" ", "_"),
    lambda name: "".join(word[:1].upper() + word[1:] for word in name.split()),
    lambda name: name.upper().replace(" ", "_"),
    lambda name: name.upper(),
    str.lower,
)


@dataclass(frozen=True)
class Dialect:
    """How one retailer writes sales."""

    seed: int
    language: str
    style: int
    step: str
    date_form: str
    marks: tuple[str, str]
    currency: str
    delimiter: str
    encoding: str
    quoting: int
    money: str
    extras: frozenset[str]
    units_scale: int
    price_scale: int
    order: str
    ends: str


@dataclass(frozen=True)
class Truth:
    """What has to be read: units and mean price by product and period, and which columns have which role."""

    n_lines: int
    sales: dict[tuple[str, date], tuple[float, float]]
    columns: dict[str, str]
    controls: list[str]


@st.composite
def dialects(draw: st.DrawFn) -> Dialect:
    """Draw a dialect."""
    step = draw(st.sampled_from(("week", "week", "month", "day")))
    encoding = draw(st.sampled_from(("utf-8", "utf-8", "utf-8-sig", "latin-1", "cp1252", "utf-16")))
    currency = draw(st.sampled_from(CURRENCIES))
    if encoding == "latin-1" and "€" in currency:
        encoding = "cp1252"
    return Dialect(
        seed=draw(st.integers(0, 2**32 - 1)),
        language=draw(st.sampled_from(sorted(NAMES))),
        style=draw(st.integers(0, len(STYLES) - 1)),
        step=step,
        date_form=draw(st.sampled_from(DATE_FORMATS + PERIOD_FORMS[step])),
        marks=draw(st.sampled_from(MARKS)),
        currency=currency,
        delimiter=draw(st.sampled_from((",", ",", ";", "\t", "|"))),
        encoding=encoding,
        quoting=draw(st.sampled_from((csv.QUOTE_MINIMAL, csv.QUOTE_MINIMAL, csv.QUOTE_ALL))),
        money=draw(
            st.sampled_from(
                ("price", "price", "revenue", "both", "list and percent", "list and fraction", "all")
            )
        ),
        extras=frozenset(
            draw(
                st.sets(
                    st.sampled_from(
                        (
                            "category",
                            "store",
                            "description",
                            "regular_price",
                            "promo",
                            "cost",
                            "customer",
                            "parts",
                            "index",
                        )
                    )
                )
            )
        ),
        units_scale=draw(st.sampled_from((4, 40, 800, 5000))),
        price_scale=draw(st.sampled_from((1, 3, 60, 2000))),
        order=draw(st.sampled_from(("product", "date", "shuffled"))),
        ends=draw(st.sampled_from(("\n", "\r\n"))),
    )


def write_dialect(dialect: Dialect, path: Path) -> Truth:
    """Write a file of sales in a dialect."""
    rng = np.random.default_rng(dialect.seed)
    names = {
        role: STYLES[dialect.style](str(rng.choice(variants)))
        for role, variants in NAMES[dialect.language].items()
    }
    days = _days(dialect, rng)
    products = _products(rng)
    extras = dialect.extras - (
        {"regular_price"} if dialect.money.startswith(("list", "all")) else frozenset()
    )
    if dialect.money in ("list and percent", "list and fraction", "all"):
        extras -= {"promo"}
    stores = ["S1", "S2"] if "store" in extras else [""]
    rows, totals = [], defaultdict(lambda: [0.0, 0.0])
    prices_whole = dialect.price_scale == 2000
    for number, product in enumerate(products):
        base = float(np.round(dialect.price_scale * rng.uniform(1.0, 3.0), 0 if prices_whole else 2))
        level = dialect.units_scale * rng.uniform(0.5, 1.5)
        for store in stores:
            rate = 0.0
            for place, day in enumerate(days):
                if place % 3 == 0:
                    rate = float(rng.choice((0.0, 0.0, 0.05, 0.1, 0.2, 0.3)))
                price = float(np.round(base * (1.0 - rate), 0 if prices_whole else 2))
                units = int(rng.poisson(level * (1.0 - rate) ** -2.0)) + 1
                paid = base * (1.0 - rate) if dialect.money.startswith("list") else price
                rows.append((number, product, store, day, units, price, base, rate))
                total = totals[product, _start(dialect.step, day)]
                total[0] += units
                total[1] += units * paid
    if dialect.order == "date":
        rows.sort(key=lambda row: row[3])
    elif dialect.order == "shuffled":
        rows = [rows[place] for place in rng.permutation(len(rows))]
    columns = _columns(dialect, names, rows, extras, rng)
    keys = [list(columns)[place] for place in rng.permutation(len(columns))]
    text = io.StringIO()
    writer = csv.writer(
        text, delimiter=dialect.delimiter, quoting=dialect.quoting, lineterminator=dialect.ends
    )
    header = {key: names.get(key, key) for key in keys}
    header |= {key: name for key, name in _own_names(dialect, names).items() if key in keys}
    writer.writerow([header[key] for key in keys])
    writer.writerows(zip(*(columns[key] for key in keys), strict=True))
    path.write_bytes(text.getvalue().encode(dialect.encoding))
    roles = {
        key: header[key]
        for key in ("product", "category", "store", "description", "units", "cost")
        if key in keys
    }
    return Truth(
        len(rows),
        {key: (units, revenue / units) for key, (units, revenue) in totals.items()},
        roles,
        [header["promo"]] if "promo" in keys else [],
    )


def _own_names(dialect: Dialect, names: dict[str, str]) -> dict[str, str]:
    style = STYLES[dialect.style]
    of_year = style(NAMES[dialect.language]["year"][0])
    part = names["week" if dialect.step == "week" else "month"]
    if "and" in dialect.date_form:
        return {"year": of_year, "period": part}
    if dialect.date_form == "2022-W05":
        return {"period": part}
    if dialect.date_form in PERIOD_FORMS["month"]:
        return {"period": part}
    return {"period": names["date"], "month part": names["month"], "year": of_year}


def _days(dialect: Dialect, rng: np.random.Generator) -> list[date]:
    year = int(rng.integers(2012, 2022))  # months in the future are rejected, and said to be
    if dialect.step == "month":
        first = int(rng.integers(0, 12))
        n = int(rng.integers(24, 40))
        return [date(year + (first + k) // 12, (first + k) % 12 + 1, 1) for k in range(n)]
    start = date(year, 1, 1) + timedelta(int(rng.integers(0, 365)))
    if dialect.step == "week":
        if dialect.date_form in PERIOD_FORMS["week"]:
            start -= timedelta(start.weekday())
        return [start + timedelta(7 * k) for k in range(int(rng.integers(30, 70)))]
    return [start + timedelta(k) for k in range(int(rng.integers(60, 120)))]


def _start(step: str, day: date) -> date:
    return day.replace(day=1) if step == "month" else day - timedelta(day.weekday())


def _products(rng: np.random.Generator) -> list[str]:
    n = int(rng.integers(4, 8))
    kind = rng.choice(("letters", "digits", "zeros", "words"))
    if kind == "letters":
        return [f"SKU{k}" for k in range(1, n + 1)]
    if kind == "digits":
        return [str(code) for code in rng.choice(10**6, n, replace=False) + 10**6]
    if kind == "zeros":
        return [f"{code:06d}" for code in rng.choice(10**5, n, replace=False)]
    return [f"{word} {size}" for word in ("Tea", "Café", "Käse") for size in ("A", "B", "C")][:n]


def _columns(
    dialect: Dialect, names: dict[str, str], rows: list, extras: frozenset[str], rng: np.random.Generator
) -> dict[str, list[str]]:
    def money(value: float) -> str:
        return dialect.currency.format(_number(value, 2, dialect.marks))

    columns = {
        "product": [row[1] for row in rows],
        "units": [_number(row[4], 0, dialect.marks) for row in rows],
    }
    columns |= _period_columns(dialect, [row[3] for row in rows])
    paid = [row[5] for row in rows]
    if dialect.money in ("price", "both"):
        columns["price"] = list(map(money, paid))
    if dialect.money in ("revenue", "both", "all"):
        columns["revenue"] = [money(row[4] * row[5]) for row in rows]
    if dialect.money.startswith("list") or dialect.money == "all":
        columns["price"] = [money(row[6]) for row in rows]
        is_percent = dialect.money != "list and fraction"
        columns["discount"] = [
            _number(row[7] * 100, 0, dialect.marks) + ("%" if dialect.seed % 2 else "")
            if is_percent
            else _number(row[7], 2, dialect.marks)
            for row in rows
        ]
    if "category" in extras:
        columns["category"] = [("Drinks", "Food")[row[0] % 2] for row in rows]
    if "store" in extras:
        columns["store"] = [row[2] for row in rows]
    if "description" in extras:
        columns["description"] = [
            f"Product, the {row[0]}. «é»"[: 20 if dialect.encoding else 0] for row in rows
        ]
    if "regular_price" in extras:
        columns["regular_price"] = [money(row[6]) for row in rows]
    if "cost" in extras:
        columns["cost"] = [money(round(row[6] * 0.5, 2)) for row in rows]
    if "customer" in extras:
        columns["customer"] = [f"C{rng.integers(1, 60)}" for _ in rows]
    if "promo" in extras:
        yes, no = (("Yes", "No"), ("1", "0"), ("true", "false"))[dialect.seed % 3]
        columns["promo"] = [yes if row[7] > 0 else no for row in rows]
    if (
        "parts" in extras
        and "and" not in dialect.date_form
        and dialect.date_form not in PERIOD_FORMS["month"]
    ):
        columns["month part"] = [str(row[3].month) for row in rows]
        columns["year"] = [str(row[3].year) for row in rows]
    if "index" in extras:
        columns[""] = [str(number) for number in range(len(rows))]
    return columns


def _period_columns(dialect: Dialect, days: list[date]) -> dict[str, list[str]]:
    form = dialect.date_form
    write = WRITTEN.get(form, lambda day: day.strftime(form))
    columns = {"period": [write(day) for day in days]}
    if form == "year and week":
        columns["year"] = [f"{day:%G}" for day in days]
    elif form.startswith("year and"):
        columns["year"] = [f"{day:%Y}" for day in days]
    return columns


WRITTEN: dict[str, Callable[[date], str]] = {
    "excel": lambda day: str((day - date(1899, 12, 30)).days),
    "2022-W05": lambda day: f"{day:%G-W%V}",
    "2022-05": lambda day: f"{day:%Y-%m}",
    "202205": lambda day: f"{day:%Y%m}",
    "year and week": lambda day: str(int(f"{day:%V}")),
    "year and month": lambda day: str(day.month),
    "year and month name": lambda day: f"{day:%B}",
    "unpadded d/m": lambda day: f"{day.day}/{day.month}/{day.year}",
    "unpadded m/d": lambda day: f"{day.month}/{day.day}/{day.year}",
}
"""How days are written where strftime does not do."""


def _number(value: float, decimals: int, marks: tuple[str, str]) -> str:
    decimal, thousands = marks
    text = f"{value:,.{decimals}f}"
    return text.replace(",", "T").replace(".", decimal).replace("T", thousands)
