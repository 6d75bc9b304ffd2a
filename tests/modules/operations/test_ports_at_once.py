"""Two modules that are installed at the same time."""

from pathlib import Path

from parachute_hub.modules.operations.install import InstallRequest
from parachute_hub.system.file_writer import FileWriter
from tests.admin.test_modules_api import ApiCase
from tests.live.modules_rig import module
from tests.modules.homes import write
from tests.support.later import Later


class PortsAtOnceTests(ApiCase):
    def files_writer(self) -> FileWriter:
        self.later = Later()
        return FileWriter(self.later)

    def test_both_get_a_port_of_their_own(self) -> None:
        """Both want the same one, and decide before either is written down."""
        for short in ("one", "two"):
            folder = write(Path(self.mktemp()).absolute(), module(short, port=2711))
            self.modules.installer.install(InstallRequest(short=short, folder=folder))
        for _ in range(20):
            self.later.go()
            self.clock.advance(1)
        records = self.files.directory.records
        ports = {records.get(short).port for short in ("one", "two")}
        self.assertEqual(len(ports), 2, [job.to_json() for job in self.modules.jobs.all()])
        self.assertIn(2711, ports)
        self.assertEqual({row.port for row in self.files.directory.installed()}, ports)
