from OpenSSL import SSL, crypto
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.link import certificates
from parachute_hub.link.certificates import PinnedTLS


class Side:
    """One end with a key of its own; `only` is the key that it admits, anyone's if None."""

    def __init__(self, name: str) -> None:
        self.private, self.certificate = certificates.make(name)
        self.key = certificates.key_of_pem(self.certificate)

    def tls(self, only: bytes | None) -> PinnedTLS:
        return PinnedTLS(self.private, self.certificate, lambda key: only in (None, key))


def shake(client: SSL.Connection, server: SSL.Connection) -> None:
    """Complete the handshake in memory, and send a byte. Raises SSL.Error."""
    client.set_connect_state()
    server.set_accept_state()
    done: set[int] = set()
    for _ in range(8):
        for one, other in ((client, server), (server, client)):
            if id(one) not in done:
                try:
                    one.do_handshake()
                    done.add(id(one))
                except SSL.WantReadError:
                    pass
            try:
                other.bio_write(one.bio_read(1 << 16))
            except SSL.WantReadError:
                pass
    client.send(b"x")
    server.bio_write(client.bio_read(1 << 16))
    assert server.recv(1) == b"x"


class PinnedTLSTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.hub, self.host, self.other = Side("hub"), Side("host"), Side("hub")

    def connect(self, client: PinnedTLS, server: PinnedTLS) -> tuple[SSL.Connection, SSL.Connection]:
        ends = client.clientConnectionForTLS(None), server.serverConnectionForTLS(None)  # type: ignore[arg-type]
        shake(*ends)
        return ends

    def test_both_see_the_key_of_the_other(self) -> None:
        client, server = self.connect(self.hub.tls(self.host.key), self.host.tls(self.hub.key))
        self.assertEqual(certificates.peer_key(client), self.host.key)
        self.assertEqual(certificates.peer_key(server), self.hub.key)
        self.assertEqual(client.get_protocol_version_name(), "TLSv1.3")

    def test_another_key_with_the_same_name_is_refused(self) -> None:
        for client, server in (
            (self.other.tls(self.host.key), self.host.tls(self.hub.key)),
            (self.hub.tls(self.host.key), self.other.tls(self.hub.key)),
        ):
            with self.assertRaises(SSL.Error):
                self.connect(client, server)

    def test_a_chain_that_ends_at_the_right_key_is_refused(self) -> None:
        """Only the key that the peer has proved to hold counts."""
        context = SSL.Context(SSL.TLS_METHOD)
        context.use_privatekey(crypto.load_privatekey(crypto.FILETYPE_PEM, self.other.private))
        context.use_certificate(crypto.load_certificate(crypto.FILETYPE_PEM, self.other.certificate))
        context.add_extra_chain_cert(crypto.load_certificate(crypto.FILETYPE_PEM, self.hub.certificate))
        server = self.host.tls(self.hub.key).serverConnectionForTLS(None)  # type: ignore[arg-type]
        with self.assertRaises(SSL.Error):
            shake(SSL.Connection(context, None), server)

    def test_no_certificate_and_older_protocols_are_refused(self) -> None:
        for change in ("none", "old"):
            context = SSL.Context(SSL.TLS_METHOD)
            if change == "old":
                context.use_privatekey(crypto.load_privatekey(crypto.FILETYPE_PEM, self.hub.private))
                context.use_certificate(crypto.load_certificate(crypto.FILETYPE_PEM, self.hub.certificate))
                context.set_max_proto_version(SSL.TLS1_2_VERSION)
            server = self.host.tls(None).serverConnectionForTLS(None)  # type: ignore[arg-type]
            with self.assertRaises(SSL.Error, msg=change):
                shake(SSL.Connection(context, None), server)

    def test_what_is_no_certificate(self) -> None:
        for wrong in (b"", b"x", self.hub.private):
            with self.assertRaises(ValueError):
                certificates.key_of_pem(wrong)
