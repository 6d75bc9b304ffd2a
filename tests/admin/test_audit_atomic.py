"""Each act on the database and its entry are committed together or not at all."""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyotp
from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.accounts.model import SignedIn, Visitor
from parachute_hub.accounts.people.deletion_policy import DAY
from parachute_hub.accounts.people.sharing import Sharing
from parachute_hub.accounts.people.users import Actor
from parachute_hub.oauth.tokens.minting import ACCOUNT_SCOPES, SPA_SCOPES
from parachute_hub.store.rows import User
from parachute_hub.store.users import Users
from tests.accounts.doors import DoorCase
from tests.oauth.tokens.test_tokens_api import TokensCase
from tests.support.at_once import at_once
from tests.support.atomic import OneTransaction
from tests.support.authenticator import Authenticator
from tests.support.front_door import PASSWORD
from tests.support.moving_in import MovingIn
from tests.support.oauth import fake_csrf

# Nothing in the database changes with these: somebody saw a secret, or failed.
ONLY_SEEN = {"invite-shown", "confirm", "second-factor"}
VISITOR = Visitor(address="192.0.2.7")
OTHER_PASSWORD = "four rather new words"
Acts = list[tuple[str, Callable[[], object]]]


class PeopleTests(DoorCase):
    def setUp(self) -> None:
        super().setUp()
        self.one = OneTransaction(self.door.database)
        self.accounts = self.door.accounts

    def try_each(self, acts: Acts) -> None:
        """In this order; each is left done."""
        for action, act in acts:
            wrong = self.one.tried(action, act)
            self.assertEqual([one for one in wrong if action not in ONLY_SEEN or "nothing" not in one], [], action)

    def user(self, name: str) -> User:
        return next(user for user in self.accounts.people.all() if user.username == name)

    def entered(self, name: str) -> SignedIn:
        """A new session."""
        new = at_once(self.accounts.sign_in.enter(self.user(name), VISITOR, methods="pwd"))
        found = self.accounts.sign_in.find(new.token)
        assert found is not None
        return found

    def test_people(self) -> None:
        people, actor = self.accounts.people, Actor(name="ada", address="192.0.2.1")
        self.try_each([("owner-created", lambda: at_once(people.first_owner("ada", PASSWORD)))])
        grace = lambda: self.user("grace").id  # noqa: E731
        self.try_each(
            [
                ("user-created", lambda: at_once(people.add(actor, "grace", PASSWORD, vaults={}))),
                ("vaults-changed", lambda: at_once(people.set_vaults(actor, grace(), {"family": "read"}))),
                ("role-admin", lambda: at_once(people.set_role(actor, grace(), "admin"))),
                ("role-member", lambda: at_once(people.set_role(actor, grace(), "member"))),
                ("password-reset", lambda: at_once(people.reset_password(actor, grace(), OTHER_PASSWORD))),
                ("user-deleted", lambda: at_once(people.delete(actor, grace()))),
                ("owner-reset", lambda: at_once(people.reset_owner(OTHER_PASSWORD))),
                ("origin-changed", lambda: at_once(self.door.origin.choose("https://hub.example", 1.0))),
            ]
        )

    def test_vaults(self) -> None:
        self.owner()
        accounts, deletions = self.accounts, self.accounts.deletions
        for name in ("grace", "heidi"):
            person = at_once(accounts.people.person(name, PASSWORD, vaults={name: "write"}))
            at_once(accounts.write(accounts.people.admit, evolve(person, own=(name,))))
        sharing = Sharing(
            users=Users(self.door.database),
            presence=accounts.step_up,
            watch=self.door.watch,
            audit=accounts.audit,
            write=accounts.write,
            clock=accounts.clock,
        )
        me, heidi = self.entered("grace"), self.user("heidi").id
        share = lambda: sharing.share(me, VISITOR, "grace", "heidi", "read", PASSWORD)  # noqa: E731
        self.try_each(
            [
                ("vault-shared", lambda: at_once(share())),
                ("share-ended", lambda: at_once(sharing.end(me, VISITOR, "grace", heidi))),
                ("quota-changed", lambda: at_once(accounts.quotas.set_vault("ada", "grace", 5))),
                ("quota-changed", lambda: at_once(accounts.quotas.set_person("ada", heidi, 5))),
                ("vault-deletion-asked", lambda: at_once(deletions.schedule("ada", "default"))),
                ("vault-kept", lambda: at_once(deletions.keep("ada", "default"))),
            ]
        )
        at_once(deletions.schedule("ada", "default"))
        self.door.now += 26 * DAY
        at_once(deletions.tick())
        self.door.now += 5 * DAY
        self.try_each([("vault-deleted", lambda: at_once(deletions.tick()))])

    def test_invitations(self) -> None:
        self.owner()
        invitations = self.accounts.invitations
        actor = Actor(name="ada", user_id=self.user("ada").id)
        invite, token = at_once(invitations.make(actor, vaults={}))
        other, _ = at_once(invitations.make(actor, vaults={}))
        self.try_each(
            [
                ("invited", lambda: at_once(invitations.make(actor, vaults={}))),
                ("invite-shown", lambda: at_once(invitations.show(actor, invite.id))),
                ("invite-redeemed", lambda: at_once(invitations.redeem(token, "judy", PASSWORD, "192.0.2.7"))),
                ("invite-revoked", lambda: at_once(invitations.revoke(actor, other.id))),
            ]
        )

    def test_sessions_and_factors(self) -> None:
        self.owner()
        signing, account = self.accounts.sign_in, self.accounts.account
        me, other = self.entered("ada"), self.entered("ada")
        enter = lambda action: at_once(signing.enter(me.user, VISITOR, methods="pwd", action=action))  # noqa: E731
        started = at_once(account.start_second_factor(me, VISITOR, PASSWORD, "hub.test"))
        code = pyotp.TOTP(started.secret).at(int(self.door.now))

        self.try_each(
            [
                ("sign-in", lambda: at_once(signing.with_password("ada", PASSWORD, VISITOR, "/"))),
                ("first-sign-in", lambda: enter("first-sign-in")),
                ("session-renewed", lambda: enter("session-renewed")),
                ("phone-signed-in", lambda: enter("phone-signed-in")),
                ("session-ended", lambda: at_once(account.end_session(me, VISITOR, other.session.id))),
                ("other-sessions-ended", lambda: at_once(account.end_other_sessions(me, VISITOR))),
                ("name-changed", lambda: at_once(account.change_name(me, VISITOR, "Ada L."))),
                ("confirm", lambda: at_once(self.accounts.step_up.verify(me, VISITOR, password="wrong"))),
                ("second-factor-on", lambda: at_once(account.confirm_second_factor(me, VISITOR, code))),
                ("recovery-codes-renewed", lambda: at_once(account.new_recovery_codes(me, VISITOR, PASSWORD))),
            ]
        )
        pending: Any = at_once(signing.with_password("ada", PASSWORD, VISITOR, "/"))
        self.try_each(
            [
                ("second-factor", lambda: at_once(signing.with_code(pending.token, "000000", VISITOR))),
                ("second-factor-off", lambda: at_once(account.second_factor_off(me, VISITOR, PASSWORD))),
            ]
        )
        codes = at_once(account.start_second_factor(me, VISITOR, PASSWORD, "hub.test"))
        self.door.now += 60
        at_once(account.confirm_second_factor(me, VISITOR, pyotp.TOTP(codes.secret).at(int(self.door.now))))
        people, actor = self.accounts.people, Actor(name="ada")
        self.try_each([("second-factor-removed", lambda: at_once(people.remove_second_factor(actor, me.user.id)))])
        again = self.entered("ada")
        change = lambda: account.change_password(again, VISITOR, PASSWORD, OTHER_PASSWORD)  # noqa: E731
        self.try_each([("password-changed", lambda: at_once(change()))])
        self.try_each([("sign-out", lambda: at_once(signing.leave(again, VISITOR)))])

    def test_passkeys(self) -> None:
        self.owner()
        visitor, device = evolve(VISITOR, origin="http://localhost"), Authenticator("http://localhost")
        me, own, confirm = self.entered("ada"), self.accounts.own_passkeys, self.accounts.step_up

        def add() -> None:
            options = at_once(own.begin(me, visitor, PASSWORD))
            at_once(own.passkeys.add(me, visitor, device.create(options), "Laptop"))

        def copied() -> None:
            signed = device.get(confirm.ask(me, visitor, "user.invite"), device.credentials[-1])
            device.credentials[-1].count = 0
            at_once(confirm.issue(me, visitor, "user.invite", passkey=signed))

        self.try_each([("passkey-added", add)])
        device.credentials[-1].count = 5
        copied()
        key = device.credentials[-1].id
        self.try_each(
            [
                ("passkey-blocked", copied),
                ("passkey-renamed", lambda: at_once(own.rename(me, visitor, key, "Desk", PASSWORD))),
                ("passkey-removed", lambda: at_once(own.remove(me, visitor, key, PASSWORD))),
            ]
        )


class AppsAndTokensTests(TokensCase):
    def test_each(self) -> None:
        one, world = OneTransaction(self.world.database), self.world
        connections = world.oauth.connections
        pending, app = str(self.register(client_name="Lamp")["client_id"]), self.approved()
        used = self.code(app)
        self.redeem(app, used)
        jti = str(self.minted("vault:default:read").json["jti"])

        def proven(path: str, operation: str, **data: Any) -> None:
            reply = self.send("POST", path, data=data, who="owner", X_Parachute_Proof=operation)
            self.assertEqual(reply.status, 200, reply.body)

        def short(path: str, *scopes: str, **data: Any) -> Callable[[], None]:
            return lambda: proven(path, "token.mint:" + ",".join(scopes), **data)

        read, admin = "vault:default:read", "vault:default:admin"
        revoked = lambda: world.tokens.revoked(world.clock.seconds())  # noqa: E731
        acts: Acts = [
            ("mint-token", short("/api/auth/mint-token", read, scope=read)),
            ("vault-token", short("/account/vault-token/default", read, verb="read")),
            ("host-admin-token", short("/admin/host-admin-token", *SPA_SCOPES)),
            ("vault-admin-token", short("/admin/vault-admin-token/default", admin)),
            ("module-token", short("/admin/module-token/scribe", "scribe:admin")),
            ("account-token", short("/account/token", *ACCOUNT_SCOPES)),
            ("revoke-token", lambda: proven("/api/auth/revoke-token", "", jti=jti)),
            ("rotate-key", lambda: proven("/api/auth/rotate-key", "key.rotate")),
            ("rotate-operator", lambda: proven("/api/auth/rotate-operator", "operator.rotate")),
            ("app-connected", lambda: self.code(app, scope="vault:read")),
            ("app-key-reused", lambda: self.redeem(app, used)),
            ("app-disconnected", lambda: at_once(connections.disconnect("id-owner", app))),
            ("app-refused", lambda: at_once(connections.remove_client(pending))),
            ("app-removed", lambda: at_once(connections.remove_client(app))),
            ("app-approved", lambda: at_once(connections.approve_client(str(waiting["client_id"]), "owner"))),
            ("locked", lambda: self.send("POST", "/account/lock", who="owner", form=said)),
        ]
        waiting, said = self.register(client_name="Board"), {"__csrf": fake_csrf("owner"), "password": "right"}
        for action, act in acts:
            state = revoked if action == "rotate-operator" else None
            self.assertEqual(one.tried(action, act, state), [], action)
        self.flushLoggedErrors(sqlite3.IntegrityError)


class MovingInTests(SynchronousTestCase):
    def test_moving_in(self) -> None:
        moving = MovingIn(Path(self.mktemp()).absolute())
        self.addCleanup(moving.door.close)

        def move() -> None:
            _, ticket = at_once(moving.service.begin())
            at_once(moving.service.move(ticket))

        self.assertEqual(OneTransaction(moving.door.database).tried("moved-in", move), [])
