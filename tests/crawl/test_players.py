"""Players: every form of a URL of one video names the same one, and nothing else names any."""

from __future__ import annotations

import html
import re
import time
from collections import Counter
from pathlib import Path
from urllib.parse import quote, urljoin

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.crawl.players import Player, canonical

YT = "https://www.youtube.com/watch?v=dQw4w9WgXcQ"
UUID = "3ab2ec74-8d89-4344-9be0-a30fa53ac6a7"
HEX = "43d05f362f734614a2e81b4694a3a523"
SPOTIFY = "4rOoJ6Egrf8K2IrywzwOMk"
KALTURA = "https://cdnapisec.kaltura.com/index.php/extwidget/preview/partner_id/1770401/entry_id/0_58u8kme7"
# Platform, id, canonical URL, other forms of it.
FORMS: list[tuple[str, str, str, list[str]]] = [
    (
        "youtube",
        "dQw4w9WgXcQ",
        YT,
        [
            *(
                "//www.youtube.com/embed/dQw4w9WgXcQ",
                "//youtube.com/v/dQw4w9WgXcQ&hl=en&fs=1",
                "//youtu.be/dQw4w9WgXcQ",
            ),
            *("//www.youtube-nocookie.com/embed/dQw4w9WgXcQ/", "//m.youtube.com/shorts/dQw4w9WgXcQ"),
            *("//www.youtube.com/live/dQw4w9WgXcQ", "//music.youtube.com/watch?feature=x&amp;v=dQw4w9WgXcQ&list=PLx"),
            "//www.youtube.com/embed/dQw4w9WgXcQ?list=PLx",
            "//kinja.com/embed/inset/iframe?id=youtube-video-dQw4w9WgXcQ",
            "//cdn.embedly.com/widgets/media.html?src=" + quote("//www.youtube.com/embed/dQw4w9WgXcQ?a=b", safe=""),
        ],
    ),
    (
        "vimeo",
        "76979871",
        "https://vimeo.com/76979871",
        [
            *("//player.vimeo.com/video/76979871?h=8272103f6e", "//vimeo.com/channels/staffpicks/76979871"),
            *("//vimeo.com/moogaloop.swf?clip_id=76979871", "//vimeo.com/groups/x/videos/76979871"),
            *("//vimeo.com/album/1/video/76979871", "//www.vimeo.com/76979871/8272103f6e"),
        ],
    ),
    (
        "dailymotion",
        "x2p552m",
        "https://www.dailymotion.com/video/x2p552m",
        [
            *("//www.dailymotion.com/embed/video/x2p552m", "//www.dailymotion.com/video/x2p552m_a-slug_news"),
            *("//dai.ly/x2p552m", "//geo.dailymotion.com/player.html?video=x2p552m"),
            *("//geo.dailymotion.com/player/xabc.html?a=b&video=x2p552m", "//www.dailymotion.com/swf/video/x2p552m"),
        ],
    ),
    (
        "tiktok",
        "6718335390845095173",
        "https://www.tiktok.com/@/video/6718335390845095173",
        [
            *("//www.tiktok.com/@scout2015/video/6718335390845095173", "//www.tiktok.com/embed/v2/6718335390845095173"),
            *("//www.tiktok.com/player/v1/6718335390845095173", "//m.tiktok.com/v/6718335390845095173.html"),
        ],
    ),
    (
        "facebook",
        "1194275290585246",
        "https://www.facebook.com/watch/?v=1194275290585246",
        [
            *("//www.facebook.com/watch?v=1194275290585246", "//www.facebook.com/usatoday/videos/1194275290585246/"),
            *(
                "//de-de.facebook.com/video.php?v=1194275290585246",
                "//www.facebook.com/x/videos/a-title/1194275290585246",
            ),
            *("//www.facebook.com/video/embed?video_id=1194275290585246", "//www.facebook.com/reel/1194275290585246"),
            "//www.facebook.com/plugins/video.php?href="
            + quote("https://www.facebook.com/usatoday/videos/1194275290585246/", safe="")
            + "&width=500",
        ],
    ),
    (
        "twitch",
        "106400740",
        "https://www.twitch.tv/videos/106400740",
        ["//player.twitch.tv/?autoplay=false&video=v106400740", "//www.twitch.tv/user/v/106400740"],
    ),
    (
        "twitch",
        "FaintLightGullWholeWheat",
        "https://clips.twitch.tv/FaintLightGullWholeWheat",
        [
            "//clips.twitch.tv/embed?clip=FaintLightGullWholeWheat&parent=x",
            *("//www.twitch.tv/user/clip/FaintLightGullWholeWheat", "//clips.twitch.tv/user/FaintLightGullWholeWheat"),
        ],
    ),
    (
        "ted",
        "ken_robinson_says_schools_kill_creativity",
        "https://www.ted.com/talks/ken_robinson_says_schools_kill_creativity",
        [
            "//embed.ted.com/talks/lang/de/ken_robinson_says_schools_kill_creativity",
            "//embed-ssl.ted.com/talks/ken_robinson_says_schools_kill_creativity.html",
        ],
    ),
    (
        "brightcove",
        "1752604059001/6140448705001",
        "https://players.brightcove.net/1752604059001/default_default/index.html?videoId=6140448705001",
        ["//players.brightcove.net/1752604059001/S13cJdUBz_default/index.html?a=b&videoId=6140448705001"],
    ),
    (
        "jwplayer",
        "nPripu9l",
        "https://cdn.jwplayer.com/previews/nPripu9l",
        [
            *(
                "//content.jwplatform.com/players/nPripu9l-ALJ3XQCI.js",
                "//content.jwplatform.com/videos/nPripu9l-640.mp4",
            ),
            "//cdn.jwplayer.com/players/nPripu9l-ALJ3XQCI.html",
        ],
    ),
    (
        "kaltura",
        "1770401/0_58u8kme7",
        KALTURA,
        [
            "//cdnapi.kaltura.com/p/1770401/sp/177040100/embedIframeJs/uiconf_id/3/partner_id/1770401?entry_id=0_58u8kme7",
            "//cdnapisec.kaltura.com/p/1770401/embedPlaykitJs/uiconf_id/3?iframeembed=true&entry_id=0_58u8kme7",
            "//www.kaltura.com/index.php/extwidget/preview/partner_id/1770401/uiconf_id/3/entry_id/0_58u8kme7/embed/dynamic",
        ],
    ),
    (
        "wistia",
        "807fafadvk",
        "https://fast.wistia.net/embed/iframe/807fafadvk",
        ["//fast.wistia.com/embed/medias/807fafadvk.jsonp", "//acme.wistia.com/medias/807fafadvk"],
    ),
    ("streamable", "dnd1", "https://streamable.com/dnd1", ["//streamable.com/e/dnd1", "//streamable.com/o/dnd1"]),
    ("rumble", "v5pv5f", "https://rumble.com/embed/v5pv5f/", ["//rumble.com/embed/ufe9n.v5pv5f?pub=4"]),
    (
        "bilibili",
        "BV13x41117TL",
        "https://www.bilibili.com/video/BV13x41117TL",
        [
            *("//player.bilibili.com/player.html?aid=8903802&bvid=BV13x41117TL&cid=1&page=1", "//b23.tv/BV13x41117TL"),
            "//m.bilibili.com/video/BV13x41117TL/",
        ],
    ),
    (
        "bilibili",
        "8903802",
        "https://www.bilibili.com/video/av8903802",
        [
            "//player.bilibili.com/player.html?aid=8903802&bvid=",
            "//www.bilibili.com/blackboard/player.html?aid=8903802",
        ],
    ),
    (
        "vk",
        "-77521/162222515",
        "https://vk.com/video-77521_162222515",
        [
            "//vk.com/video_ext.php?id=162222515&oid=-77521&hash=87b0",
            "//vkvideo.ru/video_ext.php?oid=-77521&id=162222515",
        ],
    ),
    (
        "rutube",
        HEX,
        f"https://rutube.ru/video/{HEX}/",
        [f"//rutube.ru/play/embed/{HEX}", f"//rutube.ru/video/embed/{HEX}?p=x"],
    ),
    ("ok", "20079905452", "https://ok.ru/video/20079905452", ["//m.ok.ru/videoembed/20079905452?nochat=1"]),
    (
        "youku",
        "XMTc1ODE5Njcy",
        "https://v.youku.com/v_show/id_XMTc1ODE5Njcy.html",
        [
            *("//player.youku.com/embed/XMTc1ODE5Njcy", "//v.youku.com/v_show/id_XMTc1ODE5Njcy==.html?f=1"),
            "//player.youku.com/player.php/sid/XMTc1ODE5Njcy/v.swf",
        ],
    ),
    (
        "tencent",
        "x033633yrm8",
        "https://v.qq.com/x/page/x033633yrm8.html",
        [
            *(
                "//v.qq.com/video/playview.html?vid=x033633yrm8",
                "//v.qq.com/txp/iframe/player.html?vid=x033633yrm8&tiny=0",
            ),
            "//v.qq.com/x/cover/mzc00200mp8vo9b/x033633yrm8.html",
        ],
    ),
    (
        "nicovideo",
        "sm22312215",
        "https://www.nicovideo.jp/watch/sm22312215",
        [
            *("//embed.nicovideo.jp/watch/sm22312215", "//ext.nicovideo.jp/thumb_watch/sm22312215?w=1"),
            *("//sp.nicovideo.jp/watch/sm22312215", "//nico.ms/sm22312215"),
        ],
    ),
    (
        "loom",
        HEX,
        f"https://www.loom.com/share/{HEX}",
        [f"//www.loom.com/embed/{HEX}?sid=1", f"//loom.com/share/A-title-{HEX}"],
    ),
    (
        "vidyard",
        "oTDMPlUv--51Th455G5u7Q",
        "https://share.vidyard.com/watch/oTDMPlUv--51Th455G5u7Q",
        ["//play.vidyard.com/oTDMPlUv--51Th455G5u7Q.html?v=4", "//embed.vidyard.com/share/oTDMPlUv--51Th455G5u7Q"],
    ),
    ("archive.org", "Popeye_forPresident", "https://archive.org/embed/Popeye_forPresident", []),
    (
        "soundcloud",
        "forss/flickermood",
        "https://soundcloud.com/forss/flickermood",
        [
            "//w.soundcloud.com/player/?visual=true&url=https%3A%2F%2Fsoundcloud.com%2Fforss%2Fflickermood",
            "//cdn.embedly.com/widgets/media.html?src="
            + quote(
                "https://w.soundcloud.com/player/?url=" + quote("https://soundcloud.com/forss/flickermood", safe=""),
                safe="",
            ),
        ],
    ),
    (
        "soundcloud",
        "293",
        "https://api.soundcloud.com/tracks/293",
        [
            "//w.soundcloud.com/player/?url=http%3A//api.soundcloud.com/tracks/293&color=x",
            "//w.soundcloud.com/player/?url=https%3A//api.soundcloud.com/tracks/soundcloud%253Atracks%253A293",
        ],
    ),
    (
        "spotify",
        f"episode/{SPOTIFY}",
        f"https://open.spotify.com/episode/{SPOTIFY}",
        [
            *(
                f"//open.spotify.com/embed/episode/{SPOTIFY}?utm=1",
                f"//open.spotify.com/embed-podcast/episode/{SPOTIFY}",
            ),
            *(
                f"//open.spotify.com/intl-de/episode/{SPOTIFY}",
                f"//embed.spotify.com/?uri=spotify%3Aepisode%3A{SPOTIFY}",
            ),
        ],
    ),
    (
        "apple-podcasts",
        "1393035987/1000561514664",
        "https://podcasts.apple.com/podcast/id1393035987?i=1000561514664",
        ["//embed.podcasts.apple.com/us/podcast/a-bad-boss/id1393035987?i=1000561514664"],
    ),
    (
        "apple-podcasts",
        "1393035987",
        "https://podcasts.apple.com/podcast/id1393035987",
        ["//itunes.apple.com/us/podcast/x/id1393035987"],
    ),
    (
        "mixcloud",
        "spartacus/party-time",
        "https://www.mixcloud.com/spartacus/party-time/",
        [
            "//www.mixcloud.com/widget/iframe/?hide_cover=1&feed=%2Fspartacus%2Fparty-time%2F",
            "//player-widget.mixcloud.com/widget/iframe/?feed=https%3A%2F%2Fwww.mixcloud.com%2Fspartacus%2Fparty-time%2F",
        ],
    ),
    ("simplecast", UUID, f"https://player.simplecast.com/{UUID}", [f"//player.simplecast.com/{UUID}?dark=false"]),
    (
        "acast",
        "saywhytodrugs/caffeine",
        "https://play.acast.com/s/saywhytodrugs/caffeine",
        ["//embed.acast.com/saywhytodrugs/caffeine"],
    ),
    ("npr", "949764249/949890910", "https://www.npr.org/player/embed/949764249/949890910", []),
]
ALL = [(form, *case[:3]) for case in FORMS for form in [case[2].removeprefix("https:"), *case[3]]]


@settings(max_examples=600, deadline=None)
@given(
    st.sampled_from(ALL),
    st.sampled_from(["http:", "https:", "HTTPS:", ""]),
    st.booleans(),
    st.sampled_from(["", "#t=1", "#?v=x"]),
)
def test_every_form_names_the_same(form: tuple[str, str, str, str], scheme: str, upper: bool, end: str) -> None:
    url, platform, identity, watch = form
    host, _, rest = url[2:].partition("/")
    found = canonical(f"{scheme}//{host.upper() if upper else host}/{rest}{'&' if '?' in rest else '?'}zz=1{end}")
    assert found is not None
    assert found[:3] == (platform, identity, watch)
    assert canonical(found.url) == found


@pytest.mark.parametrize("form", ALL, ids=lambda form: form[0][2:60])
def test_each_form(form: tuple[str, str, str, str]) -> None:
    found = canonical("https:" + form[0])
    assert found is not None
    assert found[:3] == form[1:]
    audio = form[1] in ("soundcloud", "spotify", "apple-podcasts", "mixcloud", "simplecast", "acast", "npr")
    assert found.modality == ("audio" if audio else "video")


@settings(max_examples=500, deadline=None)
@given(st.sampled_from(ALL), st.data())
def test_damaged_urls_name_nothing_or_stay_what_they_name(form: tuple[str, str, str, str], data: st.DataObject) -> None:
    url = "https:" + form[0]
    place = data.draw(st.integers(8, len(url)))
    length = data.draw(st.integers(0, 3))
    url = url[:place] + data.draw(st.text("/?&=%aZ0-_.:@#;\n\x00é\ud800", max_size=3)) + url[place + length :]
    found = canonical(url)
    assert found is None or canonical(found.url) == found


@pytest.mark.parametrize(
    "url",
    [
        *(
            "",
            "http://",
            "https:///watch?v=dQw4w9WgXcQ",
            "///youtu.be/dQw4w9WgXcQ",
            "youtu.be/dQw4w9WgXcQ",
            "http://com",
        ),
        "https://www.youtube.com/embed/videoseries?list=PLx",
        "https://www.youtube.com/embed/live_stream?channel=UCx",
        "https://www.youtube.com/embed?listType=playlist&list=PLx",
        "https://www.youtube.com/playlist?list=PLx",
        *("https://www.youtube.com/embed/dQw4w9WgXcQQ", "https://www.youtube.com/embed/dQw4w9WgXc"),
        "https://www.youtube.com/watch?v=dQw4w9WgXcQ%00",
        "https://www.youtube.com/watch?vv=dQw4w9WgXcQ",
        "https://www.youtube.com/embed/dQw4w9WgXcé",
        "https://notyoutube.com/embed/dQw4w9WgXcQ",
        "https://youtube.com.evil.com/embed/dQw4w9WgXcQ",
        "https://youtube.com@evil.com/embed/dQw4w9WgXcQ",
        "https://accounts.google.com/ServiceLogin?service=youtube",
        "https://player.vimeo.com/static/proxy.html",
        *("https://vimeo.com/channels/staffpicks", "https://www.dailymotion.com/kylie"),
        *("https://player.twitch.tv/?channel=x", "https://clips.twitch.tv/embed", "https://streamable.com/login"),
        "https://www.facebook.com/plugins/like.php?href=https%3A%2F%2Fwww.facebook.com%2Fx%2Fvideos%2F1194275290585246",
        "https://players.brightcove.net/1752604059001/x_default/index.html?playlistId=6140448705001",
        "https://content.jwplatform.com/libraries/ALJ3XQCI.js",
        "https://w.soundcloud.com/player/?url=https%3A//api.soundcloud.com/playlists/293",
        *("https://soundcloud.com/forss/sets/soulhack", "https://soundcloud.com/forss/albums"),
        "https://open.spotify.com/embed/playlist/" + SPOTIFY,
        "https://www.mixcloud.com/spartacus/favorites/",
        "https://play.acast.com/s/saywhytodrugs",
        "https://archive.org/details/Popeye_forPresident",
        "https://cdn.embedly.com/widgets/media.html?src=" * 5 + YT,
    ],
)
def test_what_is_no_player(url: str) -> None:
    assert canonical(url) is None


@pytest.mark.parametrize(
    "host", ["www.youtube.com", "cdnapi.kaltura.com", "v.qq.com", "clips.twitch.tv", "x.com", "a." * 50_000]
)
@pytest.mark.parametrize("piece", ["/p/1", "/partner_id/1/entry_id/", "v=", "&v=", "%", "/a", "@", ":", "_", "?"])
def test_long_urls_take_little_time(host: str, piece: str) -> None:
    start = time.process_time()
    for size in (1000, 500_000):
        canonical(f"https://{host}/{(piece * size)[:size]}")
        canonical(f"https://{host}{(piece * size)[:size]}")
        canonical(f"https://{host}/watch?{(piece * size)[:size]}")
    assert time.process_time() - start < 1


def test_the_players_of_real_pages(real_data: Path) -> None:
    warcio = pytest.importorskip("warcio.archiveiterator")
    found: Counter[str] = Counter()
    for path in sorted((real_data / "crawl").glob("repackaged-*.warc.gz")):
        with path.open("rb") as stream:
            for record in warcio.ArchiveIterator(stream):
                page = record.rec_headers.get_header("WARC-Target-URI") or ""
                text = record.content_stream().read().decode("latin-1") if record.rec_type == "response" else ""
                for tag in re.findall(r"(?i)<iframe\b[^>]*", text):
                    source = re.search(r"""(?i)\ssrc\s*=\s*["']([^"']*)""", tag)
                    url = html.unescape(source[1]) if source else ""
                    player = canonical(urljoin(page if page.startswith("http") else "http://x/", url))
                    found.update([player.platform] if isinstance(player, Player) else [])
    assert found["youtube"] >= 45
    assert found["dailymotion"] == 3
    assert {"vimeo", "tencent", "facebook", "simplecast", "acast", "apple-podcasts"} <= set(found)
