"""Videos and sounds on platforms: one URL for all the players, watch pages and share links of the same one."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote

MAX_PATH_CHARS = 1024
MAX_VALUE_CHARS = 2048
"""Longer paths and parameters belong to no player: keeps every pattern's time small."""


class Player(NamedTuple):
    """What a player plays. url: its canonical page or player; platform_id: unique on the platform, parts joined by "/".

    modality: "video" or "audio".
    """

    platform: str
    platform_id: str
    url: str
    modality: str


# Shapes of ids, as the platforms hand them out.
_YOUTUBE = (
    r"((?!videoseries|live_stream)[\w-]{11})"  # those two are 11 characters long, but players of lists and streams
)
_NUMBER = r"([1-9]\d{0,19})"
_DAILYMOTION = r"([kx][a-z0-9]{3,24})"
_BILIBILI = r"(BV1[1-9A-HJ-NP-Za-km-z]{9})"
_KALTURA = r"([01]_[a-z0-9]{8})"
_NICOVIDEO = r"((?:sm|nm|so)[1-9]\d*)"
_RUTUBE = r"([0-9a-f]{32}|\d{4,8})"
_SPOTIFY = r"(episode|show|track)/([0-9A-Za-z]{22})"
_TED = r"([a-z0-9]+(?:_[a-z0-9-]+)+)"
_TENCENT = r"([a-z][a-z0-9]{10})"
_TWITCH = r"v?(\d{5,})"
_TWITCH_CLIP = r"((?!(?:create|embed)(?![\w-]))[A-Za-z][\w-]{4,99})"
_UUID = r"([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})"
_VIDYARD = r"([\w-]{20,24})"
_YOUKU = r"(X[A-Za-z0-9]{8,24})(?:={1,2}|%3[Dd]){0,2}"
_SOUND = r"((?!(?:charts|discover|groups|jobs|pages|player|search|settings|stream|tags|you)/)[\w-]+)/"
_SOUND += (
    r"((?!(?:albums|comments|followers|following|likes|playlists|popular-tracks|reposts|sets|tracks)(?![\w-]))[\w-]+)"
)
_MIX = r"((?!(?:categories|discover|genres|live|search|select|settings|tag|widget)/)[\w-]+)/"
_MIX += r"((?!(?:activity|favorites|followers|following|listens|playlists|stream|uploads)(?![\w-]))[^/?&;#]+)"
_STREAMABLE = (
    r"((?!(?:about|blog|clipper|jobs|login|pricing|privacy|recover|settings|signup|support|terms|upload)(?!\w))"
)
_STREAMABLE += r"[a-z0-9]{4,8})"

_AUDIO = frozenset({"acast", "apple-podcasts", "mixcloud", "npr", "simplecast", "soundcloud", "spotify"})

# Hosts (".x" is x and all below it, "x" only x, www.x and m.x), pattern of path and parameters, canonical URL. What the
# pattern's groups caught fills the URL and makes the id. After a path "/", "&" or ";" and anything may follow;
# parameters may stand in any order among others. The first row that matches wins.
_ROWS: dict[str, tuple[tuple[str, str, str], ...]] = {
    "youtube": (
        (".youtube.com", rf"/watch/?\?v={_YOUTUBE}", "https://www.youtube.com/watch?v={}"),
        (
            ".youtube.com .youtube-nocookie.com youtube.googleapis.com",
            rf"/(?:embed|v|e|shorts|live)/{_YOUTUBE}",
            "https://www.youtube.com/watch?v={}",
        ),
        ("youtu.be", rf"/{_YOUTUBE}", "https://www.youtube.com/watch?v={}"),
        (
            "deadspin.com gawker.com gizmodo.com io9.com jalopnik.com jezebel.com kinja.com kotaku.com lifehacker.com",
            rf"/embed/inset/iframe\?id=youtube-video-{_YOUTUBE}",  # what Kinja's sites wrap around it
            "https://www.youtube.com/watch?v={}",
        ),
    ),
    "vimeo": (
        (
            "vimeo.com",
            r"(?:/(?:channels|ondemand)/[^/]+|/(?:album|groups|showcase)/[^/]+/videos?|/video)?/([1-9]\d{0,11})",
            "https://vimeo.com/{}",  # without the key of an unlisted video: public ones carry it or not
        ),
        ("player.vimeo.com", r"/video/([1-9]\d{0,11})", "https://vimeo.com/{}"),
        ("vimeo.com", r"/moogaloop\.swf\?clip_id=([1-9]\d{0,11})", "https://vimeo.com/{}"),
    ),
    "dailymotion": (
        (
            "dailymotion.com",
            rf"(?:/[a-z]{{2}})?/(?:(?:embed/|swf/)?video|swf)/{_DAILYMOTION}(?:_.*)?",
            "https://www.dailymotion.com/video/{}",
        ),
        ("dai.ly", rf"/{_DAILYMOTION}", "https://www.dailymotion.com/video/{}"),
        (
            "geo.dailymotion.com",
            rf"/player(?:/[\w-]+)?\.html\?video={_DAILYMOTION}",
            "https://www.dailymotion.com/video/{}",
        ),
    ),
    "tiktok": (
        (
            "tiktok.com",
            r"/(?:@[\w.-]*/video|embed(?:/v[23])?|player/v1|v)/(\d{15,21})(?:\.html)?",
            "https://www.tiktok.com/@/video/{}",
        ),
    ),
    "facebook": (
        (
            ".facebook.com",
            r"/(?:watch(?:/live)?/?|(?:video|photo)\.php)\?v=([1-9]\d{4,19})",
            "https://www.facebook.com/watch/?v={}",
        ),
        (".facebook.com", r"/video/embed\?video_id=([1-9]\d{4,19})", "https://www.facebook.com/watch/?v={}"),
        (
            ".facebook.com",
            r"/(?:reel|[^/]+/videos(?:/[^/]+)?)/([1-9]\d{4,19})",
            "https://www.facebook.com/watch/?v={}",
        ),
    ),
    "twitch": (
        ("player.twitch.tv", rf"/?\?video={_TWITCH}", "https://www.twitch.tv/videos/{}"),
        ("twitch.tv", rf"/(?:videos|\w+/v(?:ideo)?)/{_TWITCH}", "https://www.twitch.tv/videos/{}"),
        ("clips.twitch.tv", rf"/embed\?clip={_TWITCH_CLIP}", "https://clips.twitch.tv/{}"),
        ("clips.twitch.tv", rf"/(?:[^/]+/)*{_TWITCH_CLIP}", "https://clips.twitch.tv/{}"),
        ("twitch.tv", rf"/\w+/clip/{_TWITCH_CLIP}", "https://clips.twitch.tv/{}"),
    ),
    "ted": ((".ted.com", rf"/talks/(?:lang/[\w-]+/)?{_TED}(?:\.html)?", "https://www.ted.com/talks/{}"),),
    "brightcove": (
        (
            "players.brightcove.net",
            r"/(\d+)/[\w-]+/index\.html\?videoId=(\d+|ref:[\w.:-]+)",
            "https://players.brightcove.net/{}/default_default/index.html?videoId={}",
        ),
    ),
    "jwplayer": (
        (
            "cdn.jwplayer.com content.jwplatform.com",
            r"/(?:players(?=/\w{8}-)|previews|videos|manifests|feeds|v2/media)/([A-Za-z0-9]{8})(?:[-.].*)?",
            "https://cdn.jwplayer.com/previews/{}",
        ),
    ),
    "kaltura": (
        (
            ".kaltura.com",
            rf"(?:/.*)?/(?:p|partner_id)/([1-9]\d*)(?:/.*)?/entry_id/{_KALTURA}",
            "https://cdnapisec.kaltura.com/index.php/extwidget/preview/partner_id/{}/entry_id/{}",
        ),
        (
            ".kaltura.com",
            rf"(?:/.*)?/(?:p|partner_id)/([1-9]\d*)\?entry_id={_KALTURA}",
            "https://cdnapisec.kaltura.com/index.php/extwidget/preview/partner_id/{}/entry_id/{}",
        ),
    ),
    "wistia": (
        (
            ".wistia.com .wistia.net",
            r"/(?:medias|embed/(?:iframe|medias))/([a-z0-9]{10})(?:\.\w+)?",
            "https://fast.wistia.net/embed/iframe/{}",
        ),
    ),
    "streamable": (("streamable.com", rf"(?:/[eos])?/{_STREAMABLE}", "https://streamable.com/{}"),),
    "rumble": (("rumble.com", r"/embed/(?:\w+\.)?(v[0-9a-z]{4,9})", "https://rumble.com/embed/{}/"),),
    "bilibili": (
        (
            ".bilibili.com",
            rf"/(?:blackboard/(?:html5mobile)?|)player\.html\?bvid={_BILIBILI}",
            "https://www.bilibili.com/video/{}",
        ),
        (".bilibili.com", rf"(?:/s)?/video/{_BILIBILI}", "https://www.bilibili.com/video/{}"),
        ("b23.tv", rf"/{_BILIBILI}", "https://www.bilibili.com/video/{}"),
        (
            ".bilibili.com",
            rf"/(?:blackboard/(?:html5mobile)?|)player\.html\?aid={_NUMBER}",
            "https://www.bilibili.com/video/av{}",
        ),
        (".bilibili.com", rf"(?:/s)?/video/[aA][vV]{_NUMBER}", "https://www.bilibili.com/video/av{}"),
    ),
    "vk": (
        (
            "vk.com vk.ru vkvideo.ru vkontakte.ru",
            rf"/video_ext\.php\?oid=(-?[1-9]\d*)&id={_NUMBER}",
            "https://vk.com/video{}_{}",
        ),
        ("vk.com vk.ru vkvideo.ru", rf"/(?:video|clip)(-?[1-9]\d*)_{_NUMBER}", "https://vk.com/video{}_{}"),
    ),
    "rutube": (
        (
            "rutube.ru",
            rf"/(?:play/embed|video/embed|video|shorts)/{_RUTUBE}",
            "https://rutube.ru/video/{}/",
        ),
    ),
    "ok": (("ok.ru odnoklassniki.ru", r"/video(?:embed)?/([1-9]\d{4,19}(?:-\d+)?)", "https://ok.ru/video/{}"),),
    "youku": (
        (
            "v.youku.com m.youku.com",
            rf"/(?:v_show|video)/id_{_YOUKU}(?:\.html)?",
            "https://v.youku.com/v_show/id_{}.html",
        ),
        ("player.youku.com", rf"/(?:embed|player\.php/sid)/{_YOUKU}", "https://v.youku.com/v_show/id_{}.html"),
    ),
    "tencent": (
        ("v.qq.com m.v.qq.com", rf"/.*\.html\?vid={_TENCENT}", "https://v.qq.com/x/page/{}.html"),
        ("v.qq.com m.v.qq.com", rf"/x/(?:page|cover/\w+)/{_TENCENT}\.html", "https://v.qq.com/x/page/{}.html"),
    ),
    "nicovideo": (
        (".nicovideo.jp", rf"/(?:watch|thumb|thumb_watch)/{_NICOVIDEO}", "https://www.nicovideo.jp/watch/{}"),
        ("nico.ms", rf"/{_NICOVIDEO}", "https://www.nicovideo.jp/watch/{}"),
    ),
    "loom": (("loom.com", r"/(?:share|embed)/(?:[\w-]*-)?([0-9a-f]{32})", "https://www.loom.com/share/{}"),),
    "vidyard": (
        (
            "play.vidyard.com",
            rf"/(?:player/)?{_VIDYARD}(?:\.(?:html|js|jpg))?",
            "https://share.vidyard.com/watch/{}",
        ),
        (
            "share.vidyard.com video.vidyard.com embed.vidyard.com",
            rf"/(?:watch|share)/{_VIDYARD}",
            "https://share.vidyard.com/watch/{}",
        ),
    ),
    "archive.org": (("archive.org", r"/embed/([\w.-]{1,100}(?:/[^/&;]+)?)", "https://archive.org/embed/{}"),),
    "soundcloud": (
        (
            "api.soundcloud.com",
            r"/tracks/(?:soundcloud(?::|%3[Aa])tracks(?::|%3[Aa]))?([1-9]\d*)",
            "https://api.soundcloud.com/tracks/{}",
        ),
        ("soundcloud.com", rf"/{_SOUND}", "https://soundcloud.com/{}/{}"),
    ),
    "spotify": (
        (
            "open.spotify.com play.spotify.com",
            rf"(?:/intl-[\w-]+)?(?:/embed(?:-podcast)?)?/{_SPOTIFY}",
            "https://open.spotify.com/{}/{}",
        ),
        (
            "embed.spotify.com",
            rf"/?\?uri=spotify:{_SPOTIFY.replace('/', ':')}",
            "https://open.spotify.com/{}/{}",
        ),
    ),
    "apple-podcasts": (
        (
            "podcasts.apple.com embed.podcasts.apple.com itunes.apple.com",
            r"(?:/[a-z]{2})?/podcast(?:/[^/]+)?/id([1-9]\d*)\?i=([1-9]\d*)",
            "https://podcasts.apple.com/podcast/id{}?i={}",
        ),
        (
            "podcasts.apple.com embed.podcasts.apple.com itunes.apple.com",
            r"(?:/[a-z]{2})?/podcast(?:/[^/]+)?/id([1-9]\d*)",
            "https://podcasts.apple.com/podcast/id{}",
        ),
    ),
    "mixcloud": (
        (
            "mixcloud.com player-widget.mixcloud.com",
            rf"/widget/iframe/?\?feed=(?:https?://(?:www\.|m\.)?mixcloud\.com)?/{_MIX}/?",
            "https://www.mixcloud.com/{}/{}/",
        ),
        ("mixcloud.com", rf"/{_MIX}", "https://www.mixcloud.com/{}/{}/"),
    ),
    "simplecast": (("player.simplecast.com", rf"/{_UUID}", "https://player.simplecast.com/{}"),),
    "acast": (
        ("embed.acast.com play.acast.com", r"(?:/s)?/(?!s/)([\w-]+)/([\w-]+)", "https://play.acast.com/s/{}/{}"),
    ),
    "npr": (("npr.org", r"/player/embed/(\d+)/(\d+)", "https://www.npr.org/player/embed/{}/{}"),),
    # Players of whatever URL their parameter names.
    "": (
        (".facebook.com", r"/(?:v\d+\.\d+/)?plugins/video\.php\?href=(.+)", ""),
        ("w.soundcloud.com", r"/player/?\?url=(.+)", ""),
        ("cdn.embedly.com", r"/widgets/media\.html\?src=(.+)", ""),
        ("cdn.embedly.com", r"/widgets/media\.html\?url=(.+)", ""),
        ("cdn.iframe.ly", r"/api/iframe\?url=(.+)", ""),
    ),
}


class _Row(NamedTuple):
    hosts: frozenset[str]
    domains: tuple[str, ...]
    pattern: re.Pattern[str]
    parameters: tuple[tuple[str, re.Pattern[str]], ...]
    platform: str
    url: str


def _row(platform: str, hosts: str, pattern: str, url: str) -> _Row:
    path, _, query = pattern.partition(r"\?")
    names = re.findall(r"(?:^|&)(\w+)=", query)
    return _Row(
        frozenset(form + host for host in hosts.split() if host[0] != "." for form in ("", "www.", "m.")),
        tuple(host for host in hosts.split() if host[0] == "."),
        re.compile(rf"{path}(?:[/&;][^?]*+)?" + (rf"\?{query}" if query else ""), re.ASCII),
        tuple((name, re.compile(rf"(?:^|[&;]){name}=([^&;]*)")) for name in names),
        platform,
        url,
    )


def _by_domain() -> dict[str, list[_Row]]:
    """The rows under the last two labels of their hosts."""
    found: dict[str, list[_Row]] = {}
    for platform, rows in _ROWS.items():
        for hosts, pattern, url in rows:
            row = _row(platform, hosts, pattern, url)
            for domain in {".".join(host.split(".")[-2:]) for host in hosts.split()}:
                found.setdefault(domain, []).append(row)
    return found


_BY_DOMAIN = _by_domain()
_NESTING = 3  # a player of a card of a page; deeper is none
_URL = re.compile(r"(?:https?:)?//([^/?#]*)([^?#]*)(?:\?([^#]*))?", re.IGNORECASE)


def canonical(url: str) -> Player | None:
    """What a URL plays, if it is a player, watch page or share link of a known platform; else None.

    url: absolute http or https, or without its scheme (//host/...).

    The same video gives the same Player, whatever the form of its URL and its other parameters; start times, parts of
    a video and keys of unlisted ones are not told apart. Two forms that need the platform to be matched stay two:
    a track of SoundCloud by number or by name, a video of Bilibili by av or by BV number. Lists, channels and live
    streams have no video and give None, and so does an id that is not of its platform's shape. Rumble is known by its
    players only: its pages count otherwise. canonical(player.url) is the same Player again. Never raises; linear time.
    """
    for _ in range(_NESTING):
        found = _find(url)
        if not isinstance(found, str):
            return found
        url = found
    return None


@lru_cache(maxsize=1 << 16)  # the links of a page go to few hosts
def may_be_player(host: str) -> bool:
    """Whether URLs of a host (as it stands in them) are worth asking about: it is of a known platform."""
    return _domain(host.rpartition("@")[2].partition(":")[0].lower()) in _BY_DOMAIN


def _domain(host: str) -> str:
    """The last two labels of a host."""
    return host[host.rfind(".", 0, max(host.rfind("."), 0)) + 1 :]


def _find(url: str) -> Player | str | None:
    """What a URL plays; a URL where that says it."""
    match = _URL.match(url)
    if match is None:
        return None
    host = match[1].rpartition("@")[2].partition(":")[0].lower()
    rows = _BY_DOMAIN.get(_domain(host))
    if rows is None or len(match[2]) > MAX_PATH_CHARS:
        return None
    for row in rows:
        if not (host in row.hosts or ("." + host).endswith(row.domains)):
            continue
        target = _target(match[2], match[3] or "", row.parameters)
        groups = target is not None and row.pattern.fullmatch(target)
        if groups:
            parts = groups.groups()
            if not row.platform:
                return str(parts[0])
            modality = "audio" if row.platform in _AUDIO else "video"
            return Player(row.platform, "/".join(parts), row.url.format(*parts), modality)
    return None


def _target(path: str, query: str, parameters: tuple[tuple[str, re.Pattern[str]], ...]) -> str | None:
    """The path, and "?" and the values of some parameters in the pattern's order; None if one is not there."""
    values = []
    for name, pattern in parameters:
        match = pattern.search(query)
        if match is None or len(match[1]) > MAX_VALUE_CHARS:
            return None
        values.append(f"{name}={unquote(match[1])}")
    return f"{path}?{'&'.join(values)}" if values else path
