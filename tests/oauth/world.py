import shutil
import tempfile
from pathlib import Path

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.oauth.authorization.scopes import Authority
from parachute_hub.oauth.tokens.issuer import Minted, TokenRequest
from tests.support.oauth import World


class WorldCase(SynchronousTestCase):
    """A test with an issuer that has its first key."""

    def setUp(self) -> None:
        # Each consent waits for the disk, so the disk is memory where there is one.
        memory = Path("/dev/shm")
        self.folder = Path(tempfile.mkdtemp(dir=memory if memory.is_dir() else None)) / "home"
        self.addCleanup(shutil.rmtree, self.folder.parent)
        self.world = World(self.folder)
        self.addCleanup(self.world.close)
        self.successResultOf(Deferred.fromCoroutine(self.world.keys.ensure()))

    def mint(self, *scopes: str, lifetime: float = 900.0, audience: str | None = None) -> Minted:
        """A token with just these scopes."""
        return self.world.do(
            self.world.issuer.mint,
            TokenRequest(
                subject="someone",
                client_id="app",
                scopes=scopes,
                authority=Authority(every_vault="admin", modules="all", exact=frozenset(scopes)),
                lifetime=lifetime,
                created_via="cli_mint",
                audience=audience,
            ),
        )
