"""Random tokens."""

from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.system import random_tokens


class TokenTests(SynchronousTestCase):
    def test_any_token_has_the_format(self) -> None:
        for first in range(256):
            token = random_tokens.new_token(lambda size, first=first: bytes([first]) * size)  # type: ignore[misc]
            self.assertTrue(random_tokens.is_token(token), token)
            self.assertFalse(token.startswith("-"))
