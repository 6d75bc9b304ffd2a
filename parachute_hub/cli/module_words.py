"""The words for modules and the hub as a whole."""

from argparse import REMAINDER, ArgumentParser, Namespace
from typing import Final

from parachute_hub.cli import commands, completion, logs, restart
from parachute_hub.cli.grammar import Action, Words

_NEW: Final = "accept a release from outside the catalog that is less than three days old"
_SWITCHES: Final = {
    "adopt": "Adopt and start a module in services.json that this hub did not install.",
    "start": "Start a module.",
    "stop": "Stop a module; it stays stopped.",
    "restart": "Restart a module; `hub` restarts the hub itself, while modules keep running.",
}


def add_words(words: Words) -> None:
    """Add them to the grammar."""

    def module_word(name: str, action: Action, text: str) -> ArgumentParser:
        sub = words.add(name, action, text)
        names = completion.offered_modules if name == "install" else completion.installed_modules
        argument = sub.add_argument("module", help="the module's short name, such as vault")
        argument.completer = names  # type: ignore[attr-defined]
        return sub

    serve = words.add("serve", commands.serve, "Run the hub in the foreground.")
    serve.add_argument("--listen", help="a port, address:port or Twisted endpoint [PARACHUTE_LISTEN; 1939]")
    serve.add_argument(
        "--catalog", help="modules to offer: published, reference, or a file [PARACHUTE_CATALOG; published]"
    )
    serve.add_argument("--origin", help="the public origin [PARACHUTE_HUB_ORIGIN]")
    words.add("status", commands.status, "Show every module and its state.")
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
    upgrade = words.add(
        "upgrade", commands.upgrade, "Upgrade a module; the old version stays until the new one answers."
    )
    for sub in (install, upgrade):
        sub.add_argument("--allow-new", action="store_true", help=_NEW)
        sub.add_argument("--agree", action="store_true", help="grant it the additional permissions it requests")
    named = upgrade.add_argument("module", nargs="?", help="the module's short name")
    named.completer = completion.installed_modules  # type: ignore[attr-defined]
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
    for name, text in _SWITCHES.items():
        module_word(name, restart.restart if name == "restart" else commands.switch, text)
    logs.add_options(words.add("logs", logs.logs, "Show a module's log, or the hub's own."))
    config = module_word("config", commands.config, "Show or change a module's configuration.")
    config.add_argument("assignments", nargs="*", metavar="KEY=VALUE", help="what to change")
    config.add_argument("--test", action="store_true", help="let it try whether it can work with what it has")
    check_up = words.add("doctor", _doctor, "Check this hub and suggest repairs.")
    check_up.add_argument("--fix", action="store_true", help="repair what is safe to repair, without the hub as well")
    for name in commands.REPLACED:
        # Without a line in the help: these are the older hub's words.
        old = words.under.add_parser(name)
        old.add_argument("rest", nargs=REMAINDER)
        old.set_defaults(action=commands.replaced, word=name)


def _doctor(arguments: Namespace) -> int:
    # It imports much of the hub, which takes longer than every other command.
    from parachute_hub.cli.doctor import doctor

    return doctor(arguments)
