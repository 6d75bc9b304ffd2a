"""A new owner using a whole hub: each method goes through one part of the pages."""

import json
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from attrs import define
from playwright.sync_api import Locator, Page, expect

from tests.browser.browser import focused, picture
from tests.live.harness import HubProcess

NAME = "ana"
PASSWORD = "three small brown dogs"
PASSWORDS = {"password": PASSWORD, "password_confirm": PASSWORD}
RECOGNISER = Path(__file__).with_name("recognise.py")
# Milliseconds; a package is fetched and started meanwhile.
INSTALL_PATIENCE = 60_000
SPEECH_PATIENCE = 20_000
# How long a page may take to notice that the hub is back.
RETURN_PATIENCE = 20_000


def setup_token(hub: HubProcess) -> str:
    """The setup token, read from the log like an owner would."""
    hub.wait_for(lambda: "parachute-bootstrap-" in hub.log(), "the setup token in the log")
    return "parachute-bootstrap-" + hub.log().partition("parachute-bootstrap-")[2].split()[0]


def spoken(path: Path, words: str) -> Path:
    """A recording of these words."""
    # At another pace the recogniser's small model hears other words.
    subprocess.run(["espeak-ng", "-v", "en-us", "-s", "160", "-w", str(path), words], check=True, timeout=20)
    return path


def speech_program() -> str:
    """The command for scribe's form. Fails without PocketSphinx."""
    if find_spec("pocketsphinx") is None:
        raise AssertionError("pocketsphinx is missing: install this project's dev extra.")
    return json.dumps([sys.executable, str(RECOGNISER), "{file}"])


def walk_to(page: Page, name: str, most: int = 40) -> None:
    """Press Tab until the element with this name has the focus (`browser.focused`)."""
    for _ in range(most):
        if focused(page) == name:
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"{name!r} is not reached by Tab; the focus is on {focused(page)!r}")


@define
class Newcomer:
    """A person who opens a fresh hub. `look` is called with each page once it is loaded, and a name for it."""

    hub: HubProcess
    page: Page
    look: Callable[[Page, str], None] = picture

    def see(self, heading: str, name: str) -> None:
        """Wait for a page by its main heading, then look at it."""
        expect(self.heading(heading)).to_be_visible()
        self.look(self.page, name)

    def heading(self, text: str) -> Locator:
        """The main heading with this text."""
        return self.page.get_by_role("heading", name=text, level=1, exact=True)

    def claim(self) -> None:
        """From the bare address to an account, with the keyboard alone and a mistyped token first."""
        self.page.goto(self.hub.url)
        self.see("Welcome to your hub", "setup-account")
        token = setup_token(self.hub)
        self._type({"bootstrap_token": token[:-1], "username": NAME, **PASSWORDS})
        self.page.keyboard.press("Enter")
        expect(self.page.get_by_role("alert")).to_contain_text("That is not the setup token")
        expect(self.page.get_by_label("Username")).to_have_value(NAME)
        self.look(self.page, "setup-wrong-token")
        self._type({"bootstrap_token": token, **PASSWORDS})
        self.page.keyboard.press("Enter")
        self.see("What should it do?", "setup-modules")

    def install_all(self) -> None:
        """Vault, Notes and Scribe, by keyboard; waits until all are installed."""
        page = self.page
        page.get_by_role("checkbox", name="Scribe").press("Space")
        page.keyboard.press("Enter")
        self.see("Name your first vault", "setup-vault-name")
        page.get_by_label("Name of the vault").press("Enter")
        self.see("Who turns speech into text?", "setup-scribe")
        page.get_by_label("OpenAI key").focus()
        walk_to(page, "later")
        page.keyboard.press("Enter")
        expect(self.heading("Installing").or_(self.heading("All installed"))).to_be_visible()
        picture(page, "setup-installing")
        expect(self.heading("All installed")).to_be_visible(timeout=INSTALL_PATIENCE)
        self.look(page, "setup-installed")
        page.get_by_role("button", name="Continue").press("Enter")

    def finish(self) -> None:
        """The last question of the wizard, then Home."""
        self.see("How do you reach this hub?", "setup-reach")
        self.page.get_by_role("button", name="Finish").press("Enter")
        self.see("Your hub is ready", "setup-done")
        self.page.get_by_role("link", name="Manage the hub").press("Enter")

    def connect_notes(self) -> None:
        """Open Notes and allow what it asks for."""
        page = self.page
        page.goto(f"{self.hub.url}/notes")
        expect(page.get_by_role("button", name="Connect")).to_be_visible()
        self.look(page, "notes-connect")
        page.get_by_role("button", name="Connect").press("Enter")
        self.see("Allow \u201cParachute Notes\u201d?", "consent")
        walk_to(page, "approve")
        page.keyboard.press("Enter")
        expect(page.get_by_role("button", name="New note")).to_be_visible()

    def write(self, title: str, text: str) -> None:
        """A new note, by keyboard alone."""
        page = self.page
        page.get_by_role("button", name="New note").press("Enter")
        expect(page.get_by_label("Title")).to_be_focused()
        page.keyboard.type(title)
        page.keyboard.press("Tab")
        page.keyboard.type(text)
        page.keyboard.press("Control+s")
        expect(page.get_by_role("status").first).to_have_text("Saved")
        expect(page.get_by_role("button", name="Delete")).to_be_visible()
        self.look(page, "notes-written")

    def speak(self, recording: Path) -> None:
        """Give Notes a recording for a new note."""
        self.page.get_by_role("button", name="Speak", exact=True).first.click()
        self.page.get_by_label("Or choose a recording").set_input_files(str(recording))

    def configure_scribe(self, program: str) -> None:
        """Set scribe to a local program on its page, confirming with the password."""
        page = self.page
        page.goto(f"{self.hub.url}/admin/modules/scribe")
        page.get_by_text("Show settings of Scribe").click()
        page.get_by_label("Speech becomes text").select_option("With a program on this machine")
        page.get_by_label("Program", exact=True).fill(program)
        self.look(page, "admin-scribe")
        page.get_by_role("button", name="Save", exact=True).press("Enter")
        dialog = page.get_by_role("dialog", name="Confirm it's you")
        expect(dialog).to_be_visible()
        picture(page, "admin-step-up")
        page.keyboard.type(PASSWORD)
        page.keyboard.press("Enter")
        expect(dialog).to_have_count(0)
        expect(page.get_by_role("status").get_by_text("Saved")).to_be_visible()

    def _type(self, fields: dict[str, str]) -> None:
        for name, value in fields.items():
            walk_to(self.page, name)
            self.page.keyboard.press("Control+a")
            self.page.keyboard.type(value)
