"""The `twistd parachute` plugin: command-line options and the service they start."""

from typing import TYPE_CHECKING, NoReturn

from twisted.application.service import IService
from twisted.python import usage

from parachute_hub import __version__
from parachute_hub.settings import BadSetting, Settings, from_process
from parachute_hub.system.hardening import harden
from parachute_hub.system.loading import lazily, without

if TYPE_CHECKING:
    from parachute_hub.app.service import Hub


class Options(usage.Options):
    """The most common settings. The others are environment variables; each option shows its variable."""

    synopsis = "twistd -n --pidfile= parachute [options]"
    optParameters = [
        ["home", None, None, "The folder that holds everything [PARACHUTE_HOME; ~/.parachute]"],
        [
            "listen",
            None,
            None,
            "Where to listen: a port, address:port or Twisted endpoint [PARACHUTE_LISTEN, or PORT and "
            "PARACHUTE_BIND_HOST; tcp:1939:interface=127.0.0.1]",
        ],
        ["catalog", None, None, "The modules to offer: published, reference, or a file [PARACHUTE_CATALOG; published]"],
        [
            "origin",
            None,
            None,
            "The public origin, such as https://hub.example.com [PARACHUTE_HUB_ORIGIN, RENDER_EXTERNAL_URL, "
            "FLY_APP_NAME; http://127.0.0.1:PORT]",
        ],
    ]
    settings: Settings

    def opt_version(self) -> NoReturn:
        """Print the hub's version and exit."""
        print("parachute", __version__)
        raise SystemExit(0)

    def postOptions(self) -> None:
        """Combine options, environment and defaults into settings."""
        try:
            self.settings = from_process(self)
        except BadSetting as error:
            raise usage.UsageError(str(error)) from None


def makeService(options: Options) -> IService:
    """The hub, with its home locked and its port bound. Exits with one line if either fails."""
    harden()
    settings = options.settings
    # An endpoint may be TLS. Others need no pyOpenSSL, which is a third of what the reactor would load.
    with without(*(() if settings.listen.startswith("ssl:") else ("OpenSSL",))):
        import twisted.web.client  # noqa: F401
        from twisted.internet import reactor
    with lazily("werkzeug"):  # Its routing does without its server and test client.
        import werkzeug  # noqa: F401
    from parachute_hub.app import proving
    from parachute_hub.app.listening import CannotListen
    from parachute_hub.system.home import HomeError

    if proving.asked():
        _prove(settings)
    hub = _kind(settings)(settings, reactor)
    try:
        hub.occupy()
    except (HomeError, CannotListen) as error:
        raise SystemExit(f"parachute: {error}") from None
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        raise SystemExit(
            f"parachute: The hub cannot start: {where}{error.strerror}. Check the disk and who owns the folder, or "
            "choose another with --home."
        ) from None
    return hub


def _kind(settings: Settings) -> "type[Hub]":
    """A hub, or a module host."""
    if settings.hosted is None:
        from parachute_hub.app.service import Hub

        return Hub
    from parachute_hub.app.host import Host

    return Host


def _prove(settings: Settings) -> NoReturn:
    """Say whether this hub would start, to one that runs."""
    from parachute_hub.app.proving import NotProven
    from parachute_hub.app.trial_start import answer

    try:
        print(answer(settings))
    except NotProven as error:
        raise SystemExit(f"parachute: {error}") from None
    raise SystemExit(0)
