"""Looks up the client for a client_id, registers new ones, and reads metadata documents."""

import hmac
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

from attrs import evolve
from twisted.internet.interfaces import IReactorTime

from parachute_hub.oauth.authorization.redirects import on_every_origin
from parachute_hub.oauth.authorization.scopes import COMMAND
from parachute_hub.oauth.clients import registration
from parachute_hub.oauth.clients.metadata_fetch import DocumentUnreadable, FetchedDocument
from parachute_hub.oauth.clients.registration import BadMetadata, ClientMetadata
from parachute_hub.oauth.tokens.issuer import Issuer
from parachute_hub.site.rate_limit import RateLimit
from parachute_hub.store.clients import Clients
from parachute_hub.store.rows import Client
from parachute_hub.store.writer import Write
from parachute_hub.system.random_tokens import hashed, new_token

MOST_UNVOUCHED = 1000
MOST_DOCUMENTS = 1000
UNVOUCHED_FOR = 86400.0
NOT_AGAIN_FOR = 60.0


class Documents(Protocol):
    """Fetches JSON documents from the internet."""

    def fetch(self, url: str, host: str) -> Awaitable[FetchedDocument]:
        """The document. Raises Unreadable."""


class ClientDirectory:
    """All clients known to the hub."""

    def __init__(
        self,
        *,
        write: Write,
        clients: Clients,
        documents: Documents,
        issuer: Issuer,
        clock: IReactorTime,
        random: Callable[[int], bytes],
    ) -> None:
        self._write = write
        self._clients = clients
        self._documents = documents
        self._issuer = issuer
        self._clock = clock
        self._random = random
        self._failed: dict[str, float] = {}
        self._per_host = RateLimit(times=10, seconds=60.0, clock=clock.seconds)

    def known(self, client_id: str) -> Client | None:
        """The stored client, without any network access."""
        return registration.own_command() if client_id == COMMAND else self._clients.get(client_id)

    async def find(self, client_id: str) -> Client | None:
        """The client; an outdated metadata document is fetched again. Raises Unreadable, Refused 429."""
        client = self.known(client_id)
        if not registration.is_document_url(client_id):
            return client
        now = self._clock.seconds()
        if client is not None and client.fresh_until is not None and now < client.fresh_until:
            return client
        return await self._read(client_id, client, now)

    async def register(
        self, body: Mapping[str, Any], *, vouched_by: str | None, before_new: Callable[[], None]
    ) -> tuple[Client, str | None]:
        """Register a client. Returns it with its secret, if it has one. Raises BadMetadata.

        `before_new` can reject a new anonymous client by raising Refused 429. At the limit for anonymous clients, the
        oldest unused one is evicted.

        A client is approved if someone vouches for it, or if all its redirect URIs lead back to this hub: the owner
        trusted what runs here by installing it. Registering the same client again returns the existing one.
        """
        described = registration.read(body, origins=self._issuer.own_origins)
        client, secret = self._new(described, vouched_by)
        if vouched_by is None:
            same = self._clients.like(client) if secret is None else None
            if same is not None:
                return same, None
            before_new()
        return await self._write(self._keep, client, secret)

    def prune(self) -> int:
        """Delete unapproved clients that were not used within a day. Call within a transaction."""
        return self._clients.prune(self._clock.seconds() - UNVOUCHED_FOR)

    def _keep(self, client: Client, secret: str | None) -> tuple[Client, str | None]:
        """Store a new client, unless an identical one was stored concurrently."""
        if client.vouched_by is None:
            same = self._clients.like(client) if secret is None else None
            if same is not None:
                return same, None
            if self._clients.count_unvouched() >= MOST_UNVOUCHED:
                self._clients.delete_oldest_unused()
        self._clients.put(client)
        return client, secret

    async def _read(self, client_id: str, before: Client | None, now: float) -> Client:
        if self._failed.get(client_id, now) > now:
            raise DocumentUnreadable()
        host = registration.domain_of(client_id)
        self._per_host.use(host)
        if before is None and self._clients.count_documents() >= MOST_DOCUMENTS:
            raise DocumentUnreadable()
        try:
            fetched = await self._documents.fetch(client_id, host)
            described = registration.read_document(client_id, fetched.body, origins=self._issuer.own_origins)
        except (DocumentUnreadable, BadMetadata):
            self._failed = {url: until for url, until in self._failed.items() if until > now}
            self._failed[client_id] = now + NOT_AGAIN_FOR
            raise
        client = evolve(
            self._client(client_id, described, now),
            source="document",
            status="approved",
            created_at=now if before is None else before.created_at,
            fresh_until=now + fetched.fresh_for,
        )
        await self._write(self._clients.put, client)
        return client

    def _new(self, described: ClientMetadata, vouched_by: str | None) -> tuple[Client, str | None]:
        octets = bytearray(self._random(16))
        octets[6], octets[8] = octets[6] & 0x0F | 0x40, octets[8] & 0x3F | 0x80
        text = octets.hex()
        client_id = "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))
        secret = None
        if described.auth_method != "none":
            secret = new_token(self._random)
        client = evolve(
            self._client(client_id, described, self._clock.seconds()),
            status="approved" if vouched_by or described.stays_home else "pending",
            same_hub=bool(vouched_by) or described.stays_home,
            redirect_uris=on_every_origin(described.redirect_uris, self._issuer.own_origins),
            secret_hash=None if secret is None else hashed(secret),
            vouched_by=vouched_by,
        )
        return client, secret

    def _client(self, client_id: str, described: ClientMetadata, now: float) -> Client:
        return Client(
            client_id=client_id,
            source="registered",
            status="pending",
            same_hub=False,
            name=described.name,
            redirect_uris=described.redirect_uris,
            scope=described.scope,
            auth_method=described.auth_method,
            secret_hash=None,
            software=described.software,
            vouched_by=None,
            created_at=now,
        )


def secret_matches(client: Client, secret: str) -> bool:
    """Compare a client secret in constant time."""
    return client.secret_hash is not None and hmac.compare_digest(client.secret_hash, hashed(secret))
