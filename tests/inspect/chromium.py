"""A headless Chromium for tests, spoken to by its own protocol: no driver, nothing to install but the browser."""

from __future__ import annotations

import asyncio
import base64
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--no-first-run", "--hide-scrollbars", "--mute-audio",
    "--remote-debugging-port=0",
)  # fmt: skip
_SECONDS = 60
_HEIGHT = 900


def executable() -> str | None:
    return next((path for path in map(shutil.which, NAMES) if path), None)


@dataclass
class Seen:
    """What a page did: whatever it asked for, and whatever the browser complained of."""

    requests: list[str] = field(default_factory=list)
    blocked: list[str] = field(default_factory=list)
    """What the page's policy stopped before it left."""
    complaints: list[str] = field(default_factory=list)
    values: dict[str, Any] = field(default_factory=dict)
    screenshot: bytes = b""


@contextmanager
def browser() -> Iterator[str]:
    """A running browser; gives the address of its protocol."""
    folder = tempfile.mkdtemp(prefix="curation-chromium-")
    found = executable()
    assert found
    process = subprocess.Popen([found, *_FLAGS, f"--user-data-dir={folder}"], stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr
        for line in process.stderr:
            if "DevTools listening on " in line:
                yield line.split("listening on ")[1].strip()
                return
        raise RuntimeError("the browser ended before it listened")
    finally:
        process.kill()
        process.wait()
        if process.stderr:
            process.stderr.close()
        shutil.rmtree(folder, ignore_errors=True)


def visit(
    address: str,
    page: Path,
    questions: dict[str, str],
    *,
    width: int = 1280,
    scheme: str = "light",
    whole: bool = False,
) -> Seen:
    """Opens a file, and evaluates expressions in it, one after the other. whole: the screenshot is of all of it."""
    session = _Session(Seen())
    visiting = session.run(address, page.resolve().as_uri(), questions, (width, _HEIGHT, scheme, whole))
    return asyncio.run(asyncio.wait_for(visiting, _SECONDS))


class _Session:
    def __init__(self, seen: Seen) -> None:
        self.seen, self._number, self._loaded = seen, 0, asyncio.Event()
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._asked: dict[str, str] = {}

    async def run(self, address: str, url: str, questions: dict[str, str], how: tuple[int, int, str, bool]) -> Seen:
        async with aiohttp.ClientSession() as client, client.ws_connect(address, max_msg_size=0) as self._socket:
            listening = asyncio.create_task(self._listen())
            try:
                await self._visit(url, questions, how)
            finally:
                listening.cancel()
        return self.seen

    async def _visit(self, url: str, questions: dict[str, str], how: tuple[int, int, str, bool]) -> None:
        width, height, scheme, whole = how
        target = await self._ask("Target.createTarget", url="about:blank")
        attached = await self._ask("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            await self._ask(f"{domain}.enable", session)
        await self._ask("Emulation.setDeviceMetricsOverride", session, width=width, height=height,
                        deviceScaleFactor=1, mobile=False)  # fmt: skip
        await self._ask("Emulation.setEmulatedMedia", session,
                        features=[{"name": "prefers-color-scheme", "value": scheme}])  # fmt: skip
        await self._ask("Page.navigate", session, url=url)
        await self._loaded.wait()
        for name, expression in questions.items():
            answer = await self._ask("Runtime.evaluate", session, expression=expression, returnByValue=True,
                                     awaitPromise=True)  # fmt: skip
            assert "exceptionDetails" not in answer, answer
            self.seen.values[name] = answer["result"].get("value")
        shot = await self._ask("Page.captureScreenshot", session, format="png", captureBeyondViewport=whole)
        self.seen.screenshot = base64.b64decode(shot["data"])
        await self._ask("Target.closeTarget", targetId=target["targetId"])

    async def _ask(self, method: str, session: str | None = None, **parameters: Any) -> Any:
        self._number += 1
        answer = self._answers[self._number] = asyncio.get_running_loop().create_future()
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        await self._socket.send_json(message if session is None else {**message, "sessionId": session})
        return await answer

    async def _listen(self) -> None:
        async for message in self._socket:
            told = message.json()
            if "id" in told:
                answer = self._answers.pop(told["id"])
                if "error" in told:
                    answer.set_exception(RuntimeError(str(told["error"])))
                else:
                    answer.set_result(told["result"])
            else:
                self._take(told.get("method"), told["params"])

    def _take(self, method: str, told: Any) -> None:
        if method == "Page.loadEventFired":
            self._loaded.set()
        elif method == "Network.requestWillBeSent":
            self._asked[told["requestId"]] = told["request"]["url"]
            self.seen.requests.append(told["request"]["url"])
        elif method == "Network.loadingFailed" and told.get("blockedReason") == "csp":
            self.seen.blocked.append(self._asked[told["requestId"]])
            self.seen.requests.remove(self._asked[told["requestId"]])
        elif method == "Log.entryAdded":
            self.seen.complaints.append(f"{told['entry']['level']}: {told['entry']['text']}")
        elif method in ("Runtime.consoleAPICalled", "Runtime.exceptionThrown"):
            self.seen.complaints.append(f"{method}: {told}")
