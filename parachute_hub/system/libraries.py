"""Libraries that others import, and that an idle hub does not use: loaded when they are, not before."""

from parachute_hub.system.loading import defer

_UNUSED = (
    "pdb",  # twisted.application.app, as the next four: for its debugger
    "bdb",
    "cmd",
    "code",
    "getpass",
    "bz2",  # shutil
    "calendar",  # twisted.web.http
    "decimal",  # twisted.spread.jelly
    "difflib",  # werkzeug: for its suggestions
    "locale",  # subprocess, gettext
    "lzma",  # shutil
    "mimetypes",  # werkzeug
    "pkgutil",  # werkzeug
    "subprocess",  # psutil
    "tempfile",  # twisted.web.http, importlib.resources
    "textwrap",  # twisted.python.usage
    "twisted.internet.udp",  # the reactor
    "twisted.internet.unix",
    "shlex",
    "shutil",  # tempfile
    "ssl",  # http.client
    "urllib.request",  # http.cookiejar
)
# By module and name, what Twisted, Klein and others import by name. "" is for what they use when a function runs.
_NAMES = {
    "asyncio": {"AbstractEventLoop": "", "Future": "", "iscoroutine": "asyncio.coroutines"},  # twisted.internet.defer
    "automat._methodical": {"MethodicalMachine": ""},
    "cryptography.hazmat.primitives.serialization.ssh": dict.fromkeys(
        (
            "SSHCertificate",
            "SSHCertificateBuilder",
            "SSHCertificateType",
            "SSHCertPrivateKeyTypes",
            "SSHCertPublicKeyTypes",
            "SSHPrivateKeyTypes",
            "SSHPublicKeyTypes",
            "load_ssh_private_key",
            "load_ssh_public_identity",
            "load_ssh_public_key",
            "ssh_key_fingerprint",
        ),
        "",
    ),
    "cryptography.x509": {"load_pem_x509_certificate": "", "load_der_x509_certificate": ""},  # joserfc
    "email.message": {"EmailMessage": "", "Message": ""},  # twisted.web.http
    "email.utils": dict.fromkeys(("formatdate", "make_msgid", "parsedate_to_datetime"), ""),
    "gettext": {"gettext": "", "ngettext": ""},  # getopt
    "html.entities": {"html5": ""},  # html
    "http.cookiejar": {"CookieJar": ""},  # twisted.web.client
    "hyperlink": {"DecodedURL": "", "URL": ""},  # twisted.python.urlpath, klein
    "idna": {"decode": "", "encode": ""},  # hyperlink: for host names that are not ASCII
    "klein": {"Klein": "klein._app"},
    "pprint": {"pformat": ""},  # werkzeug
    "twisted.cred.credentials": {"IUsernameDigestHash": ""},  # twisted.web.iweb
    "twisted.spread.pb": {"Copyable": "twisted.spread.flavors", "ViewPoint": "twisted.spread.flavors"},  # twisted.web
    "unittest": {"TestCase": ""},  # twisted.trial.itrial, among the plugins that twistd looks for
    "werkzeug.datastructures": {  # werkzeug.routing, as the next two
        **dict.fromkeys(("ImmutableDict", "MultiDict", "iter_multi_items"), "werkzeug.datastructures.structures"),
        "Headers": "",
    },
    "werkzeug.http": {"dump_cookie": ""},
    "werkzeug.wsgi": {"get_host": "", "wrap_file": ""},
    "zipfile": {"ZipFile": ""},  # twisted.python.zippath
}


def defer_unused() -> None:
    """Call it before Twisted is imported: for what is loaded by then, it comes too late."""
    defer({**dict.fromkeys(_UNUSED, {}), **_NAMES})
