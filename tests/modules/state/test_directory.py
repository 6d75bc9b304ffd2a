"""What the hub says of installed modules follows its files at once."""

from twisted.trial.unittest import SynchronousTestCase

from tests.modules.homes import Home


class DirectoryTests(SynchronousTestCase):
    def test_rows_are_worked_out_again_once_a_file_has_changed(self) -> None:
        """Checks ask for them many times a minute, and nothing changes for weeks."""
        home = Home(self.mktemp())
        directory = home.directory
        self.assertEqual(directory.installed(), ())
        home.register()
        rows = directory.installed()
        self.assertEqual([(row.name, row.port) for row in rows], [("toys-toy", 2711)])
        self.assertIs(directory.installed(), rows)
        home.records.change("toy", port=2712)
        self.assertEqual([row.port for row in directory.installed()], [2712])
        home.register("other", 2800, installed=False)
        self.assertEqual(len(directory.installed()), 1)
        self.assertEqual([row.name for row in directory.strangers()], ["other"])
        home.records.put("toy", None)
        self.assertEqual(directory.installed(), ())
