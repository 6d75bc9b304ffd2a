"""Where installed packages live: a folder for each version, a link to the active one, switched by rename.

store/<short>/<version>/node_modules/<package>     complete and never changed
node_modules/<package> -> ../store/...             the active version
bin/<command> -> ../node_modules/<package>/<file>  its commands
"""

import contextlib
import itertools
import os
import shutil
import stat
from collections.abc import Iterable
from pathlib import Path

from parachute_hub.modules.definition import names
from parachute_hub.modules.definition.manifests import Package, inside, read_package
from parachute_hub.modules.definition.validation import Invalid
from parachute_hub.system.atomic_files import private_folder, sync_folder
from parachute_hub.system.records import frozen

INCOMING = ".incoming-"
REMOVED = ".removed-"
OLDER = "~older-hub"
"""Ends the name of a version that the older hub installed, and that is not in the store."""

# Interpreters and tools that scripts name in their first line.
_NEVER_COMMANDS = frozenset(
    """bash bun bunx busybox cat chmod cp curl dash deno env git id ls mkdir mv node npm npx parachute perl pnpm ps
    python python3 rm sed setpriv setsid sh sleep sudo tar test tsx twistd uname which yarn zsh""".split()
)


class BadPackage(Exception):
    """The fetched package cannot be used. The text says why."""


@frozen
class FetchedPackage:
    """A verified package in an incoming folder. `size` is in bytes, including dependencies."""

    folder: Path
    package: Package
    size: int


@frozen
class Store:
    """The store in `root` (BUN_INSTALL). `elsewhere` are other `node_modules` folders that may hold packages."""

    root: Path
    elsewhere: tuple[Path, ...] = ()

    def incoming(self, short: str, operation: str) -> Path:
        """A new folder to fetch into, and bun's cache. Install scripts of packages are disabled there. Blocks."""
        private_folder(self.root / "install" / "cache")
        folder = private_folder(self._home(short)) / f"{INCOMING}{operation}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700)
        (folder / "package.json").write_text('{"name": "incoming", "private": true, "trustedDependencies": []}\n')
        return folder

    def verify(self, incoming: Path, package: str) -> FetchedPackage:
        """Verify that the package is present and nothing reaches outside the folder. Raises BadPackage."""
        folder = incoming / "node_modules" / package
        try:
            found = read_package(folder)
        except Invalid as error:
            raise BadPackage(f"The package's package.json cannot be used: {error}.") from None
        if found is None or found.name != package:
            raise BadPackage(f"What was fetched is not the package {package}.")
        if not names.is_version(found.version):
            raise BadPackage("The package's version is not one that can name a folder.")
        return FetchedPackage(folder, found, _inspect(incoming))

    def free_name(self, short: str, version: str) -> str:
        """The folder name for this version; a second copy gets a suffix (`1.0.0~2`)."""
        for number in itertools.count(1):
            name = version if number == 1 else f"{version}~{number}"
            if not (self._home(short) / name).exists():
                return name
        raise AssertionError("unreachable")

    def admit(self, short: str, incoming: Path, name: str) -> None:
        """Rename the incoming folder to its final name. Folders in use never change.

        The content may be lost in a power loss until `os.sync` is called.
        """
        private_folder(self._home(short))
        os.rename(incoming, self._home(short) / name)
        sync_folder(self._home(short))
        if incoming.parent != self._home(short):
            with contextlib.suppress(OSError):
                incoming.parent.rmdir()

    def activate(self, short: str, package: str, folder: str) -> None:
        """Make this version the active one, by one rename. One that the older hub installed is what is left without."""
        link = self.link(package)
        private_folder(link.parent)
        if folder.endswith(OLDER):
            self.deactivate(package)
            return
        target = self.folder(short, package, folder)
        if not os.path.isfile(target / "package.json"):
            raise BadPackage(f"The version {folder} of {short} is not in the store.")
        self._point(link, target)
        self._link_commands(package)

    def link_folder(self, package: str, folder: Path) -> None:
        """Activate a folder outside the store, for module development."""
        private_folder(self.link(package).parent)
        self._point(self.link(package), folder, relative=False)
        self._link_commands(package)

    def deactivate(self, package: str) -> None:
        """Remove the links, so that no version is active."""
        self._unlink_commands(package)
        link = self.link(package)
        if link.is_symlink():
            link.unlink()
        if link.parent.is_dir():
            sync_folder(link.parent)

    def link(self, package: str) -> Path:
        """The path of the active version's link."""
        return self.root / "node_modules" / package

    def lock(self, package: str) -> Path:
        """Where bun wrote down what the active version consists of; nothing is there for a folder outside the store."""
        return self.link(package).resolve().parents[package.count("/") + 1] / "bun.lock"

    def folder(self, short: str, package: str, name: str) -> Path:
        """The package's path in one folder of the store, or where the older hub's bun put it."""
        if name.endswith(OLDER):
            return self.older(package) or self._home(short) / name
        return self._home(short) / name / "node_modules" / package

    def active(self, short: str, package: str) -> str | None:
        """The folder name of the active version; None if there is none or it is outside the store."""
        home = self._home(short)
        if not self.link(package).is_symlink():
            return None
        target = Path(os.path.realpath(self.link(package)))
        if not target.is_relative_to(os.path.realpath(home)):
            return None
        return next(iter(target.relative_to(os.path.realpath(home)).parts), None)

    def locate(self, package: str) -> Path | None:
        """The folder of the installed package: in the store, else where the older hub's bun put it."""
        link = self.link(package)
        return link if os.path.isfile(link / "package.json") else self.older(package)

    def older(self, package: str) -> Path | None:
        """The folder of the package where the older hub's bun put it, if it is still there."""
        folders = (self.root / "install" / "global" / "node_modules", *self.elsewhere)
        return next((one / package for one in folders if os.path.isfile(one / package / "package.json")), None)

    def versions(self, short: str) -> tuple[str, ...]:
        """The folder names of all versions, oldest first."""
        home = self._home(short)
        if not home.is_dir():
            return ()
        found = [entry for entry in os.scandir(home) if entry.is_dir() and not entry.name.startswith(".")]
        return tuple(entry.name for entry in sorted(found, key=lambda entry: entry.stat().st_mtime))

    def prune(self, short: str, keep: Iterable[str | None]) -> tuple[str, ...]:
        """Delete all versions except `keep`. Returns the names deleted."""
        wanted = set(keep)
        gone = tuple(name for name in self.versions(short) if name not in wanted)
        for name in gone:
            self.discard(short, name)
        return gone

    def discard(self, short: str, folder: str) -> None:
        """Delete a folder, renaming it first so that no partial version remains."""
        home = self._home(short)
        if not (home / folder).exists():
            return
        hidden = home / f"{REMOVED}{folder}"
        shutil.rmtree(hidden, ignore_errors=True)
        os.rename(home / folder, hidden)
        sync_folder(home)
        shutil.rmtree(hidden, ignore_errors=True)

    def hide(self, short: str) -> None:
        """Set all versions of a module aside, until `reveal` or `forget`."""
        if self._home(short).is_dir():
            os.rename(self._home(short), self._hidden(short))
            sync_folder(self.root / "store")

    def reveal(self, short: str) -> None:
        """Restore what `hide` set aside."""
        if self._hidden(short).is_dir() and not self._home(short).exists():
            os.rename(self._hidden(short), self._home(short))
            sync_folder(self.root / "store")

    def forget(self, short: str) -> None:
        """Delete what `hide` set aside."""
        shutil.rmtree(self._hidden(short), ignore_errors=True)

    def sweep(self) -> tuple[str, ...]:
        """Delete leftovers of interrupted operations and return their names. Called at boot, after undoing."""
        left = [
            path
            for pattern in (f"{REMOVED}*", f"*/{INCOMING}*", f"*/{REMOVED}*")
            for path in (self.root / "store").glob(pattern)
        ]
        for path in left:
            shutil.rmtree(path, ignore_errors=True)
        for pattern in (".*.tmp", "@*/.*.tmp"):
            for link in (self.root / "node_modules").glob(pattern):
                link.unlink()
        return tuple(str(path.relative_to(self.root)) for path in left)

    def _home(self, short: str) -> Path:
        return self.root / "store" / short

    def _hidden(self, short: str) -> Path:
        return self.root / "store" / f"{REMOVED}{short}"

    def _point(self, link: Path, target: Path, *, relative: bool = True) -> None:
        if link.is_dir() and not link.is_symlink():
            raise BadPackage(f"{link} is a folder and not ours. Move it away, then try again.")
        text = os.path.relpath(target, link.parent) if relative else str(target)
        if not link.is_symlink() or os.readlink(link) != text:
            temporary = link.with_name(f".{link.name}.{os.getpid()}.tmp")
            temporary.unlink(missing_ok=True)
            os.symlink(text, temporary)
            try:
                os.replace(temporary, link)
            except OSError:
                temporary.unlink()
                raise
        sync_folder(link.parent)

    def _link_commands(self, package: str) -> None:
        """Update the package's links in `bin`; correct ones stay."""
        commands = private_folder(self.root / "bin")
        ours = self._commands(package)
        found = read_package(self.link(package))
        wanted = {
            commands / command: os.path.relpath(self.link(package) / file, commands)
            for command, file in (found.bins if found else {}).items()
            if inside(self.link(package), file) and "/" not in command and command not in _NEVER_COMMANDS
        }
        for place in ours.keys() - wanted.keys():
            place.unlink()
        for place, text in wanted.items():
            if ours.get(place) != text and (place in ours or not place.exists()):
                place.unlink(missing_ok=True)
                os.symlink(text, place)
        sync_folder(commands)

    def _unlink_commands(self, package: str) -> None:
        for place in self._commands(package):
            place.unlink()
        if (self.root / "bin").is_dir():
            sync_folder(self.root / "bin")

    def _commands(self, package: str) -> dict[Path, str]:
        """The links that lead to this package, and their targets."""
        beginning = os.path.join("..", "node_modules", package, "")
        links = {place: os.readlink(place) for place in (self.root / "bin").glob("*") if place.is_symlink()}
        return {place: text for place, text in links.items() if text.startswith(beginning)}


def _inspect(root: Path) -> int:
    """Total bytes of all files. Raises BadPackage for links that lead out, set-id bits and devices."""
    real = os.path.realpath(root)
    waiting, size = [str(root)], 0
    while waiting:
        for entry in list(os.scandir(waiting.pop())):
            if entry.is_symlink():
                if os.path.commonpath((real, os.path.realpath(entry.path))) != real:
                    raise _held(root, entry, "a link that leads out of it")
            elif entry.is_dir(follow_symlinks=False):
                waiting.append(entry.path)
            elif not entry.is_file(follow_symlinks=False):
                raise _held(root, entry, "something that is neither a file nor a folder")
            else:
                found = entry.stat(follow_symlinks=False)
                if found.st_mode & (stat.S_ISUID | stat.S_ISGID):
                    raise _held(root, entry, "a file that runs as another user")
                size += found.st_size
    return size


def _held(root: Path, entry: "os.DirEntry[str]", kind: str) -> BadPackage:
    return BadPackage(f"The package holds {kind}: {os.path.relpath(entry.path, root)}.")
