"""`parachute login` with a real hub: from a machine in another network, and by the browser of this one."""

import os
import subprocess
import sys
import threading
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.cli.client import HubClient
from parachute_hub.cli.profiles import Profile, Profiles
from parachute_hub.cli.remote import RemoteHub, Site
from parachute_hub.cli.sign_in import by_browser
from tests.live.harness import ROOT, fetch, hub
from tests.live.oauth_rig import Person
from tests.requirements import program, requires, right


class RemoteCommandTests(SynchronousTestCase):
    @requires(program("ip"), program("nsenter"), right("to make namespaces"))
    def test_from_a_machine_in_another_network(self) -> None:
        """Device code, step-up by the browser, and signing out; what is kept is for this user alone."""
        words = ["unshare", "--net"] + (["--map-root-user"] if os.geteuid() else [])
        words += [sys.executable, "-m", "twisted.trial", "--temp-directory", str(Path(self.mktemp()).absolute())]
        inside = subprocess.run(
            [*words, "tests.live.remote_two_machines"], cwd=ROOT, capture_output=True, text=True, timeout=170
        )
        self.assertEqual(inside.returncode, 0, inside.stdout + inside.stderr)
        self.assertIn("Ran 1 tests", inside.stdout)

    def test_by_the_browser(self) -> None:
        """PKCE with a loopback address; the tokens run the hub, and are renewed."""
        process = hub(self).start()
        person = Person(process.url).sign_in()

        def browse(url: str) -> None:
            thread = threading.Thread(target=lambda: fetch(person.allow(url)))
            thread.start()
            self.addCleanup(thread.join)

        said: list[str] = []
        held = by_browser(Site(process.url), said.append, browse)
        self.assertNotIn(held.access_token, "".join(said))
        store = Profiles(Path(self.mktemp()).absolute())
        profile = Profile("here", process.url)
        store.put(profile, held)
        client = HubClient(RemoteHub(profile, store))
        self.assertTrue(client.running)
        self.assertEqual(client.call("GET", "/api/modules/operations")["operations"], [])
        renewed = RemoteHub(profile, store)._renewed(held)
        self.assertNotEqual(renewed.access_token, held.access_token)
