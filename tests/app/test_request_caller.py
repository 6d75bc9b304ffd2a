from typing import Any

from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.iweb import IRequest
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site

from parachute_hub.app.request_caller import RequestCaller
from tests.support.asking import ask
from tests.support.sockets import Rig, get


class Held(Resource):
    """Keeps requests open."""

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.requests: list[Any] = []

    def render(self, request: IRequest) -> int:
        self.requests.append(request)
        return NOT_DONE_YET


class Told(Resource):
    """Answers with what is known about the client."""

    isLeaf = True

    def render(self, request: IRequest) -> bytes:
        caller = RequestCaller()
        return f"{caller.client_address(request)} {caller.is_secure(request)}".encode()


class RequestCallerTests(SynchronousTestCase):
    def test_address_and_scheme_are_the_browsers(self) -> None:
        for https in (False, True):
            answer = ask(Told(), "/api/x", address="198.51.100.7", https=https)
            self.assertEqual(answer.body, f"198.51.100.7 {https}".encode())

    def test_they_outlive_the_connection(self) -> None:
        """If the browser disconnects while a password is checked, the failure still counts for its address."""
        page = Held()
        client = Rig(resource=page, hops=1).ask(
            get("/api/x", "X-Forwarded-For: 198.51.100.7", "X-Forwarded-Proto: https"), "10.0.0.1"
        )
        client.hang_up()
        (request,) = page.requests
        caller = RequestCaller()
        self.assertEqual((caller.client_address(request), caller.is_secure(request)), ("198.51.100.7", True))

    def test_a_request_that_did_not_pass_the_front_is_an_error(self) -> None:
        """Guessing once made https go unnoticed."""
        page = Held()
        channel: Any = Site(page).buildProtocol(None)
        channel.makeConnection(StringTransport())
        channel.dataReceived(b"GET / HTTP/1.1\r\nHost: hub.test\r\n\r\n")
        (request,) = page.requests
        self.assertRaises(TypeError, RequestCaller().is_secure, request)
        self.assertRaises(TypeError, RequestCaller().client_address, request)
