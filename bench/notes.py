"""The Notes app in Chromium on a hub: its first and second view on a slow line, offline, and with 10,000 notes.

The processor is slowed 4 times; the line has 400 ms and 50 KB/s, as on an old phone in a train. Times are medians
in ms.
"""

import statistics
import time
from contextlib import ExitStack
from typing import Any

from playwright.sync_api import CDPSession, Page, expect

from tests.browser.browser import chromium, window
from tests.browser.notes_rig import CONTROLLED, shared_hub
from tests.live.harness import fetch

ROUNDS = 5
NOTES = 10_000
SLOW_LINE = {"offline": False, "latency": 400, "downloadThroughput": 50_000, "uploadThroughput": 50_000}
WORDS = "garden shed tomato watering plan winter recipe bread salt letter harbour evening train window".split()


def main() -> None:
    """Print the table."""
    hub, key = shared_hub(("vault", "notes"))
    with ExitStack() as stack:
        browser = stack.enter_context(chromium())
        times: dict[str, list[float]] = {}
        bytes_of_first: list[int] = []
        for _ in range(ROUNDS):
            with window(browser, complaints=False) as (context, page):
                session = slowed(context.new_cdp_session(page))
                received = count_bytes(session)
                page.goto(f"{hub.url}/notes/")
                expect(page.get_by_role("button", name="Connect", exact=True)).to_be_visible()
                times.setdefault("first visit, interactive (bar 3,000)", []).append(now(page))
                bytes_of_first.append(sum(received))
                connect(page, key)
                # The worker keeps the editor, too; on this line that takes a while.
                page.evaluate(CONTROLLED)
                page.wait_for_timeout(8000)
                page.reload()
                expect(page.get_by_role("button", name="New note", exact=True)).to_be_visible()
                times.setdefault("second visit, interactive (bar 1,000)", []).append(now(page))
                context.set_offline(True)
                page.reload()
                expect(page.get_by_role("button", name="New note", exact=True)).to_be_visible()
                times.setdefault("the same offline (bar 1,000)", []).append(now(page))
        fill(hub.url, key)
        with window(browser, complaints=False) as (context, page):
            page.goto(f"{hub.url}/notes/")
            connect(page, key)
            page.wait_for_function("() => document.querySelectorAll('#notes button').length >= 40", timeout=60_000)
            page.wait_for_timeout(15_000)
            for search in ("tomato", "#tag7", "window train", "zzz", "bread note 77"):
                for _ in range(3):
                    times.setdefault(f"search among {NOTES:,} (bar 50)", []).append(page.evaluate(SEARCH, search))
                    times.setdefault(f"list of {NOTES:,} (bar 50)", []).append(page.evaluate(SEARCH, ""))
            for number in range(ROUNDS):
                words = f"from another device {number}"
                began = time.perf_counter()
                headers = {"Authorization": f"Bearer {key}"}
                fetch(f"{hub.url}/vault/default/api/notes", method="POST", body={"content": words}, headers=headers)
                expect(page.locator("#notes button").first).to_contain_text(words)
                took = 1000 * (time.perf_counter() - began)
                times.setdefault("a change of another device is seen (bar 2,000)", []).append(took)
    first = statistics.median(bytes_of_first)
    print(f"  compressed bytes of the first view, without the editor (bar 60 KB): {first:,.0f}")
    for name, values in times.items():
        print(f"  {name}: median {statistics.median(values):,.0f} ms, slowest {max(values):,.0f}")


def slowed(session: CDPSession) -> CDPSession:
    session.send("Network.enable")
    session.send("Network.emulateNetworkConditions", SLOW_LINE)
    session.send("Emulation.setCPUThrottlingRate", {"rate": 4})
    return session


def count_bytes(session: CDPSession) -> list[int]:
    received: list[int] = []

    def finished(event: Any) -> None:
        received.append(int(event["encodedDataLength"]))

    session.on("Network.loadingFinished", finished)
    return received


def connect(page: Page, key: str) -> None:
    page.get_by_text("Use a vault key instead").click()
    page.get_by_label("Key, starts with pvt_").fill(key)
    page.get_by_role("button", name="Use this key").click()
    expect(page.get_by_role("button", name="New note", exact=True)).to_be_visible(timeout=60_000)


def now(page: Page) -> float:
    """Milliseconds since the page was asked for."""
    return float(page.evaluate("performance.now()"))


def fill(url: str, key: str) -> None:
    """Write the notes through the vault's import."""
    lines = []
    for number in range(NOTES):
        words = " ".join(WORDS[(number * step) % len(WORDS)] for step in range(1, 120))
        lines.append(f'{{"content": "Note {number}\\n\\n{words} #tag{number % 50}"}}')
    body = ('{"notes": [' + ",".join(lines) + "]}").encode()
    headers = {"Authorization": f"Bearer {key}"}
    answer = fetch(f"{url}/vault/default/api/import?format=json", method="POST", body=body, headers=headers)
    if answer.status != 200:
        raise SystemExit(f"The notes could not be imported: {answer.status} {answer.body[:200]!r}")


# From the key to the drawn rows: two frames after the input.
SEARCH = """async (words) => {
  const field = document.getElementById("words")
  const began = performance.now()
  field.value = words
  field.dispatchEvent(new Event("input", { bubbles: true }))
  await new Promise((resolve) => setTimeout(resolve))
  document.body.getBoundingClientRect()
  return performance.now() - began
}"""
