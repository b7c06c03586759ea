"""What a column's name says: its words, in several languages, as ideas such as `price` or `product`."""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

IDEAS = {
    "product": "product products produkt produkte produktes produit produits producto productos produto produtos "
    "prodotto prodotti prod article articles artikel art articulo articulos artigo artigos articolo "
    "articoli item items sku skus upc ean gtin barcode asin plu material stockcode goods ware isbn "
    "merchandise referencia reference variant medicine drug beverage menu dish artikelnr articlescode "
    "produkten codart ref refs",
    "code": "id ids code codes no nr num number nbr key cd kod codigo codice nummer numero identifier clave "
    "cod kennung kode",
    "name": "name names nom nombre nome naam bezeichnung designation libelle description desc descr descricao "
    "descripcion descrizione beschreibung omschrijving title titel titre titulo titolo label text "
    "denominacion denominazione bez artikelbez omschr descripc libelles",
    "category": "category categories cat categorie kategorie categoria department departments dept dep "
    "departement abteilung rayon reparto departamento afdeling group groups gruppe groupe grupo "
    "gruppo groep family familie famille familia famiglia class klasse classe clase segment commodity "
    "section seccion secao sortiment assortment kategori warengruppen sparte gruppomerc subcategory "
    "subcategoria unterkategorie warenbereich",
    "type": "type typ types tipo soort",
    "sub": "sub unter sous detail fine",
    "brand": "brand marke marque marca merk manufacturer vendor supplier hersteller fabricante fabricant "
    "fornitore lieferant leverancier proveedor",
    "line": "line linie ligne linea lijn",
    "units": "stuckzahl stueckzahl units quantity quantities qty quant menge mengen anzahl stueck stuck stk "
    "quantite qte unites cantidad cant unidades uds unid quantidade qtd qtde quantita qta pezzi "
    "aantal stuks hoeveelheid volume vol volumen move movement pieces pcs demand absatz afzet bottles "
    "cases packs cartons count tickets eenheden unita nb verkaufsmenge absatzmenge verkaufszahl "
    "verkauft hoeveelheden quantites quantidades cantidades volumes sztuk ilosc",
    "unit": "kg kilo kilos liter litre litro stuk pezzo piece unit unite unitario unitaria unitaire einheit "
    "einzel stueckpreis each per eenheid unidade unidad pro",
    "sold": "sold verkaufte vendu vendus vendue vendues vendidas vendidos vendido vendida vendute venduti "
    "venduto venduta verkocht verkochte verkaufs",
    "price": "price prices pricing preis preise prix precio precios preco precos prezzo prezzi prijs prijzen "
    "asp unitprice pvp retail vk pu pv tarifa preisstellung einzelpreis stuckpreise",
    "revenue": "revenue revenues turnover umsatz umsaetze umsatze erlos erloes erlose chiffre affaires recette "
    "recettes ingreso ingresos facturacion receita faturamento fatturato ricavo ricavi incasso omzet "
    "spend spent proceeds takings ca ventesht bruttoumsatz nettoumsatz rev",
    "sales": "sales sale verkauf verkaufe verkaeufe vente ventes venta ventas venda vendas vendita vendite "
    "verkoop verkopen umsatzmenge selling",
    "amount": "amount amt value betrag wert montant valeur valor monto importe importo valore bedrag waarde "
    "dollars dollar usd eur euro euros gbp pounds sum brl vlr chf cad aud inr "
    "rs jpy cny sek nok dkk pln czk mxn zar",
    "total": "total totals totales totaux totali totalen totais gesamt summe totale totaal subtotal extended "
    "ext zeilen somme",
    "regular": "regular base list listed original shelf full normal standard catalogue catalog rrp msrp mrp uvp "
    "listino tabela lista tarif regulaer regulier habitual grund initial before was srp listen "
    "vollpreis catalogo streichpreis statt ordinario ordinaria normaal normale advies brutoprijs "
    "vorher",
    "paid": "net netto paid actual final effective discounted after special bezahlt paye payee pagado pago "
    "pagato betaald realized realised",
    "discount": "discount discounts disc rabatt rabatte remise remises reduction descuento descuentos desconto "
    "descontos sconto sconti korting nachlass markdown rebate dto rabattsatz nachlasse ermassigung "
    "promodiscount",
    "cost": "cost costs cogs kosten einkauf einkaufs ek cout couts achat coste costes costo costi custo "
    "custos inkoop kostprijs wholesale purchase buying",
    "promo": "promo promos promotion promotions promoted onpromotion aktion aktionen werbung angebot promocion "
    "promocao promozione promozioni offerta oferta actie aanbieding display feature featured mailer "
    "flyer leaflet prospekt advert advertised advertising ad ads coupon coupons campaign tpr deal "
    "folder flyers sonderangebot aktionswoche werbeaktion onpromo",
    "random": "random randomized randomised randomly randomisiert randomisierter zufall zufallig zufallspreis "
    "aleatoire aleatorio aleatoria aleatorizado casuale willekeurig",
    "holiday": "holiday holidays feiertag feiertage ferie ferien ferias festivo festivos feriado feriados "
    "festivita event events feestdag vacances vakantie isholiday",
    "date": "kalender date dates datum fecha data dt timestamp datetime time zeit calendar ds datetimestamp "
    "datums fechas dagdatum yyyymmdd calday",
    "day": "day days tag jour dia giorno dag",
    "period": "period periode periodo",
    "week": "kalenderwoche week weeks wk woche wochen kw semaine semana settimana weeknr weekno sem yyyyww calweek",
    "month": "month months monat mois mes mese maand mth yyyymm calmonth",
    "quarter": "quarter qtr quartal trimestre kwartaal",
    "year": "year years yr jahr annee an ano anno jaar exercice",
    "occasion": "transaction order orders ordered invoice trans trx txn bestell bestellung rechnung rechnungs "
    "commande facture pedido factura receipt purchased ordine fattura bon kauf",
    "later": "ship shipping shipped delivery delivered due created updated modified birth expiry expiration "
    "launch liefer lieferung lieferdatum livraison entrega return returned payment load loaded insert "
    "inserted registered valid consegna levering envio changed",
    "store": "store stores shop shops outlet branch filiale filialen laden geschaft geschaeft markt magasin "
    "magasins boutique tienda tiendas sucursal loja lojas negozio negozi puntovendita puntoventa "
    "puntodeventa pontodevenda pointdevente winkel winkels vestiging storenbr location restaurant "
    "filiaal filial filialnr estabelecimento enseigne verkaufsstelle sucursales almacen kassa",
    "place": "region city state country county zone zones zona zonas market channel district territory warehouse "
    "site center centre area ville ciudad cidade citta stadt land pays pais paese kanal zip postal province",
    "person": "customer customers kunde kunden client clients cliente clientes user users klant household "
    "member employee salesperson cashier seller rep manager gender age",
    "basket": "basket basketid ticketid receiptid invoiceno cart session",
    "profit": "profit profits margin margins gewinn marge margen margem margine benefit winst",
    "tax": "tax taxes vat steuer mwst tva iva btw gst",
    "stock": "stock inventory bestand inventario estoque voorraad hand onhand soh backorder",
    "rival": "competitor competitors competition comp rival wettbewerb konkurrenz concurrent competidor rivals",
    "derived": "forecast predicted prediction target index change growth rank rating ratings review reviews lag "
    "rolling std score share ratio previous prev last next prior ly budget plan elasticity estimated "
    "weight weights lead median min max minimum maximum",
    "percent": "percent percentage pct prozent pourcentage porcentaje porcentagem percentuale procent rate",
    "average": "average avg durchschnitt moyen moyenne medio media gemiddeld",
    "often": "daily weekly monthly quarterly yearly taglich wochentlich monatlich",
    "gross": "gross brutto bruto brut lordo",
    "freight": "freight fracht fret flete frete",
}  # fmt: skip
"""The ideas that names of columns are made of, and their words, without accents."""

_IDEA_OF = {word: idea for idea, words in IDEAS.items() for word in words.split()}
_JOINED = {word for word in _IDEA_OF if len(word) >= 3} | {"id", "nr", "no"}
_LINKS = ("s", "n", "en", "de", "du", "di", "of")
_SMALL = {
    "the",
    "des",
    "del",
    "der",
    "die",
    "das",
    "von",
    "van",
    "per",
    "por",
    "pour",
    "para",
    "and",
    "und",
    "les",
    "dos",
}


def plain(text: str) -> str:
    """Lower case without accents; ß and ø as their letters."""
    replaced = text.replace("ß", "ss").replace("ø", "o").replace("æ", "ae").replace("Ø", "O")
    return "".join(
        c for c in unicodedata.normalize("NFKD", replaced) if not unicodedata.combining(c)
    ).casefold()


def words(name: str) -> list[str]:
    """Split a name into its words: at signs and blanks, where lower case turns to upper, and inside known compounds."""
    apart = re.sub(r"(?<=[a-zà-ÿ0-9])(?=[A-ZÀ-Þ])|(?<=[A-ZÀ-Þ])(?=[A-ZÀ-Þ][a-zà-ÿ])", " ", name)
    found: list[str] = []
    for word in re.findall(r"[a-z]+|\d+", plain(apart)):
        found += [word] if word in _IDEA_OF else _compound(word) or [word]
    whole = "".join(found)
    if whole in _IDEA_OF:  # punto vendita
        return [whole]
    return found


@cache
def _compound(word: str) -> list[str] | None:
    """Split `invoicedate` or `verkaufspreis` into known words, the longest first."""
    for end in range(len(word) - 1, 1, -1):
        head, tail = word[:end], word[end:]
        if head not in _JOINED:
            continue
        for link in ("", *_LINKS):
            if not tail.startswith(link):
                continue
            rest = tail.removeprefix(link)
            if rest in _JOINED:
                return [head, rest]
            further = _compound(rest)
            if further:
                return [head, *further]
    return None


def ideas(name: str) -> frozenset[str]:
    """Name the ideas that a column's name holds."""
    return frozenset(_IDEA_OF[word] for word in words(name) if word in _IDEA_OF)


@dataclass(frozen=True)
class _Rule:
    """A name with all these ideas and none of those speaks for a role: 3 says it, 2 hints at it, 1 allows it."""

    role: str
    strength: int
    all_of: frozenset[str]
    none_of: frozenset[str]


def _rules(role: str, strength: int, *alternatives: str, none_of: str = "") -> list[_Rule]:
    return [
        _Rule(role, strength, frozenset(ideas.split()), frozenset(none_of.split())) for ideas in alternatives
    ]


_OTHER = "derived rival stock profit tax person freight basket"
_NO_NUMBER = "code percent date day week month year store place product category type name"
_NO_THING = (
    f"{_OTHER} percent occasion later price revenue cost discount amount promo units sold sales unit holiday"
)
_CALENDAR = "date day week month quarter year"
_RULES = [
    *_rules("promo", 3, "promo", "holiday", none_of=f"{_OTHER} price revenue amount cost units sales"),
    *_rules("discount", 3, "discount", none_of=f"{_OTHER} price code"),
    *_rules("cost", 3, "cost", none_of=f"{_OTHER} code percent revenue discount"),
    *_rules("price", 3, "amount unit", none_of=f"{_OTHER} code percent cost regular total sales discount"),
    *_rules("price", 3, "price", none_of=f"{_OTHER} code percent cost regular total"),
    *_rules("revenue", 3, "price total", none_of=f"{_OTHER} code percent cost regular"),
    *_rules("regular_price", 3, "price regular", none_of=f"{_OTHER} code percent cost"),
    *_rules("price", 1, "price regular", none_of=f"{_OTHER} code percent cost"),
    *_rules("regular_price", 2, "regular", none_of=f"{_OTHER} {_NO_NUMBER} price cost sales units revenue"),
    *_rules("price", 1, "regular", none_of=f"{_OTHER} {_NO_NUMBER} price cost sales units revenue"),
    *_rules("revenue", 3, "revenue", "sales amount", none_of=f"{_OTHER} code percent cost price"),
    *_rules(
        "revenue", 2, "sales total", none_of=f"{_OTHER} {_NO_NUMBER} cost price units unit amount revenue"
    ),
    *_rules(
        "revenue", 2, "amount", "total", none_of=f"{_OTHER} {_NO_NUMBER} cost price discount units unit sales"
    ),
    *_rules(
        "revenue", 1, "sales", none_of=f"{_OTHER} {_NO_NUMBER} cost price discount units unit sold amount"
    ),
    *_rules(
        "units",
        3,
        "units",
        "unit sales",
        "unit sold",
        none_of=f"{_OTHER} code percent cost price amount revenue",
    ),
    *_rules(
        "units", 2, "sold", none_of=f"{_OTHER} code percent cost price amount revenue {_CALENDAR} units unit"
    ),
    *_rules(
        "units",
        1,
        "amount",
        "total",
        "sales",
        none_of=f"{_OTHER} {_NO_NUMBER} cost price discount revenue units unit",
    ),
    *_rules("units", 1, "unit", none_of=f"{_OTHER} {_NO_NUMBER} cost price sales sold"),
    *_rules("store", 3, "store", none_of=_NO_THING),
    *_rules("category", 3, "category", none_of=f"{_NO_THING} store"),
    *_rules("category", 2, "type", "product line", none_of=f"{_NO_THING} {_CALENDAR} store category"),
    *_rules("category", 1, "brand", none_of=f"{_NO_THING} {_CALENDAR} store category"),
    *_rules("product", 3, "product", none_of=f"{_NO_THING} store category type brand name line"),
    *_rules(
        "product", 3, "product code", none_of=f"{_NO_THING} store category type brand".replace("stock ", "")
    ),
    *_rules("product", 3, "stock code", none_of=_NO_THING.replace("stock ", "")),
    *_rules("description", 3, "product name", none_of=f"{_NO_THING} store category brand code"),
    *_rules("product", 2, "product name", none_of=f"{_NO_THING} store category brand code"),
    *_rules(
        "description", 2, "name", none_of=f"{_NO_THING} {_CALENDAR} store category type brand place product"
    ),
    *_rules("product", 1, "name", none_of=f"{_NO_THING} {_CALENDAR} store category type brand place product"),
]

_ROLES_OF_ANY_WORDS = {"promo", "store"}
"""Roles whose names mostly have more words than are known."""


@cache
def name_strengths(name: str) -> Mapping[str, int]:
    """Say how strongly a name speaks for a role: 3 says it, 2 hints at it, 1 allows it.

    Roles: units, price, revenue, regular_price, discount, cost, product, description, category, store, promo. Words
    that are not known make it less sure.
    """
    has = ideas(name)
    known = _SMALL | set(_IDEA_OF)
    unknown = any(word.isalpha() and len(word) > 2 and word not in known for word in words(name))
    strengths: dict[str, int] = {}
    for rule in _RULES:
        if rule.all_of <= has and not rule.none_of & has:
            strength = rule.strength
            if unknown and rule.role not in _ROLES_OF_ANY_WORDS:
                strength = strength - 1 if rule.role != "revenue" or strength == 3 else 0
            if strength:
                strengths[rule.role] = max(strength, strengths.get(rule.role, 0))
    return strengths


def calendar_part(name: str) -> str | None:
    """Name the part of a calendar that a column of numbers may hold: year, quarter, month, week or day."""
    has = ideas(name)
    if has & {"later", "derived", "units", "price", "revenue", "sales"}:
        return None
    for part in ("week", "month", "quarter", "year", "day"):
        if part in has:
            return part
    return None


def date_rank(name: str) -> int:
    """Rank a name as that of the day of a sale: 3 says so, 0 speaks against it."""
    has = ideas(name)
    if has & {"later", "person", "derived", "stock"}:
        return 0
    if has & {"date", "day", "period", "week", "month"}:
        return 3 if has & {"occasion", "sales", "sold", "period"} or has <= {"date", "week", "day"} else 2
    return 1
