"""The wizard walked in any order, from two tabs: it never ends without what was chosen."""

import json
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.accounts.setup import wizard
from tests.support.asking import Answer
from tests.support.at_once import at_once
from tests.support.front_door import PASSWORD, BrowserTab, FrontDoor

SHORTS = ("vault", "notes", "scribe")
tabs = st.sampled_from((0, 1))
sets = st.lists(st.sampled_from(SHORTS), unique=True)


class Wizard(RuleBasedStateMachine):
    """One owner, two tabs of one browser, and a model of what was accepted."""

    def __init__(self) -> None:
        super().__init__()
        self.door = FrontDoor()
        self.tabs = [BrowserTab(self.door)]
        self.wanted: set[str] = set()
        self.answered = False
        self.name: str | None = None
        self.key: str | None = None
        self.retried: set[str] = set()

    def teardown(self) -> None:
        self.door.close()

    @initialize(first=st.none() | sets)
    def claim(self, first: list[str] | None) -> None:
        at_once(self.door.accounts.boot(None, None))
        token = self.door.accounts.setup.token
        assert token is not None
        tab = self.tabs[0]
        tab.get("/admin/setup")
        fields = {"bootstrap_token": token.value, "username": "ada", "password": PASSWORD, "password_confirm": PASSWORD}
        assert tab.post("/admin/setup/account", fields).status == 303
        second = BrowserTab(self.door)
        second.cookies, second.key = tab.cookies, tab.key
        self.tabs.append(second)
        if first is not None:
            self.choose(0, first)

    def state(self, tab: int = 0) -> dict[str, Any]:
        answer = self.tabs[tab].get("/admin/setup", Accept="application/json").json()
        return {key: value for key, value in answer.items() if key != "csrfToken"}

    def send(self, tab: int, word: str, body: dict[str, Any]) -> bool:
        """One answer; whether it was taken. A refusal is 409 and changes nothing."""
        before = self.state()
        csrf = self.tabs[tab].get("/admin/setup", Accept="application/json").json()["csrfToken"]
        data = json.dumps({**body, "__csrf": csrf}).encode()
        answer: Answer = self.tabs[tab].send_json("POST", f"/admin/setup/{word}", data)
        assert answer.status in (200, 409), (word, answer.status, answer.body)
        if answer.status == 409:
            assert self.state() == before, (word, before, self.state())
        return answer.status == 200

    @rule(tab=tabs, modules=sets)
    def choose(self, tab: int, modules: list[str]) -> None:
        if self.send(tab, "modules", {"modules": modules}):
            self.wanted, self.name, self.key, self.answered = set(modules), None, None, True

    @rule(tab=tabs, name=st.sampled_from(("mine", "home")))
    def vault(self, tab: int, name: str) -> None:
        if self.send(tab, "vault", {"vault_name": name}):
            self.wanted.add("vault")
            self.name, self.answered = name, True

    @rule(tab=tabs, key=st.sampled_from(("sk-one", "sk-two", "")))
    def scribe(self, tab: int, key: str) -> None:
        if self.send(tab, "scribe", {"key": key} if key else {"later": "1"}):
            self.key = key

    @rule(tab=tabs, short=st.sampled_from(SHORTS))
    def install(self, tab: int, short: str) -> None:
        if self.send(tab, f"install/{short}", {}):
            self.wanted.add(short)
            self.retried.add(short)
            self.answered = True

    @rule(tab=tabs)
    def go_on(self, tab: int) -> None:
        self.send(tab, "continue", {})

    @rule(tab=tabs)
    def expose(self, tab: int) -> None:
        self.send(tab, "expose", {"expose_mode": "localhost"})

    @rule(status=st.sampled_from(("succeeded", "failed")))
    def jobs_end(self, status: str) -> None:
        for job in self.door.installs.jobs.values():
            if job["status"] == "running":
                job["status"] = status

    @invariant()
    def both_tabs_agree(self) -> None:
        if len(self.tabs) == 2:
            assert self.state(0) == self.state(1)

    @invariant()
    def it_does_not_end_without_what_was_chosen(self) -> None:
        setup = self.door.accounts.setup
        begun = {short for short, _ in self.door.installs.asked}
        if setup.screen() == "done":
            assert self.answered
            assert self.wanted <= begun, (self.wanted, begun)
        assert begun <= self.wanted, (begun, self.wanted)

    @invariant()
    def answers_reach_the_modules(self) -> None:
        for short, options in self.door.installs.asked:
            if short == "vault" and self.name is not None and short not in self.retried:
                assert options == {"first_vault": self.name}, options
            if short == "scribe" and short not in self.retried:
                given = options.get("environment", {}).get("OPENAI_API_KEY", "")
                assert given == (self.key or ""), (given, self.key)

    @invariant()
    def what_has_not_begun_is_not_called_failed(self) -> None:
        if len(self.tabs) == 2:
            for operation in self.state()["operations"]:
                if operation["id"] is None:
                    assert operation["status"] == "pending", operation


class WizardTests(SynchronousTestCase):
    def test_any_order(self) -> None:
        limits = settings(
            max_examples=25,
            stateful_step_count=12,
            derandomize=True,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        )
        run_state_machine_as_test(Wizard, settings=limits)

    def test_every_state_is_in_the_table(self) -> None:
        self.assertEqual(set(wizard.TABLE), set(wizard.STEPS))
