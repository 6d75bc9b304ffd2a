"""Words that work without the API, or for the whole hub: lock, module, auth, completion."""

from argparse import Namespace

from parachute_hub.cli import commands, completion, lock, module_dev, module_host, module_new, recovery
from parachute_hub.cli.grammar import Words, path_of


def add_words(words: Words) -> None:
    """Add them to the grammar."""
    lock.add_word(words)
    module = words.group("module", "For module authors.")
    module_new.add_options(module.add("new", module_new.new, "Make a working module from a template."))
    module_dev.add_options(
        module.add("dev", module_dev.dev, "Run a module's folder behind a hub, and again as its files change.")
    )
    module_host.add_options(
        module.add("host", module_host.host, "Run one module alone on this machine, for a hub on another.")
    )
    for name, action, text in (
        ("test", module_dev.test, "Run a module's own tests, with the bun of the hub."),
        ("kit", module_new.kit, "Write code for any module into its folder: hub tokens, files, tests."),
    ):
        sub = module.add(name, action, text)
        sub.add_argument("folder", nargs="?", type=path_of, default=".", help="the module's folder [.]")
    check = module.add("check", commands.check, "Check a module folder before publishing it.")
    check.add_argument("folder", type=path_of, help="where its package.json is")
    auth = words.group("auth", "Recover accounts from this machine.")
    auth.add("reset-owner", recovery.reset_owner, "Give the owner a new password (a way back in).")
    shells = words.add("completion", _completion, "Print what a shell needs to complete words and names.")
    shells.add_argument("shell", choices=completion.SHELLS, help="your shell")


def _completion(arguments: Namespace) -> int:
    print(completion.script(arguments.shell))
    return 0
