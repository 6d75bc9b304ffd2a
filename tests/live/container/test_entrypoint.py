"""What happens before the hub runs: whose the disk becomes, who the hub runs as, what it can write."""

import os

import yaml

from tests.live.container.case import ContainerTestCase
from tests.live.container.disk import Disk
from tests.live.container.image import REPOSITORY

_STRANGER = 4242
_GIVEN = "parachute: giving /parachute to uid 1000"


class EntrypointTests(ContainerTestCase):
    """A small command stands where the hub's would."""

    def said(self, disk: Disk, script: str, user: int = 0) -> list[str]:
        """The lines that a container running `script` printed; it must end well."""
        box = self.box(disk, command=("sh", "-ec", script), user=user)
        self.assertEqual(box.ended(), 0, box.log())
        return box.log().splitlines()

    def test_a_new_disk_becomes_ours(self) -> None:
        disk = self.disk()
        self.assertEqual(disk.owners(), {(0, 0)})
        said = self.said(disk, "id -u; id -G; echo $HOME; pwd; echo > $TMPDIR/x; echo > $BUN_INSTALL_BIN/x")
        self.assertEqual(said, [_GIVEN, "1000", "1000", "/parachute", "/opt/parachute"])
        self.assertEqual(disk.owners(), {(1000, 1000)})

    def test_a_restored_disk_becomes_ours(self) -> None:
        """Also below private folders; a link is changed itself, not what it points to."""
        disk = self.disk()
        data = disk.path / "vault" / "data"
        data.mkdir(parents=True)
        (data / "notes.db").write_text("kept\n")
        (disk.path / "link").symlink_to("/etc/passwd")
        for path in (disk.path, disk.path / "link", data, data / "notes.db"):
            os.chown(path, _STRANGER, _STRANGER, follow_symlinks=False)
        (data / "notes.db").chmod(0o600)
        data.chmod(0o700)
        said = self.said(disk, "cat /parachute/vault/data/notes.db; stat -c %u /etc/passwd")
        self.assertEqual(said, [_GIVEN, "kept", "0"])
        self.assertEqual(disk.owners(), {(1000, 1000)})

    def test_a_disk_that_is_ours_is_not_written(self) -> None:
        disk = self.disk()
        self.said(disk, "mkdir -p $HOME/vault && echo note > $HOME/vault/note")
        before = {path: path.lstat().st_ctime_ns for path in disk.path.rglob("*")}
        self.assertEqual(self.said(disk, "cat $HOME/vault/note"), ["note"])
        self.assertEqual({path: path.lstat().st_ctime_ns for path in before}, before)

    def test_the_capabilities_of_compose_are_enough(self) -> None:
        """Also for a private folder of another user, and to end what runs as ours."""
        hub = yaml.safe_load((REPOSITORY / "compose.yaml").read_text())["services"]["hub"]
        disk = self.disk()
        private = disk.path / "vault"
        private.mkdir(mode=0o700)
        (private / "note").write_text("kept")
        for path in (private, private / "note"):
            os.chown(path, _STRANGER, _STRANGER)
        capabilities = [name.lower() for name in hub["cap_add"]]
        box = self.box(disk, command=("sleep", "60"), capabilities=capabilities)
        self.wait_until(lambda: disk.owners() == {(1000, 1000)} and (disk.path / "tmp").exists())
        code, seconds = box.stop()
        self.assertEqual((code, box.log()), (0, f"{_GIVEN}\n"))
        self.assertLess(seconds, 5)

    def test_without_root_it_runs_as_it_is(self) -> None:
        disk = self.disk()
        os.chown(disk.path, 1000, 1000)
        self.assertEqual(self.said(disk, "id -u; echo > $TMPDIR/x", user=1000), ["1000"])

    def test_without_root_on_another_s_disk_it_says_so(self) -> None:
        box = self.box(self.disk(), command=("true",), user=_STRANGER)
        box.ended()
        self.assertIn("parachute: cannot create folders in /parachute: is the disk full, or another user's?", box.log())

    def test_no_way_back_to_root_and_nothing_to_write_but_the_home(self) -> None:
        status = "grep -E '^(NoNewPrivs|CapPrm|CapEff|CapInh|CapAmb):' /proc/self/status"
        writable = "find / -xdev -writable ! -type l 2>/dev/null || true"
        said = self.said(self.disk(), f"{status}; {writable}")
        capabilities = [f"{name}:\t{0:016x}" for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")]
        self.assertEqual(said, [_GIVEN, *capabilities, "NoNewPrivs:\t1", "/parachute"])
        self.assertEqual(
            self.said(self.disk(), "! touch /opt/parachute/x 2>&1")[-1].rpartition(": ")[2], "Read-only file system"
        )

    def test_the_image_holds_no_module(self) -> None:
        find = "find / -xdev '(' -name node_modules -o -name '*openparachute*' ')' 2>/dev/null || true"
        said = self.said(self.disk(), f"{find}; bun --version")
        self.assertEqual(len(said), 2, said)
        self.assertRegex(said[-1], r"^\d+\.\d+\.\d+$")

    def test_the_list_of_plugins_needs_no_writing(self) -> None:
        said = self.said(self.disk(), "twistd --help | grep -c '^ *parachute '; cat /proc/1/comm; stat -c %u /proc/1")
        self.assertEqual(said, [_GIVEN, "1", "tini", "0"])
