from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.store.clients import Clients
from parachute_hub.store.grants import Grants
from parachute_hub.store.keys import SigningKeys
from parachute_hub.store.rows import Client, Code, Family, Grant, Refresh, StoredKey, TokenRecord, User
from parachute_hub.store.tokens import Tokens
from parachute_hub.store.users import Users
from tests.support.databases import new_database


class OAuthRows(SynchronousTestCase):
    """A database with one person (`u`), and rows to add."""

    def setUp(self) -> None:
        self.path = Path(self.mktemp()) / "parachute.db"
        self.database = new_database(self.path)
        # The stores write within a transaction; here it is one for the whole test.
        self._whole = ExitStack()
        self.addCleanup(self.commit)
        self._whole.enter_context(closing(self.database))
        self._whole.enter_context(self.database.unit())
        self.clients, self.grants = Clients(self.database), Grants(self.database)
        self.tokens, self.keys, self.users = Tokens(self.database), SigningKeys(self.database), Users(self.database)
        self.users.add(
            User(
                id="u",
                username="u",
                password_hash="",
                role="admin",
                must_change_password=False,
                email=None,
                created_at=0,
                password_changed_at=0,
            )
        )

    def commit(self) -> None:
        """Write everything into the file, which nobody uses then."""
        self._whole.close()

    def client(self, client_id: str = "app", **changes: Any) -> Client:
        values: dict[str, Any] = {
            "client_id": client_id,
            "source": "registered",
            "status": "approved",
            "same_hub": False,
            "name": "App",
            "redirect_uris": ("https://app.test/cb", "http://127.0.0.1/cb"),
            "scope": "vault:read",
            "auth_method": "none",
            "secret_hash": None,
            "software": {"client_uri": "https://app.test"},
            "vouched_by": None,
            "created_at": 10.0,
            **changes,
        }
        return Client(**values)

    def allow(self, number: int = 1, client_id: str = "app", *scopes: str) -> str:
        """A consent with the code `code-<number>`; the id of its family."""
        if self.clients.get(client_id) is None:
            self.clients.put(self.client(client_id))
        family_id = f"family-{number}"
        self.grants.allow(
            Grant(
                user_id="u",
                client_id=client_id,
                scopes=scopes or ("vault:a:read",),
                redirect_uri="https://app.test/cb",
                address="192.0.2.1",
                first_at=float(number),
                last_at=float(number),
            ),
            Family(
                id=family_id,
                user_id="u",
                client_id=client_id,
                scopes=scopes or ("vault:a:read",),
                resource=None,
                auth_time=0.0,
                created_at=float(number),
            ),
            Code(
                hash=f"code-{number}",
                family_id=family_id,
                redirect_uri="https://app.test/cb",
                challenge="c",
                expires_at=number + 60.0,
            ),
        )
        return family_id

    def refresh(
        self, name: str, family_id: str = "family-1", expires_at: float = 1000.0, *, branch: str = "b", **more: Any
    ) -> Refresh:
        values = {"generation": 0, "parent": None, "created_at": 1.0, **more}
        return Refresh(hash=name, family_id=family_id, branch=branch, expires_at=expires_at, **values)

    def token(self, jti: str, **changes: Any) -> TokenRecord:
        values: dict[str, Any] = {
            "jti": jti,
            "kid": "key",
            "subject": "u",
            "user_id": "u",
            "client_id": "app",
            "family_id": None,
            "scopes": ("vault:a:read",),
            "permissions": None,
            "created_via": "cli_mint",
            "created_at": 1.0,
            "expires_at": 100.0,
            **changes,
        }
        return TokenRecord(**values)

    def key(self, kid: str, signs_from: float) -> StoredKey:
        return StoredKey(kid=kid, private_pem="pem", created_at=signs_from, signs_from=signs_from)
