"""The command-line grammar of `parachute`."""

from argparse import REMAINDER, SUPPRESS, ArgumentParser, Namespace, RawDescriptionHelpFormatter, _SubParsersAction
from collections.abc import Callable

from parachute_hub import __version__
from parachute_hub.cli import (
    backup,
    commands,
    completion,
    export,
    lock,
    login,
    logs,
    migrate,
    module_new,
    notices,
    recovery,
    service,
    space,
)

Action = Callable[[Namespace], int]

_EXAMPLES = """\
examples:
  parachute serve                     run the hub here; its log shows the link that sets it up
  parachute service install           keep it running in the background
  parachute install vault             install a module
  parachute logs vault -f             follow its log
  parachute status --json             the same facts for programs
  parachute doctor                    what is wrong, and what to do

exit codes:
  0 done, 1 failed, 2 wrong words or options, 3 no hub is running
"""
_NEW = "accept a release from outside the catalog that is less than three days old"


def parser() -> ArgumentParser:
    """The parser; each subcommand carries its function."""
    top = _top()
    top.add_argument("--version", action="version", version=f"parachute {__version__}")
    _everywhere(top, home=None, json=False, hub=None)
    words = top.add_subparsers(metavar="WORD", required=True)

    def word(name: str, action: Action, text: str) -> ArgumentParser:
        sub = words.add_parser(name, help=text, description=text)
        _everywhere(sub)
        sub.set_defaults(action=action, word=name)
        return sub

    def module_word(name: str, action: Action, text: str) -> ArgumentParser:
        sub = word(name, action, text)
        names = completion.offered_modules if name == "install" else completion.installed_modules
        argument = sub.add_argument("module", help="the module's short name, such as vault")
        argument.completer = names  # type: ignore[attr-defined]
        return sub

    serve = word("serve", commands.serve, "Run the hub in the foreground.")
    serve.add_argument("--listen", help="a port, address:port or Twisted endpoint [PARACHUTE_LISTEN; 1939]")
    serve.add_argument(
        "--catalog", help="modules to offer: published, reference, or a file [PARACHUTE_CATALOG; published]"
    )
    serve.add_argument("--origin", help="the public origin [PARACHUTE_HUB_ORIGIN]")
    word("status", commands.status, "Show every module and its state.")
    install = module_word(
        "install", commands.install, "Install a module by short name, package name, folder or tarball."
    )
    install.add_argument("--channel", choices=("latest", "rc"), help="which releases to take")
    install.add_argument(
        "--without-optional", action="store_true", help="leave out optional dependencies, now and when it is upgraded"
    )
    first = install.add_mutually_exclusive_group()
    first.add_argument("--init", action="store_true", help="let it run its own command once, before its first start")
    first.add_argument("--without-init", action="store_true", help="install it without running that command")
    upgrade = word("upgrade", commands.upgrade, "Upgrade a module; the old version stays until the new one answers.")
    for sub in (install, upgrade):
        sub.add_argument("--allow-new", action="store_true", help=_NEW)
        sub.add_argument("--agree", action="store_true", help="grant it the additional permissions it requests")
    upgrade.add_argument("module", nargs="?", help="the module's short name")
    upgrade.add_argument("--all", action="store_true", help="every module that has a newer version")
    upgrade.add_argument("--version", help="this version rather than the newest")
    upgrade.add_argument("--allow-downgrade", action="store_true", help="accept an older version")
    module_word("updates", commands.updates, "Choose what happens with a module's newer versions.").add_argument(
        "choice", choices=("tell", "night", "pin"), help="tell me, install at night, or keep this one"
    )
    module_word("rollback", commands.rollback, "Go back to the version before the last upgrade.")
    uninstall = module_word("uninstall", commands.uninstall, "Remove a module's code; its data stays.")
    uninstall.add_argument("--yes", action="store_true", help="do not ask")
    module_word("cancel", commands.cancel, "Cancel the operation running for a module and undo its changes.")
    switches = {
        "adopt": "Adopt and start a module in services.json that this hub did not install.",
        "start": "Start a module.",
        "stop": "Stop a module; it stays stopped.",
        "restart": "Restart a module.",
    }
    for name, text in switches.items():
        module_word(name, commands.switch, text)
    logs.add_options(word("logs", logs.logs, "Show a module's log, or the hub's own."))
    config = module_word("config", commands.config, "Show or change a module's configuration.")
    config.add_argument("assignments", nargs="*", metavar="KEY=VALUE", help="what to change")
    check_up = word("doctor", _doctor, "Check this hub and suggest repairs.")
    check_up.add_argument("--fix", action="store_true", help="repair what is safe to repair, without the hub as well")
    for add in (
        login.add_words,
        backup.add_words,
        notices.add_words,
        migrate.add_word,
        export.add_words,
        service.add_words,
    ):
        add(words, _everywhere)
    for name in commands.REPLACED:
        # Without a line in the help: these are the older hub's words.
        old = words.add_parser(name)
        old.add_argument("rest", nargs=REMAINDER)
        old.set_defaults(action=commands.replaced, word=name)
    _nested(words)
    return top


def _top() -> ArgumentParser:
    return completion.Parser(
        prog="parachute",
        description="Run and manage a Parachute hub on this machine.",
        epilog=_EXAMPLES,
        formatter_class=RawDescriptionHelpFormatter,
    )


def _everywhere(
    sub: ArgumentParser, home: str | None = SUPPRESS, json: bool | str = SUPPRESS, hub: str | None = SUPPRESS
) -> None:
    """Options accepted before or after the subcommand. After it, a missing option keeps the earlier value."""
    sub.add_argument("--home", default=home, help="the hub's folder [PARACHUTE_HOME; ~/.parachute]")
    sub.add_argument("--hub", default=hub, help="a hub that you signed in to, or local [PARACHUTE_HUB]")
    sub.add_argument("--json", action="store_true", default=json, help="print JSON for programs")


def _nested(words: "_SubParsersAction[ArgumentParser]") -> None:
    """Subcommands with subcommands, locking, room, and shell completion."""
    lock.add_word(words, _everywhere)
    space.add_word(words, _everywhere)
    module = words.add_parser("module", help="For module authors.").add_subparsers(metavar="WORD", required=True)
    begun = module.add_parser("new", help="Make a working module from a template.")
    module_new.add_options(begun)
    _everywhere(begun)
    check = module.add_parser("check", help="Check a module folder before publishing it.")
    check.add_argument("folder")
    _everywhere(check)
    check.set_defaults(action=commands.check, word="check")

    auth = words.add_parser("auth", help="Recover accounts from this machine.")
    auth_words = auth.add_subparsers(metavar="WORD", required=True)
    reset = auth_words.add_parser("reset-owner", help="Give the owner a new password (a way back in).")
    _everywhere(reset)
    reset.set_defaults(action=recovery.reset_owner, word="reset-owner")

    shells = words.add_parser("completion", help="Print what a shell needs to complete words and modules.")
    shells.add_argument("shell", choices=completion.SHELLS)
    shells.set_defaults(action=_completion, word="completion")


def _doctor(arguments: Namespace) -> int:
    # It imports much of the hub, which takes longer than every other command.
    from parachute_hub.cli.doctor import doctor

    return doctor(arguments)


def _completion(arguments: Namespace) -> int:
    print(completion.script(arguments.shell))
    return 0
