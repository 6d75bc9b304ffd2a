"""Two at once: real SQLite, several connections in several threads, as if the hub ran more than one."""

import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

from parachute_hub.oauth.assemble import OAuth, build
from parachute_hub.oauth.tokens.grant_policy import Deny
from parachute_hub.oauth.tokens.token_service import IssuedTokens, TokenExchange
from parachute_hub.store.database import Database
from tests.oauth.flows import CALLBACK, VERIFIER, FlowCase
from tests.support.at_once import at_once
from tests.support.databases import new_database
from tests.support.oauth import ISSUER, NoDocuments, PemSupply, counted_random

THREADS = 5
ADDRESS = "192.0.2.1"


class RaceTests(FlowCase):
    def hub(self, number: int) -> tuple[Database, OAuth]:
        """Another process's view of the same database."""
        database = new_database(self.folder / "parachute.db")
        random = counted_random()
        for _ in range(1 + number * 1000):
            random(1)
        oauth = build(
            database,
            home=self.folder,
            issuer=ISSUER,
            origins=[],
            resources=self.world.resources,
            documents=NoDocuments(),
            clock=self.world.clock,
            random=random,
            off_thread=PemSupply(),
        )
        return database, oauth

    def at_once(self, deed: Callable[[TokenExchange, int], Any], times: int) -> list[Any]:
        """Do it `times` times in each of five threads, begun together; all answers."""
        answers: list[Any] = []
        begin = threading.Barrier(THREADS)

        def run(number: int) -> None:
            database, oauth = self.hub(number + 1)
            try:
                begin.wait(10)
                answers.extend(deed(oauth._redeemer, turn) for turn in range(times))
            except BaseException as error:
                answers.append(error)
            finally:
                database.close()

        threads = [threading.Thread(target=run, args=(number,)) for number in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        return answers

    def test_fifty_redemptions_of_one_code(self) -> None:
        """One gets tokens; the others are replays, so in the end nobody holds any that work."""
        client_id = self.approved()
        code = self.code(client_id)

        def redeem(redeemer: TokenExchange, turn: int) -> Any:
            given: Any = {"redirect_uri": CALLBACK, "verifier": VERIFIER, "target": None, "address": ADDRESS}
            return at_once(redeemer.code(code, client_id=client_id, **given))

        answers = self.at_once(redeem, 10)
        self.assertEqual(Counter(type(answer) for answer in answers), {IssuedTokens: 1, Deny: 49})
        (given,) = [answer for answer in answers if isinstance(answer, IssuedTokens)]
        self.world.clock.advance(1)
        self.assertTrue(self.is_refused(given.access.token))

    def test_concurrent_refreshes_all_get_a_token(self) -> None:
        """Five tabs at once: each gets a token, no two the same, and each goes on with its own."""
        client_id = self.approved()
        first = self.connect(client_id)["refresh_token"]

        def refresh(redeemer: TokenExchange, turn: int) -> Any:
            return at_once(redeemer.refresh(first, client_id=client_id, scopes=(), target=None, address=ADDRESS))

        answers = self.at_once(refresh, 1)
        self.assertEqual([type(answer) for answer in answers], [IssuedTokens] * THREADS)
        self.assertEqual(len({answer.refresh_token for answer in answers}), THREADS)
        self.world.clock.advance(31)
        statuses = [self.refresh(client_id, answer.refresh_token).status for answer in answers]
        self.assertEqual(statuses, [200] * THREADS)

    def test_a_revocation_wins_over_a_refresh(self) -> None:
        """Whatever the order, afterwards nothing of the family works."""
        client_id = self.approved()
        tokens = self.connect(client_id)

        def both(redeemer: TokenExchange, turn: int) -> Any:
            if turn == 1:
                return at_once(redeemer.revoke(tokens["refresh_token"], client_id))
            return at_once(
                redeemer.refresh(
                    tokens["refresh_token"], client_id=client_id, scopes=(), target=None, address="192.0.2.1"
                )
            )

        answers = self.at_once(both, 2)
        self.world.clock.advance(1)
        for answer in answers:
            if isinstance(answer, IssuedTokens):
                self.assertTrue(self.is_refused(answer.access.token))
                self.assertEqual(self.refresh(client_id, answer.refresh_token).json["error"], "invalid_grant")
        self.assertEqual({type(answer) for answer in answers} - {IssuedTokens, Deny, type(None)}, set())
        self.assertTrue(self.is_refused(tokens["access_token"]))
