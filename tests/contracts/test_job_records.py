from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.jobs.model import Job, Step
from tests.support.at_once import at_once
from tests.support.front_door import FakeInstalls


class JobRecordContract(SynchronousTestCase):
    def test_the_wizards_fake_jobs_have_no_field_that_a_job_lacks(self) -> None:
        """The wizard's pages use these fields."""
        fake = FakeInstalls()
        shown = fake.job(at_once(fake.begin("vault", {})))
        assert shown is not None
        step = Step(name="fetch", started_at=1.0)
        real = Job(id="1", kind="install", short="vault", params={}, started_at=1.0, steps=(step,)).to_json()
        self.assertEqual(set(shown) - set(real), set())
        self.assertEqual(set(shown["steps"][0]) - set(real["steps"][0]), set())
        for name in shown:
            self.assertIs(type(shown[name]), type(real[name]), name)
