import io
import json

from twisted.internet.protocol import ClientFactory
from twisted.logger import Logger, LogLevel, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.system.log_lines import visible
from parachute_hub.system.logs import LineObserver, Masker

JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"


class MaskerTests(SynchronousTestCase):
    def test_secrets_are_taken_out_by_their_shape(self) -> None:
        """Tokens, keys, user names in URLs, registry credentials, secrets in queries."""
        mask = Masker()
        for text in (
            f"got {JWT} from x",
            "key pvt_abcdef123456 made",
            "fetch https://user:secretword@registry.example/x",
            "//registry/:_authToken=secretword",
            "Authorization: Bearer secretword",
            "GET /cb?code=secretword&x=1",
            "using sk-abcdefghijklmnop",
            "GET /account/setup/secretword-secretword-secretword-0123456789a HTTP/1.1",
        ):
            masked = mask(text)
            self.assertIn("***", masked)
            for secret in (JWT, "abcdef123456", "secretword", "abcdefghijklmnop"):
                self.assertNotIn(secret, masked)

    def test_known_secrets_are_taken_out_by_value(self) -> None:
        """Short ones are not masked, or ordinary words would disappear."""
        mask = Masker()
        mask.know("correct horse")
        mask.know("a")
        self.assertEqual(mask("it is correct horse, at last"), "it is ***, at last")

    def test_ordinary_text_is_left_alone(self) -> None:
        """It is unchanged."""
        text = "vault started, pid 12, http://127.0.0.1:1940/health?verbose=1"
        self.assertEqual(Masker()(text), text)


class LineTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.out = io.StringIO()
        self.log = Logger(observer=LineObserver(Masker(), self.out), namespace="test")

    def test_an_event_is_one_line_with_time_and_level(self) -> None:
        """Fields are formatted, secrets masked."""
        self.log.info("{module} says {word}", module="vault", word=JWT)
        line = self.out.getvalue()
        self.assertRegex(line, r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ info +vault says \*\*\*\n$")

    def test_debug_is_left_out(self) -> None:
        """The log is for owners."""
        self.log.debug("noise")
        self.assertEqual(self.out.getvalue(), "")

    def test_connections_of_our_own_are_not_told(self) -> None:
        """Each probe of a module would add two lines."""
        observer = LineObserver(Masker(), self.out)
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        factory = ClientFactory()
        factory.doStart()
        factory.doStop()
        self.assertEqual(self.out.getvalue(), "")

    def test_control_characters_cannot_steer_a_terminal(self) -> None:
        """They are escaped."""
        self.log.warn("name {name}", name="\x1b[2Jx\u202ey")
        self.assertIn("\\x1b[2Jx\\x202ey", self.out.getvalue())
        self.assertEqual(visible("plain\ttext"), "plain\ttext")

    def test_a_failure_brings_its_traceback(self) -> None:
        """Every line of it is prefixed."""
        try:
            raise ValueError("broken")
        except ValueError:
            self.log.failure("it broke", level=LogLevel.critical)
        lines = self.out.getvalue().splitlines()
        self.assertIn("it broke", lines[0])
        self.assertTrue(any("ValueError: broken" in line for line in lines))

    def test_as_json_each_event_is_one_object(self) -> None:
        """A traceback stays with its event, and nothing steers a terminal."""
        log = Logger(observer=LineObserver(Masker(), self.out, form="json"), namespace="test")
        log.warn("key pvt_abcdef123456")
        log.info("", module_short="vault", module_line="error: \x1b[2J")
        try:
            raise ValueError("broken")
        except ValueError:
            log.failure("it broke")
        told = [json.loads(line) for line in self.out.getvalue().splitlines()]
        self.assertEqual(
            [(one["level"], one.get("module")) for one in told],
            [("warning", None), ("error", "vault"), ("error", None)],
        )
        self.assertEqual(told[0]["text"], "key pvt_***")
        self.assertIn("ValueError: broken", told[2]["text"])
        self.assertNotIn("\x1b", self.out.getvalue())

    def test_what_is_kept_is_masked(self) -> None:
        kept: list[tuple[float, str, str]] = []
        observer = LineObserver(Masker(), self.out, keep=lambda *event: kept.append(event))
        Logger(observer=observer).error("got {word}", word=JWT)
        Logger(observer=observer).info("", module_short="vault", module_line="hello")
        ((at, level, text),) = kept
        self.assertEqual((level, text), ("error", "got ***"))
        self.assertGreater(at, 1e9)

    def test_a_closed_output_stops_nothing(self) -> None:
        """A full disk or a closed pipe does not stop the hub."""
        self.out.close()
        self.log.info("nobody hears this")
        self.assertTrue(self.out.closed)

    def test_a_modules_line_comes_as_it_is(self) -> None:
        """The supervisor has prefixed and masked it; control characters are escaped too."""
        self.log.info("", module_short="vault", module_line="hello")
        self.log.info("", module_short="vault", module_line="\x1b[2Jhello")
        self.assertEqual(self.out.getvalue(), "[vault] hello\n[vault] \\x1b[2Jhello\n")
