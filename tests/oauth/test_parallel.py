"""Many at once in one hub: the real writer's thread under the real reactor."""

import os
from collections import Counter
from collections.abc import Coroutine, Iterable
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.trial.unittest import TestCase

from parachute_hub.oauth.assemble import build
from parachute_hub.oauth.tokens.grant_policy import MOST_BRANCHES, Deny
from parachute_hub.oauth.tokens.token_service import IssuedTokens
from parachute_hub.system.executors import WriterThread
from tests.oauth.flows import CALLBACK, VERIFIER, FlowCase
from tests.support.databases import new_database
from tests.support.oauth import ISSUER, PemSupply

AT_ONCE = 50


class ParallelTests(FlowCase, TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.client_id = self.approved()
        database = new_database(self.folder / "parachute.db", executor=WriterThread(reactor, "database"))
        self.addCleanup(database.close)
        self.redeemer = build(
            database,
            home=self.folder,
            issuer=ISSUER,
            origins=[],
            resources=self.world.resources,
            documents=self.world.documents,
            clock=self.world.clock,
            random=os.urandom,
            off_thread=PemSupply(),
        )._redeemer

    async def test_fifty_redemptions_give_one_success(self) -> None:
        """The others are replays."""
        code = self.code(self.client_id)
        asked: Any = {"redirect_uri": CALLBACK, "verifier": VERIFIER, "target": None, "address": "192.0.2.1"}
        given = await self.together(self.redeemer.code(code, client_id=self.client_id, **asked) for _ in range(AT_ONCE))
        self.assertEqual(Counter(map(type, given)), {IssuedTokens: 1, Deny: AT_ONCE - 1})

    async def test_fifty_redemptions_of_a_device_code_give_one_success(self) -> None:
        """The others are replays."""
        begun = self.send("POST", "/oauth/device_authorization", form={"client_id": self.client_id}).json
        page = self.send("GET", "/oauth/device", who="owner")
        typed = [*[pair for pair in page.fields() if pair[0] != "user_code"], ("user_code", begun["user_code"])]
        page = self.send("POST", "/oauth/device", form=typed, who="owner")
        answered = [*page.fields(), ("approve", "yes"), ("password", "right")]
        self.assertEqual(self.send("POST", "/oauth/device", form=answered, who="owner").status, 200)
        asked: Any = {"client_id": self.client_id, "address": "192.0.2.1"}
        given = await self.together(self.redeemer.device(begun["device_code"], **asked) for _ in range(AT_ONCE))
        self.assertEqual(Counter(map(type, given)), {IssuedTokens: 1, Deny: AT_ONCE - 1})

    async def test_fifty_refreshes_of_one_token(self) -> None:
        """Eight processes get a branch each, no two the same; the others are refused, and nobody is signed out."""
        token = self.connect(self.client_id)["refresh_token"]
        asked: Any = {"scopes": (), "target": None, "address": "192.0.2.1"}
        given = await self.together(
            self.redeemer.refresh(token, client_id=self.client_id, **asked) for _ in range(AT_ONCE)
        )
        tokens = [one.refresh_token for one in given if isinstance(one, IssuedTokens)]
        self.assertEqual((len(set(tokens)), len(given)), (MOST_BRANCHES, AT_ONCE))
        again = await self.together(self.redeemer.refresh(one, client_id=self.client_id, **asked) for one in tokens)
        self.assertEqual(Counter(map(type, again)), {IssuedTokens: MOST_BRANCHES})

    async def together(self, works: Iterable[Coroutine[Any, Any, Any]]) -> list[Any]:
        """Start them all, then wait for all."""
        return list(await gatherResults([Deferred.fromCoroutine(work) for work in works]))
