"""Before the hub runs: ownership of the disk, the hub's user, what it can write."""

import os
from pathlib import Path

from tests.live.container.case import ContainerTestCase

_STRANGER = 4242
_GIVEN = "parachute: giving /parachute to uid 1000"


class EntrypointTests(ContainerTestCase):
    """A small command replaces the hub's."""

    def said(self, home: Path, script: str, user: int = 0) -> list[str]:
        """The lines printed by a container running `script`, which must succeed."""
        hub = self.container(home, command=("sh", "-ec", script), user=user)
        self.assertEqual(hub.ended(), 0, hub.log())
        return hub.log().splitlines()

    def test_a_new_disk_becomes_ours(self) -> None:
        disk = self.folder()
        self.assertEqual(owners(disk), {(0, 0)})
        said = self.said(disk, "id -u; id -G; echo $HOME; pwd; echo > $TMPDIR/x; echo > $BUN_INSTALL_BIN/x")
        self.assertEqual(said, [_GIVEN, "1000", "1000", "/parachute", "/opt/parachute"])
        self.assertEqual(owners(disk), {(1000, 1000)})

    def test_a_restored_disk_becomes_ours(self) -> None:
        """Also inside private folders; links themselves are changed, not their targets."""
        disk = self.folder()
        data = disk / "vault" / "data"
        data.mkdir(parents=True)
        (data / "notes.db").write_text("kept\n")
        (disk / "link").symlink_to("/etc/passwd")
        for path in (disk, disk / "link", data, data / "notes.db"):
            os.chown(path, _STRANGER, _STRANGER, follow_symlinks=False)
        (data / "notes.db").chmod(0o600)
        data.chmod(0o700)
        said = self.said(disk, "cat /parachute/vault/data/notes.db; stat -c %u /etc/passwd")
        self.assertEqual(said, [_GIVEN, "kept", "0"])
        self.assertEqual(owners(disk), {(1000, 1000)})

    def test_a_disk_that_is_ours_is_not_written(self) -> None:
        disk = self.folder()
        self.said(disk, "mkdir -p $HOME/vault && echo note > $HOME/vault/note")
        before = {path: path.lstat().st_ctime_ns for path in disk.rglob("*")}
        self.assertEqual(self.said(disk, "cat $HOME/vault/note"), ["note"])
        self.assertEqual({path: path.lstat().st_ctime_ns for path in before}, before)

    def test_a_private_folder_of_another_user_becomes_ours(self) -> None:
        """compose.yaml's capabilities suffice for it, and for stopping our processes."""
        disk = self.folder()
        private = disk / "vault"
        private.mkdir(mode=0o700)
        (private / "note").write_text("kept")
        for path in (private, private / "note"):
            os.chown(path, _STRANGER, _STRANGER)
        hub = self.container(disk, command=("sleep", "60"))
        self.wait_until(lambda: owners(disk) == {(1000, 1000)} and (disk / "tmp").exists())
        code, seconds = hub.stop()
        self.assertEqual((code, hub.log()), (0, f"{_GIVEN}\n"))
        self.assertLess(seconds, 5)

    def test_without_root_it_runs_as_it_is(self) -> None:
        disk = self.folder()
        os.chown(disk, 1000, 1000)
        self.assertEqual(self.said(disk, "id -u; echo > $TMPDIR/x", user=1000), ["1000"])

    def test_without_root_on_another_s_disk_it_says_so(self) -> None:
        hub = self.container(self.folder(), command=("true",), user=_STRANGER)
        hub.ended()
        self.assertIn("parachute: cannot create folders in /parachute: is the disk full, or another user's?", hub.log())

    def test_no_way_back_to_root_and_nothing_to_write_but_the_home(self) -> None:
        status = "grep -E '^(NoNewPrivs|CapPrm|CapEff|CapInh|CapAmb):' /proc/self/status"
        writable = "find / -xdev -writable ! -type l 2>/dev/null || true"
        said = self.said(self.folder(), f"{status}; {writable}")
        capabilities = [f"{name}:\t{0:016x}" for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")]
        self.assertEqual(said, [_GIVEN, *capabilities, "NoNewPrivs:\t1", "/parachute"])
        self.assertEqual(
            self.said(self.folder(), "! touch /opt/parachute/x 2>&1")[-1].rpartition(": ")[2], "Read-only file system"
        )

    def test_the_image_holds_no_module(self) -> None:
        find = "find / -xdev '(' -name node_modules -o -name '*openparachute*' ')' 2>/dev/null || true"
        said = self.said(self.folder(), f"{find}; bun --version")
        self.assertEqual(len(said), 2, said)
        self.assertRegex(said[-1], r"^\d+\.\d+\.\d+$")

    def test_the_list_of_plugins_needs_no_writing(self) -> None:
        said = self.said(self.folder(), "twistd --help | grep -c '^ *parachute '; cat /proc/1/comm; stat -c %u /proc/1")
        self.assertEqual(said, [_GIVEN, "1", "tini", "0"])


def owners(folder: Path) -> set[tuple[int, int]]:
    """Every pair of user and group id that owns something in it."""
    return {(found.lstat().st_uid, found.lstat().st_gid) for found in (folder, *folder.rglob("*"))}
