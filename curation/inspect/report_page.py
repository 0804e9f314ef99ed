"""The report's page: its style, and the frame around the sections. Nothing is fetched, and no script runs.

The policy in the head allows this very style, pictures within the page, and nothing else: what a text might smuggle in
has nothing to run with. Light and dark follow the system, and the three buttons, which are a style's work too.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence

from curation.inspect.report_markup import Content, Html, element, joined

REPORT_HTML = "report.html"
"""Its name in a work folder, where no other is given."""

_LIGHT = {
    "paper": "#ffffff",
    "sheet": "#f6f7f9",
    "ink": "#1c2127",
    "soft": "#59636f",
    "rule": "#d9dee4",
    "link": "#0b5cad",
    "note": "#fff5d6",
    "noteline": "#c79a00",
    "s0": "#0072b2",
    "s1": "#d55e00",
    "s2": "#00805d",
    "s3": "#b0568c",
    "s4": "#8a8f98",
    "s5": "#7a6a00",
}
_DARK = {
    "paper": "#14181d",
    "sheet": "#1c2229",
    "ink": "#e6eaee",
    "soft": "#a0abb7",
    "rule": "#333c46",
    "link": "#7db8f0",
    "note": "#2e2a17",
    "noteline": "#d8b43a",
    "s0": "#5ab4e8",
    "s1": "#f29b4c",
    "s2": "#3ecf9f",
    "s3": "#e59cc6",
    "s4": "#7d8794",
    "s5": "#e0d040",
}
"""Okabe and Ito's colours, which the colour-blind tell apart, darker on light and lighter on dark: 3:1 at least."""
_DASHES = ("none", "8 3", "3 2", "10 3 2 3", "5 5", "1 4")

_STYLE = """
*{box-sizing:border-box}
html{scroll-behavior:smooth;scroll-padding-top:3.5rem;-webkit-text-size-adjust:100%}
@media (prefers-reduced-motion:reduce){html{scroll-behavior:auto}}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,
"Helvetica Neue","Noto Sans","Liberation Sans",Arial,sans-serif}
header,main,footer{max-width:74rem;margin:0 auto;padding:0 1.25rem}
header{padding-top:2rem}
h1{font-size:1.9rem;line-height:1.2;margin:0 0 .4rem;overflow-wrap:anywhere}
h2{font-size:1.35rem;margin:0 0 .3rem}
h3{font-size:1rem;margin:0}
h4{font-size:1rem;margin:1.4rem 0 .5rem}
.samples+h3{margin-top:1.8rem}
h3+.kind{margin:.1rem 0 .7rem}
section{padding:2.2rem 0 .4rem;border-top:1px solid var(--rule);margin-top:2.2rem}
section:first-child{border-top:0;margin-top:0;padding-top:1rem}
.lead{max-width:48rem;margin:0 0 1.1rem;color:var(--soft)}
.absent{color:var(--soft);font-style:italic}
a{color:var(--link);text-underline-offset:.15em}
a,.left,li,dd,p,figcaption,summary{overflow-wrap:anywhere}
code{font:.86em ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace}
.notice{background:var(--note);border-left:4px solid var(--noteline);padding:.6rem .9rem;margin:.8rem 0;
max-width:52rem}
nav{position:sticky;top:0;z-index:2;background:var(--paper);border-bottom:1px solid var(--rule);margin-top:1rem}
nav>div{max-width:74rem;margin:0 auto;padding:.45rem 1.25rem;display:flex;gap:.4rem 1rem;align-items:center}
nav ul{display:flex;gap:.2rem 1rem;list-style:none;margin:0;padding:0;overflow-x:auto;flex:1 1 auto;
scrollbar-width:thin;white-space:nowrap}
nav a{text-decoration:none}
nav a:hover{text-decoration:underline}
.theme{display:flex;border:1px solid var(--rule);border-radius:.4rem;overflow:hidden;margin:0;padding:0;flex:none;
font-size:.85rem}
.theme label{padding:.15rem .55rem;cursor:pointer;color:var(--soft)}
.theme input{position:absolute;opacity:0;pointer-events:none}
.theme input:checked+span{color:var(--ink);font-weight:600;text-decoration:underline;text-underline-offset:.25em}
.theme label:has(:focus-visible){outline:2px solid var(--link);outline-offset:-2px}
@supports not selector(:has(*)){.theme{display:none}}
.tiles{display:grid;grid-template-columns:repeat(auto-fill,minmax(9.4rem,1fr));gap:.8rem;margin:1.2rem 0}
.tiles>div{background:var(--sheet);border:1px solid var(--rule);border-radius:.5rem;padding:.7rem .9rem}
.tiles dt{color:var(--soft);font-size:.9rem}
.tiles dd{margin:0}
.tiles b{display:block;font-size:1.5rem;line-height:1.25;font-variant-numeric:tabular-nums;white-space:nowrap}
.tiles small{color:var(--soft);font-size:.82rem;line-height:1.3;display:block}
.scroll{overflow-x:auto;margin:.6rem 0 1rem}
.scroll:focus-visible{outline:2px solid var(--link)}
table{border-collapse:collapse;width:100%;font-size:.92rem;font-variant-numeric:tabular-nums}
caption{text-align:left;font-weight:600;padding:.3rem 0}
th,td{padding:.32rem .6rem;text-align:right;vertical-align:top;border-bottom:1px solid var(--rule)}
th{color:var(--soft);font-weight:600;font-size:.85rem;vertical-align:bottom}
th:first-child,td:first-child{padding-left:0}
.left{text-align:left}
td.right{white-space:nowrap}
td.left{min-width:8.5rem;max-width:30rem}
.wide{text-align:left;width:38%;min-width:9rem}
.wide svg.meter{margin-top:.3rem}
svg{display:block}
.meter{width:100%;height:.85rem;background:var(--sheet);border-radius:2px}
.chart{width:100%;height:auto;max-width:36rem;overflow:visible}
.chart text{fill:var(--soft);font-size:12px;font-family:inherit;font-variant-numeric:tabular-nums}
.chart .title{fill:var(--ink)}
.grid{stroke:var(--rule);stroke-width:1}
.axis{stroke:var(--soft);stroke-width:1}
.line{fill:none;stroke-width:2.2;stroke-linejoin:round}
.spot{fill:transparent;stroke:none;stroke-width:2}
.spot:hover{stroke:var(--ink)}
.mark{stroke-width:2;fill:var(--paper)}
.key{width:24px;height:12px;flex:none}
.legend{display:flex;flex-wrap:wrap;gap:.15rem 1.1rem;list-style:none;margin:.35rem 0;padding:0;font-size:.88rem}
.legend li{display:flex;gap:.45rem;align-items:center}
.figures{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,27rem),1fr));gap:1.6rem 2.2rem}
figure{margin:0 0 1rem;min-width:0}
.figures>.scroll{margin-top:-.3rem}
figcaption p{margin:.1rem 0 .2rem;color:var(--soft);font-size:.92rem}
details{margin:.4rem 0}
summary{cursor:pointer;color:var(--link);font-size:.9rem;width:fit-content}
.losses{margin:.25rem 0 0;padding:0;list-style:none;color:var(--soft);font-size:.86rem}
.losses b{color:var(--s1);font-weight:600}
.samples{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,16rem),1fr));gap:1rem}
.sample{background:var(--sheet);border:1px solid var(--rule);border-radius:.5rem;overflow:hidden;display:flex;
flex-direction:column;min-width:0;contain:paint}
.thumb{height:11rem;display:flex;align-items:center;justify-content:center;background:var(--rule)}
.thumb img{max-width:100%;max-height:11rem;display:block}
.thumb p{color:var(--soft);font-size:.85rem;padding:.6rem;text-align:center;margin:0}
.sample .body{padding:.65rem .8rem .8rem;display:flex;flex-direction:column;gap:.35rem;min-width:0}
.said{margin:0;max-height:12rem;overflow:auto;unicode-bidi:isolate;white-space:pre-wrap}
.sample ul{margin:.2rem 0 0;padding:0;list-style:none;font-size:.88rem}
.sample li{unicode-bidi:isolate;margin:.15rem 0;max-height:10rem;overflow:auto}
.facts{margin:0;color:var(--soft);font-size:.84rem}
.entries{display:flex;flex-wrap:wrap;gap:.3rem}
ul.entries li{border:1px solid var(--rule);background:var(--paper);border-radius:.9rem;padding:0 .55rem;margin:0;
max-width:100%}
.kind{color:var(--soft);font-size:.82rem}
footer{color:var(--soft);font-size:.88rem;padding-top:2rem;padding-bottom:3rem}
@media (max-width:40rem){body{font-size:15px}h1{font-size:1.5rem}nav>div{flex-direction:column-reverse;
align-items:stretch;gap:.35rem}.theme{align-self:flex-end}header,main,footer,nav>div{padding-left:.9rem;
padding-right:.9rem}.tiles{grid-template-columns:repeat(auto-fill,minmax(8.5rem,1fr))}.tiles b{font-size:1.4rem}
.chart text{font-size:13px}table{font-size:.86rem}th,td{padding:.3rem .4rem}.wide{min-width:5.5rem}
.samples{grid-template-columns:repeat(2,minmax(0,1fr));gap:.6rem}.thumb{height:8rem}.thumb img{max-height:8rem}
.sample .body{padding:.5rem}
.stacked thead{position:absolute;clip-path:inset(50%);white-space:nowrap}
.stacked tr{display:grid;grid-template-columns:1fr auto 3.6rem;column-gap:.6rem;padding:.45rem 0;
border-bottom:1px solid var(--rule)}.stacked td{border:0;padding:0}
.stacked td.wide{order:1;grid-column:1/-1;width:auto}}
@media print{nav{display:none}body{font-size:11px}section{break-inside:auto}figure,.sample,tr{break-inside:avoid}
details::details-content{content-visibility:visible;display:block}.said,.sample li{max-height:none}a{color:inherit}}
"""


def _variables(selector: str, colours: dict[str, str], scheme: str) -> str:
    values = ";".join(f"--{name}:{value}" for name, value in colours.items())
    return f"{selector}{{color-scheme:{scheme};{values}}}"


def style() -> str:
    """The whole style sheet."""
    series = "".join(
        f".fill.s{place}{{fill:var(--s{place})}}.line.s{place}{{stroke:var(--s{place});stroke-dasharray:{dash}}}"
        f".mark.s{place}{{stroke:var(--s{place})}}"
        for place, dash in enumerate(_DASHES)
    )
    themes = (
        _variables(":root", _LIGHT, "light"),
        f"@media (prefers-color-scheme:dark){{{_variables(':root', _DARK, 'dark')}}}",
        _variables(":root:has(#theme-light:checked)", _LIGHT, "light"),
        _variables(":root:has(#theme-dark:checked)", _DARK, "dark"),
        f"@media print{{{_variables(':root:root:root', _LIGHT, 'light')}}}",
    )
    return "".join(themes) + _STYLE.replace("\n", " ") + series


def page(title: str, summary: Content, sections: Sequence[tuple[str, str, Html]], footer: Content) -> str:
    """A whole HTML document. sections: (anchor, name in the list of contents, markup)."""
    sheet = style()
    digest = base64.b64encode(hashlib.sha256(sheet.encode()).digest()).decode()
    policy = f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=policy),
        element("meta", name_="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name_="referrer", content="no-referrer"),
        element("meta", name_="color-scheme", content="light dark"),
        element("title", f"{title}: curation report"),
        element("style", Html(sheet)),
    )
    contents = element("ul", *(element("li", element("a", name, href=f"#{anchor}")) for anchor, name, _ in sections))
    body = element(
        "body",
        element("header", element("h1", title), element("p", summary, class_="lead")),
        element("nav", element("div", contents, _themes()), aria_label="contents"),
        element("main", *(markup for _, _, markup in sections)),
        element("footer", footer),
    )
    return f"<!doctype html>\n{element('html', head, body, lang='en')}\n"


def _themes() -> Html:
    """Buttons that choose between light and dark, by the style alone."""
    choices = (
        element(
            "label",
            element("input", type="radio", name_="theme", id=f"theme-{name}", checked=name == "system"),
            element("span", name),
        )
        for name in ("system", "light", "dark")
    )
    return element("div", joined(*choices), class_="theme", role="radiogroup", aria_label="colours")
