"""Accounts and second factors as a Hypothesis state machine with a model."""

from typing import Any

import pyotp
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule, run_state_machine_as_test
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.accounts.model import NewSession, PendingSecondFactor, SignedIn
from parachute_hub.accounts.people.users import Actor
from parachute_hub.accounts.signin.second_factor import START_LASTS
from parachute_hub.site.errors import Refused
from tests.support.accounts_machine import AccountsMachine
from tests.support.at_once import at_once

PASSWORDS = ("three small paper boats", "four rather new words", "five fine and fresh ideas")
NAMES = ("ada", "grace")
passwords = st.sampled_from(PASSWORDS)
names = st.sampled_from(NAMES)


class Modelled:
    """Expected state of one person."""

    def __init__(self, password: str) -> None:
        self.password = password
        self.admin = False
        self.app: pyotp.TOTP | None = None
        self.begun: pyotp.TOTP | None = None
        self.begun_at = 0.0
        self.codes: list[str] = []
        self.spent: list[str] = []
        self.tokens: list[str] = []


class Accounts(AccountsMachine):
    """Two people, one hub."""

    def __init__(self) -> None:
        super().__init__()
        self.people: dict[str, Modelled] = {}

    def signed_in(self, name: str) -> SignedIn | None:
        """A live session of the person."""
        sign_in = self.accounts.sign_in
        for token in self.people[name].tokens:
            found = sign_in.find(token)
            assert found is not None, "a session that must live has ended"
            return found
        return None

    @initialize()
    def begin(self) -> None:
        for name in NAMES:
            user = self.run(
                self.accounts.people.person(name, PASSWORDS[0], role="admin" if name == "ada" else "member")
            )
            at_once(self.door.database.write(self.accounts.people.admit, user))
            self.people[name] = Modelled(PASSWORDS[0])
        self.people["ada"].admin = True

    @rule(name=names, password=passwords, code=st.sampled_from(["app", "recovery", "spent", "wrong"]))
    def sign_in(self, name: str, password: str, code: str) -> None:
        """Only the right password, with a fresh code if there is a second factor, signs in."""
        model = self.people[name]
        service = self.accounts.sign_in
        first = self.run(service.with_password(name, password, self.visitor(), "/"))
        if password != model.password:
            assert isinstance(first, Refused), first
            return
        if model.app is None:
            assert isinstance(first, NewSession), first
            model.tokens.append(first.token)
            return
        assert isinstance(first, PendingSecondFactor), first
        self.door.now += 90
        given = {
            "app": model.app.at(int(self.door.now)),
            "recovery": model.codes[0] if model.codes else "",
            "spent": model.spent[-1] if model.spent else "",
            "wrong": "000000",
        }[code]
        second = self.run(service.with_code(first.token, given, self.visitor()))
        if code == "app" or (code == "recovery" and model.codes):
            assert not isinstance(second, Refused), (code, second)
            model.tokens.append(second[0].token)
            if code == "recovery":
                model.codes.remove(given)
            model.spent.append(given)
        else:
            assert isinstance(second, Refused), (code, second)

    @rule(name=names)
    def begin_second_factor(self, name: str) -> None:
        found, model = self.signed_in(name), self.people[name]
        if found is None:
            return
        account = self.account()
        started = self.run(account.start_second_factor(found, self.visitor(), model.password, "hub.test"))
        if model.app is not None:
            assert isinstance(started, Refused)
        else:
            model.begun, model.begun_at = pyotp.TOTP(started.secret), self.door.now

    @rule(name=names, right=st.booleans())
    def confirm_second_factor(self, name: str, right: bool) -> None:
        """Only a code from the new app turns it on; recovery codes are returned."""
        found, model = self.signed_in(name), self.people[name]
        if found is None:
            return
        if self.door.now >= model.begun_at + START_LASTS:
            model.begun = None
        code = model.begun.at(int(self.door.now)) if right and model.begun else "000000"
        try:
            entered, codes = at_once(self.account().confirm_second_factor(found, self.visitor(), code))
        except Refused:
            assert not (right and model.begun), "a working app was refused"
            return
        assert right and model.begun is not None and model.app is None
        model.app, model.begun, model.codes, model.tokens = model.begun, None, codes, [entered.token]
        model.spent = [code]

    @rule(name=names, password=passwords)
    def switch_off(self, name: str, password: str) -> None:
        found, model = self.signed_in(name), self.people[name]
        if found is None:
            return
        done = self.run(self.account().second_factor_off(found, self.visitor(), password))
        if password == model.password:
            model.app, model.begun, model.codes, model.spent = None, None, [], []
            # Without a visitor's cookie the old session goes on beside the new one.
            model.tokens.append(done.token)
        else:
            assert isinstance(done, Refused)

    @rule(name=names, current=passwords, new=passwords)
    def change_password(self, name: str, current: str, new: str) -> None:
        """Other sessions end with it."""
        found, model = self.signed_in(name), self.people[name]
        if found is None:
            return
        done = self.run(self.account().change_password(found, self.visitor(), current, new))
        if current == model.password and new != current:
            model.password, model.tokens = new, [found.token, done.token]
        else:
            assert isinstance(done, Refused)

    @rule(name=names)
    def lose_everything_and_be_helped(self, name: str) -> None:
        """Another admin resets the password and removes the second factor."""
        user = self.user(name)
        if not self.people["ada"].admin or name == "ada":
            return
        self.run(self.accounts.people.remove_second_factor(Actor(name="ada"), user.id))
        self.run(self.accounts.people.reset_password(Actor(name="ada"), user.id, PASSWORDS[0]))
        fresh = Modelled(PASSWORDS[0])
        fresh.admin = self.people[name].admin
        self.people[name] = fresh

    @rule(name=names, role=st.sampled_from(["admin", "member"]))
    def change_role(self, name: str, role: Any) -> None:
        """The last admin stays an admin."""
        admins = [one for one in NAMES if self.people[one].admin]
        try:
            at_once(self.accounts.people.set_role(Actor(name="ada"), self.user(name).id, role))
        except Refused:
            assert role == "member" and admins == [name]
            return
        assert not (role == "member" and admins == [name])
        self.people[name].admin = role == "admin"
        self.people[name].tokens = []

    @rule(seconds=st.sampled_from([1, 31, 3600]))
    def time_passes(self, seconds: int) -> None:
        self.door.now += seconds
        at_once(self.accounts.prune())

    @invariant()
    def somebody_runs_the_hub(self) -> None:
        admins = [user.username for user in self.accounts.people.all() if user.is_admin]
        assert sorted(admins) == sorted(name for name, model in self.people.items() if model.admin)
        assert not self.people or admins

    @invariant()
    def nobody_is_enabled_and_locked_out(self) -> None:
        """Everyone with a second factor has a tested app; stored codes are the ones handed out."""
        for name, model in self.people.items():
            standing = self.accounts.people.has_second_factor(self.user(name).id)
            assert standing == (model.app is not None), name

    def user(self, name: str) -> Any:
        (found,) = [user for user in self.accounts.people.all() if user.username == name]
        return found

    def account(self) -> Any:
        """The service behind the account pages."""
        return self.accounts.account


class MachineTests(SynchronousTestCase):
    def test_any_sequence_of_actions_keeps_the_invariants(self) -> None:
        run_state_machine_as_test(
            Accounts,
            settings=settings(max_examples=30, stateful_step_count=25, derandomize=True, deadline=None, database=None),
        )
