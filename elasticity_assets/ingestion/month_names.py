"""Names of months: English, German, Spanish, French, Portuguese, Italian and Dutch, whole and abbreviated."""

import re
import unicodedata

MONTHS = (
    r"jan(?:uary|uari?|ner|vier|v|eiro)?|ene(?:ro)?|gen(?:naio)?",
    r"fe[bv](?:ruary|ruari?|er|rero|r|rier|ereiro|braio)?",
    r"mar(?:ch|z|zo|s|co|t|et)?|mrz|maart|mrt",
    r"apr(?:il|ile)?|abr(?:il)?|avr(?:il)?",
    r"may|mayo|mai|maio|mag(?:gio)?|mei",
    r"jun[ei]?|junio|junho|juin|giu(?:gno)?",
    r"jul[iy]?|julio|julho|juil(?:let)?|lug(?:lio)?",
    r"aug(?:ust|ustus)?|ago(?:sto)?|aout",
    r"sept?(?:ember|iembre|embre)?|set(?:iembre|tembre|embro)?",
    r"o[ck]t(?:ober|ubre|obre)?|ott(?:obre)?|out(?:ubro)?",
    r"nov(?:ember|iembre|embre|embro)?",
    r"de[cz](?:ember|embre|embro)?|dic(?:iembre|embre)?",
)
"""Patterns of each month's names, in small letters without accents."""

_ANY = re.compile("|".join(MONTHS))


def without_accents(text: str) -> str:
    """Take accents away from a text in Unicode's form NFC, a letter for a letter: all places stay what they are."""
    parts = (unicodedata.normalize("NFD", character) for character in text)
    return "".join(part[0] for part in parts)


def is_month(name: str) -> bool:
    """Whether a text is a month's name."""
    letters = without_accents(unicodedata.normalize("NFC", name.casefold().removesuffix(".")))
    return bool(_ANY.fullmatch("".join(filter(str.isalpha, letters))))
