"""Every way in as a Hypothesis state machine: nobody is locked out, and nobody gets in without what they hold."""

from typing import Any

import pyotp
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule, run_state_machine_as_test
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.accounts.model import NewSession, PendingSecondFactor, SignedIn, Visitor
from parachute_hub.accounts.people.users import Actor
from parachute_hub.accounts.setup.public_origin import FORMER_SECONDS
from parachute_hub.site.errors import Refused
from tests.support.accounts_machine import AccountsMachine
from tests.support.at_once import at_once
from tests.support.authenticator import Authenticator, Credential

PASSWORDS = ("three small paper boats", "four rather new words")
NAMES = ("ada", "grace")
ADDRESSES = ("https://one.test", "https://two.test")
LOCAL = "http://localhost"
names, passwords, addresses = st.sampled_from(NAMES), st.sampled_from(PASSWORDS), st.sampled_from(ADDRESSES)
places = st.sampled_from((*ADDRESSES, LOCAL))


class Person:
    """What one person holds."""

    def __init__(self, password: str) -> None:
        self.password = password
        self.app: pyotp.TOTP | None = None
        self.by_keys = False
        self.codes: list[str] = []
        self.keys: list[Credential] = []
        self.removed: list[Credential] = []
        self.blocked: list[str] = []

    @property
    def second(self) -> bool:
        return self.app is not None or self.by_keys


class WaysIn(AccountsMachine):
    """Two people and their devices, a hub that moves."""

    def __init__(self) -> None:
        super().__init__()
        self.people: dict[str, Person] = {}
        self.left: dict[str, float] = {}

    def browser(self, origin: str = LOCAL) -> Visitor:
        """A browser at this address of the hub that nobody has signed in with."""
        return self.visitor(origin=origin, anonymous=f"browser {self.visits + 1}")

    def user(self, name: str) -> Any:
        return next(user for user in self.accounts.people.all() if user.username == name)

    def session(self, name: str) -> SignedIn:
        """A session of the person, however they got it."""
        entered = at_once(self.accounts.sign_in.enter(self.user(name), self.browser(), methods="pwd"))
        found = self.accounts.sign_in.find(entered.token)
        assert found is not None
        return found

    def device(self, origin: str, credential: Credential | None = None) -> Authenticator:
        return Authenticator(origin, credentials=[credential] if credential else [])

    def works(self, key: Credential, origin: str, *, for_good: bool = False) -> bool:
        """Whether a key of the model can sign in at an origin now."""
        here = self.door.origin.bound() if for_good else self.door.origin.answering()
        return origin in here and origin.partition("://")[2] == key.rp_id

    def good(self, person: Person) -> list[Credential]:
        """Keys that work at the hub's addresses for good."""
        every = (*ADDRESSES, LOCAL)
        return [
            key
            for key in person.keys
            if key.id not in person.blocked and any(self.works(key, one, for_good=True) for one in every)
        ]

    @initialize()
    def begin(self) -> None:
        at_once(self.door.origin.choose(ADDRESSES[0], self.door.now))
        for name in NAMES:
            user = at_once(self.accounts.people.person(name, PASSWORDS[0], role="admin" if name == "ada" else "member"))
            at_once(self.door.database.write(self.accounts.people.admit, user))
            self.people[name] = Person(PASSWORDS[0])

    @rule(
        name=names, password=passwords, way=st.sampled_from(["app", "code", "key", "their key", "wrong"]), place=places
    )
    def sign_in(self, name: str, password: str, way: str, place: str) -> None:
        """Only the right password, with a second factor of theirs if it is on."""
        person, service, visitor = self.people[name], self.accounts.sign_in, self.browser(place)
        first = self.run(service.with_password(name, password, visitor, "/"))
        if password != person.password:
            assert isinstance(first, Refused)
            return
        if not person.second:
            assert isinstance(first, NewSession)
            return
        assert isinstance(first, PendingSecondFactor)
        self.door.now += 90
        if way in ("key", "their key"):
            self.second_by_key(name, first.token, visitor, NAMES[NAMES.index(name) - 1] if way == "their key" else name)
            return
        given = {
            "app": person.app.at(int(self.door.now)) if person.app else "123456",
            "code": person.codes[0] if person.codes else "aaaa-aaaa-aaaa",
            "wrong": "000000",
        }[way]
        second = self.run(service.with_code(first.token, given, visitor))
        right = (way == "app" and person.app is not None) or (way == "code" and bool(person.codes))
        assert isinstance(second, Refused) != right, (way, second)
        if right and way == "code":
            self.spend(name)

    def spend(self, name: str) -> None:
        """The first recovery code was used. The last one ends a second factor of which nothing is left."""
        person = self.people[name]
        person.codes.pop(0)
        if person.by_keys and not person.codes and not self.good(person):
            person.by_keys = False

    def second_by_key(self, name: str, pending: str, visitor: Visitor, whose: str) -> None:
        entry, person = self.accounts.entry, self.people[name]
        keys = [key for key in self.people[whose].keys if self.works(key, visitor.origin)]
        try:
            options = entry.ask_second(pending, visitor)
        except Refused:
            assert not [key for key in keys if whose == name and key.id not in person.blocked]
            return
        if not keys:
            return
        used = keys[0]
        outcome = self.run(entry.enter_second(pending, self.device(visitor.origin).get(options, used), visitor))
        right = whose == name and used.id not in person.blocked
        assert isinstance(outcome, Refused) != right, outcome

    @rule(name=names, place=places, number=st.integers(0, 5), copied=st.booleans(), removed=st.booleans())
    def sign_in_by_key(self, name: str, place: str, number: int, copied: bool, removed: bool) -> None:
        """A passkey that is theirs, works here and is no copy."""
        person, visitor = self.people[name], self.browser(place)
        keys = person.removed if removed else person.keys
        try:
            options = self.accounts.entry.ask(visitor)
        except Refused:
            assert place not in self.door.origin.answering()
            return
        if not keys:
            return
        key = keys[number % len(keys)]
        if copied:
            key.count = -1
        used = key.count + 1
        stored = next(
            (one.sign_count for one in self.accounts.passkeys.of_user(self.user(name).id) if one.id == key.id), 0
        )
        outcome = self.run(self.accounts.entry.enter(self.device(place).get(options, key), visitor))
        counts = used > stored or used == stored == 0
        right = self.works(key, place) and not removed and key.id not in person.blocked
        assert isinstance(outcome, Refused) != (right and counts), (outcome, used, stored)
        if right and not counts:
            person.blocked.append(key.id)
        key.count = max(key.count, stored)

    @rule(name=names, password=passwords, place=places)
    def add_key(self, name: str, password: str, place: str) -> None:
        person, own, visitor = self.people[name], self.accounts.own_passkeys, self.browser(place)
        found = self.session(name)
        options = self.run(own.begin(found, visitor, password))
        if password != person.password or place not in self.door.origin.bound():
            assert isinstance(options, Refused), options
            return
        device = self.device(place)
        added = self.run(own.passkeys.add(found, visitor, device.create(options), "Key"))
        assert not isinstance(added, Refused), added
        person.keys.append(device.credentials[0])

    @rule(name=names, number=st.integers(0, 5))
    def remove_key(self, name: str, number: int) -> None:
        """One is kept while it is the only second factor."""
        person, own = self.people[name], self.accounts.own_passkeys
        if not person.keys:
            return
        key = person.keys[number % len(person.keys)]
        outcome = self.run(own.remove(self.session(name), self.browser(), key.id, person.password))
        needed = person.by_keys and self.good(person) == [key]
        assert isinstance(outcome, Refused) == needed, outcome
        if not needed:
            person.keys.remove(key)
            person.removed.append(key)

    @rule(name=names)
    def keys_as_second_factor(self, name: str) -> None:
        person, own = self.people[name], self.accounts.own_passkeys
        done = self.run(own.become_second_factor(self.session(name), self.browser(), person.password))
        if person.second or not self.good(person):
            assert isinstance(done, Refused)
        else:
            person.by_keys, person.codes = True, done[1]

    @rule(name=names)
    def app_as_second_factor(self, name: str) -> None:
        person, account, found = self.people[name], self.accounts.account, self.session(name)
        started = self.run(account.start_second_factor(found, self.browser(), person.password, "hub"))
        if person.second:
            assert isinstance(started, Refused)
            return
        app = pyotp.TOTP(started.secret)
        _, person.codes = at_once(account.confirm_second_factor(found, self.browser(), app.at(int(self.door.now))))
        person.app = app

    @rule(name=names, password=passwords)
    def switch_off(self, name: str, password: str) -> None:
        person = self.people[name]
        done = self.run(self.accounts.account.second_factor_off(self.session(name), self.browser(), password))
        assert isinstance(done, Refused) == (password != person.password)
        if password == person.password:
            person.app, person.by_keys, person.codes = None, False, []

    @rule(name=names)
    def new_codes(self, name: str) -> None:
        person = self.people[name]
        done = self.run(self.accounts.account.new_recovery_codes(self.session(name), self.browser(), person.password))
        assert isinstance(done, Refused) == (not person.second)
        if person.second:
            person.codes = done

    @rule(name=names, spent=st.integers(8, 10))
    def lose_codes(self, name: str, spent: int) -> None:
        """Sign in with one after the other."""
        person = self.people[name]
        for code in person.codes[:spent]:
            if not person.second:
                break
            first = self.run(self.accounts.sign_in.with_password(name, person.password, self.browser(), "/"))
            assert not isinstance(self.run(self.accounts.sign_in.with_code(first.token, code, self.browser())), Refused)
            self.spend(name)

    @rule(name=names, new=passwords)
    def change_password(self, name: str, new: str) -> None:
        person = self.people[name]
        done = self.run(self.accounts.account.change_password(self.session(name), self.browser(), person.password, new))
        assert isinstance(done, Refused) == (new == person.password)
        person.password = new

    @rule(to=addresses)
    def move(self, to: str) -> None:
        """Refused while somebody would be left with nothing."""
        names_then = {one.partition("://")[2] for one in self.door.origin.bound_after(to)}
        stuck = [
            person
            for person in self.people.values()
            if person.by_keys
            and not person.codes
            and any(key.rp_id not in names_then for key in self.good(person))
            and not [key for key in person.keys if key.rp_id in names_then and key.id not in person.blocked]
        ]
        outcome = self.run(self.door.origin.choose(to, self.door.now))
        assert isinstance(outcome, Refused) == bool(stuck), (outcome, stuck)

    @rule()
    def owner_helps(self) -> None:
        """What turns a lost second factor off takes lost passkeys along."""
        person = self.people["grace"]
        at_once(self.accounts.people.remove_second_factor(Actor(name="ada"), self.user("grace").id))
        person.removed += person.keys
        person.app, person.by_keys, person.codes, person.keys = None, False, [], []

    @rule()
    def machine_helps(self) -> None:
        """`parachute auth reset-owner`."""
        person = self.people["ada"]
        at_once(self.accounts.people.reset_owner(PASSWORDS[1]))
        fresh = Person(PASSWORDS[1])
        fresh.removed = person.removed + person.keys
        self.people["ada"] = fresh

    @rule(seconds=st.sampled_from([1.0, 3600.0, FORMER_SECONDS]))
    def time_passes(self, seconds: float) -> None:
        self.door.now += seconds

    @invariant()
    def nobody_is_locked_out(self) -> None:
        """Everybody has a way in that lasts, or there is a copy of their key."""
        for name, person in self.people.items():
            assert self.accounts.people.has_second_factor(self.user(name).id) == person.second, name
            way = not person.second or person.app is not None or bool(person.codes) or bool(self.good(person))
            assert way or person.blocked, name


class MachineTests(SynchronousTestCase):
    def test_any_sequence_keeps_a_way_in(self) -> None:
        run_state_machine_as_test(
            WaysIn,
            settings=settings(max_examples=25, stateful_step_count=30, derandomize=True, deadline=None, database=None),
        )
