"""The hosts of the demo web: reserved names only (RFC 2606 and 6761), each with a language, a kind and its habits."""

from __future__ import annotations

from dataclasses import dataclass

# Name, language, kind, charset and where it is declared, licence (- is none).
_TABLE = """
gardenpaths.example           en blog   utf-8:header        by
photos.example.org            en stock  utf-8:header        by
cityviews.test                en travel utf-8:meta          -
kitchenstories.example        en blog   utf-8:header        by-nc
wildlife.example.org          en stock  utf-8:header        by-sa
dailypost.example             en news   utf-8:header        -
toolshed.test                 en shop   utf-8:header        -
trainspotting.example         en forum  windows-1252:header -
openpictures.test             en stock  utf-8:meta          cc0
coastwalks.example.org        en travel utf-8:header        by
fashionrack.example           en shop   utf-8:header        -
petcorner.example             en blog   utf-8:header        by
astronomy.example.org         en blog   iso-8859-1:meta     by-sa
clipshow.test                 en video  utf-8:header        by
oldpostcards.example          en stock  utf-8:header        cc0
sportsdesk.test               en news   utf-8:header        -
makers.example.org            en forum  utf-8:header        -
toybox.example                en shop   utf-8:header        -
birdwatch.example             en blog   utf-8:header        by-nc
openvideo.example.org         en video  utf-8:header        by
museum.example                en stock  utf-8:header        by-sa
localnews.test                en news   utf-8:none          -
gartenfreunde.example         de blog   utf-8:header        by
bergbilder.test               de stock  iso-8859-1:header   by-sa
nachrichten.example.org       de news   utf-8:header        -
haustiere.example             de shop   utf-8:meta          -
filmclub.test                 de video  utf-8:header        by
cartes.example.org            fr stock  iso-8859-1:meta     by
voyages.example               fr travel utf-8:header        -
cuisine.test                  fr blog   utf-8:header        by-nc
journal.example               fr news   utf-8:header        -
fotos.example.org             es stock  utf-8:header        by
viajes.test                   es travel iso-8859-1:header   -
recetas.example               es blog   utf-8:header        by-sa
noticias.example              es news   utf-8:header        -
immagini.example.org          it stock  utf-8:header        by
ricette.example               it blog   utf-8:header        -
priroda.example               ru blog   windows-1251:header by
foto.test                     ru stock  windows-1251:meta   by-sa
novosti.example.org           ru news   utf-8:header        -
kino.example                  ru video  utf-8:header        -
tupian.example                zh stock  utf-8:header        by
xinwen.test                   zh news   gb18030:header      -
lvyou.example.org             zh travel utf-8:header        -
meishi.example                zh blog   gb18030:meta        by-nc
shashin.example               ja stock  utf-8:header        by
tabi.test                     ja travel shift_jis:header    -
nikki.example.org             ja blog   utf-8:header        by-sa
resimler.example              tr stock  windows-1254:header by
haberler.test                 tr news   utf-8:header        -
suwar.example                 ar stock  utf-8:header        by
akhbar.test                   ar news   windows-1256:header -
fotoboek.example              nl blog   utf-8:header        by
howto.example.org             en video  utf-8:header        by
trailclips.test               en video  utf-8:meta          by-sa
videotheque.example           fr video  utf-8:header        by
cine.example.org              es video  iso-8859-1:header   by-sa
schermo.test                  it video  utf-8:header        -
shipin.example                zh video  gb18030:header      by
douga.test                    ja video  utf-8:header        by
soundwalks.example            en podcast utf-8:header       by
hoerbar.test                  de podcast utf-8:header       by-nc
world.example.org             *  world  utf-8:header        by
"""

# Identifiers of licences, not pages to fetch.
LICENCES = {
    "by": "https://creativecommons.org/licenses/by/4.0/",
    "by-sa": "https://creativecommons.org/licenses/by-sa/4.0/",
    "by-nc": "https://creativecommons.org/licenses/by-nc/4.0/",
    "cc0": "https://creativecommons.org/publicdomain/zero/1.0/",
}
LICENCE_IDS = {
    LICENCES["by"]: "CC-BY-4.0",
    LICENCES["by-sa"]: "CC-BY-SA-4.0",
    LICENCES["by-nc"]: "CC-BY-NC-4.0",
    LICENCES["cc0"]: "CC0-1.0",
}
"""Their SPDX identifiers."""

# The same things in every language, for the host that shows one picture under texts in several languages.
_WORLD = """
en dog    cat   house   tree    car        flower
de Hund   Katze Haus    Baum    Auto       Blume
fr chien  chat  maison  arbre   voiture    rose
es perro  gato  casa    árbol   coche      flor
it cane   gatto casa    albero  automobile rosa
ru собака кошка дом     дерево  машина     цветок
zh 狗     猫    房子    树      汽车       花
ja 犬     猫    家      木      自動車     花
tr köpek  kedi  ev      ağaç    araba      çiçek
ar كلب    قطة   بيت     شجرة    سيارة      زهرة
"""

PRIVATE_KINDS = ("stock", "shop")
"""Kinds of hosts whose image host has a folder that its robots.txt disallows."""
CDN = "cdn.pictures.example"


@dataclass(frozen=True)
class Host:
    """A web site: kind decides what its pages look like; charset_in is header, meta or none."""

    name: str
    lang: str
    kind: str
    charset: str
    charset_in: str
    licence: str | None


def _hosts() -> tuple[Host, ...]:
    hosts = []
    for line in _TABLE.strip().splitlines():
        name, lang, kind, charset, licence = line.split()
        encoding, declared = charset.split(":")
        hosts.append(Host(name, lang, kind, encoding, declared, LICENCES.get(licence)))
    return tuple(hosts)


HOSTS = _hosts()
WORLD = {line.split()[0]: tuple(line.split()[1:]) for line in _WORLD.strip().splitlines()}
