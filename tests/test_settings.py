from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.modules.definition.ports import ASSIGNABLE
from parachute_hub.settings import MODULE_PORTS, REFERENCE_CATALOG, BadSetting, Settings, fold


def folded(options: dict[str, str | None] | None = None, /, **environ: str) -> Settings:
    return fold(options or {}, {"HOME": "/home/ana", **environ})


class SettingsTests(SynchronousTestCase):
    def test_defaults_bind_this_machine_only(self) -> None:
        """The usual port, loopback, and a home in the user's folder."""
        settings = folded()
        self.assertEqual(settings.listen, "tcp:1939:interface=127.0.0.1")
        self.assertEqual(settings.home, Path("/home/ana/.parachute"))
        self.assertEqual((settings.issuer, settings.origin_source), ("http://127.0.0.1:1939", "none"))

    def test_options_win_over_the_environment(self) -> None:
        """Explicit options take precedence."""
        settings = folded({"home": "/srv/hub", "listen": "tcp:8000"}, PARACHUTE_HOME="/parachute", PORT="1")
        self.assertEqual((settings.home, settings.port), (Path("/srv/hub"), 8000))

    def test_empty_strings_count_as_not_given(self) -> None:
        """Platforms set variables to empty strings."""
        self.assertEqual(folded(PARACHUTE_HOME="", PORT=" ").home, Path("/home/ana/.parachute"))

    def test_the_platforms_lead_to_one_origin(self) -> None:
        """Render's URL and Fly's name, after an explicit origin."""
        self.assertEqual(folded(RENDER_EXTERNAL_URL="https://a.onrender.com/").issuer, "https://a.onrender.com")
        self.assertEqual(folded(FLY_APP_NAME="mine").issuer, "https://mine.fly.dev")
        self.assertEqual(
            folded(RENDER_EXTERNAL_URL="https://a.onrender.com", PARACHUTE_HUB_ORIGIN="https://own.example").issuer,
            "https://own.example",
        )
        self.assertEqual(folded(FLY_APP_NAME="a/b").origin, None)

    def test_an_https_address_without_trusted_hops_is_warned_about(self) -> None:
        """Cookies are not Secure then; known platforms set the hop themselves."""
        own = {"PARACHUTE_HUB_ORIGIN": "https://hub.example.com"}
        for environ, warned in (
            (own, True),
            ({**own, "PARACHUTE_TRUSTED_HOPS": "0"}, True),
            ({**own, "PARACHUTE_TRUSTED_HOPS": "1"}, False),
            ({"PARACHUTE_HUB_ORIGIN": "http://hub.lan"}, False),
            ({"RENDER_EXTERNAL_URL": "https://a.onrender.com"}, False),
            ({"FLY_APP_NAME": "mine"}, False),
            ({}, False),
        ):
            said = [text for text in folded(**environ).warnings if "PARACHUTE_TRUSTED_HOPS=1" in text]
            self.assertEqual(bool(said), warned, environ)

    def test_the_container_listens_where_the_platform_says(self) -> None:
        """PORT and the bind host make the endpoint."""
        settings = folded(PORT="10000", PARACHUTE_BIND_HOST="0.0.0.0", RENDER="true")
        self.assertEqual(settings.listen, "tcp:10000:interface=0.0.0.0")
        self.assertEqual(settings.trusted_hops, 1)

    def test_where_to_listen_may_be_said_in_short(self) -> None:
        for said, endpoint in (
            ("8080", "tcp:8080:interface=127.0.0.1"),
            (":8080", "tcp:8080:interface=0.0.0.0"),
            ("localhost:8080", "tcp:8080:interface=127.0.0.1"),
            ("192.168.1.5:80", "tcp:80:interface=192.168.1.5"),
            ("[::1]:8080", r"tcp:8080:interface=\:\:1"),
            ("tcp:8080", "tcp:8080"),
        ):
            self.assertEqual(folded({"listen": said}, PORT="1").listen, endpoint, said)
            self.assertEqual(folded(PARACHUTE_LISTEN=said).listen, endpoint, said)
        odd = (
            "\u0663",
            "9" * 5000,
            "tcp:80:foo=bar",
            "tcp:80:backlog=x",
            "tcp:80:interface=[::",
            "tcp4:80",
            "tcp:80:a:b",
        )
        for wrong in ("0", "70000", "unix:/run/hub", "port", *odd):
            with self.assertRaises(BadSetting) as caught:
                folded({"listen": wrong})
            self.assertIn("--listen", str(caught.exception), wrong)

    def test_another_port_is_chosen_the_way_the_first_one_was(self) -> None:
        for given, options, advice in (
            ({"PARACHUTE_STARTED_BY": "make run"}, {}, "PORT=1940 make run"),
            ({"PARACHUTE_STARTED_BY": "make run", "PORT": "80"}, {}, "PORT=8080 make run"),
            ({"PARACHUTE_STARTED_BY": "parachute serve"}, {"listen": "3000"}, "parachute serve --listen 3001"),
            ({"PORT": "65535"}, {}, "PORT=8080"),
            ({"PORT": "3000", "PARACHUTE_LISTEN": "4000"}, {}, "PARACHUTE_LISTEN=127.0.0.1:4001"),
            ({"PORT": "3000"}, {"listen": "5000"}, "--listen 5001"),
            ({}, {}, "--listen 1940"),
        ):
            self.assertEqual(folded({**options}, **given).another_port, advice, (given, options))

    def test_the_reference_modules_have_a_catalog_of_their_own(self) -> None:
        for said, path in (("reference", REFERENCE_CATALOG), ("published", None), ("/srv/c.json", Path("/srv/c.json"))):
            self.assertEqual(folded(PARACHUTE_CATALOG=said).catalog, path, said)
            self.assertEqual(folded({"catalog": said}, PARACHUTE_CATALOG="reference").catalog, path, said)

    def test_an_origin_is_scheme_and_host_only(self) -> None:
        """Paths, user names and other schemes are refused with a message that says what is expected."""
        no_hosts = (
            "https://ex ample",
            'https://a"b',
            "https://a;b",
            "https://a..b",
            f"https://{'a' * 64}.test",
            f"https://{'a.' * 130}test",
            "https://%41",
            f"https://ü{'x' * 70}",
        )
        parts = (
            "ftp://x",
            "https://u:p@x",
            "https://x/path",
            "https://x?q",
            "http://x:99999",
            "http://x:0",
            "http://x\n.y",
        )
        for wrong in ("hub.example", *parts, *no_hosts):
            with self.assertRaises(BadSetting) as caught:
                folded({"origin": wrong})
            self.assertIn("--origin", str(caught.exception))

    def test_a_host_is_kept_as_browsers_send_it(self) -> None:
        """Requests for any other are refused."""
        for said, kept in (
            ("https://Bücher.example:8443", "https://xn--bcher-kva.example:8443"),
            ("http://[::1]:1939", "http://[::1]:1939"),
            ("http://my_nas.local", "http://my_nas.local"),
            ("http://192.168.1.7", "http://192.168.1.7"),
        ):
            self.assertEqual(folded({"origin": said}).issuer, kept)

    def test_wrong_numbers_and_sizes_are_refused_by_name(self) -> None:
        """Each refusal names its variable."""
        for name, wrong in (
            ("PORT", "70000"),
            ("PARACHUTE_LOCK_WAIT", "soon"),
            ("PARACHUTE_MEM_LIMIT", "much"),
            ("PARACHUTE_MODULE_PORTS", "2019-2000"),
            ("PARACHUTE_MODULE_PORTS", "3000-3010"),
        ):
            with self.assertRaises(BadSetting) as caught:
                folded(**{name: wrong})
            self.assertIn(name, str(caught.exception))
        self.assertEqual(folded(PARACHUTE_MEM_LIMIT="512M").memory_limit, 512 << 20)
        self.assertEqual(folded(PARACHUTE_MODULE_PORTS="2000-2019").module_ports, range(2000, 2020))
        self.assertEqual(MODULE_PORTS, ASSIGNABLE)

    def test_a_wrong_channel_does_not_keep_the_hub_from_starting(self) -> None:
        """It is ignored with a warning."""
        settings = folded(PARACHUTE_INSTALL_CHANNEL="nightly")
        self.assertEqual(settings.channel, None)
        self.assertIn("PARACHUTE_INSTALL_CHANNEL", settings.warnings[0])

    def test_the_first_owner_needs_both_words(self) -> None:
        """Half an account is an error; the password never shows in a repr."""
        with self.assertRaises(BadSetting):
            folded(PARACHUTE_INITIAL_ADMIN_USERNAME="ana")
        settings = folded(PARACHUTE_INITIAL_ADMIN_USERNAME="ana", PARACHUTE_INITIAL_ADMIN_PASSWORD="s3cret-words")
        self.assertNotIn("s3cret-words", repr(settings))

    def test_secrets_of_modules_do_not_show_in_a_repr(self) -> None:
        """Keys from a platform's dashboard are kept, and not shown."""
        settings = folded(PARACHUTE_ENV_SCRIBE_OPENAI_API_KEY="sk-abcdefghijk")
        self.assertEqual(settings.module_variables, {"PARACHUTE_ENV_SCRIBE_OPENAI_API_KEY": "sk-abcdefghijk"})
        self.assertNotIn("sk-abcdefghijk", repr(settings))
