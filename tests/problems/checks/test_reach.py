from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.problems.checks.reach import OpenWay, ReachFacts
from tests.support.at_once import at_once


class OpenWayTests(SynchronousTestCase):
    def found(self, **facts: Any) -> list[str]:
        async def told() -> ReachFacts:
            return ReachFacts(**facts)

        return [problem.key for problem in at_once(OpenWay(facts=told).look())]

    def test_a_way_that_leads_here_no_more_and_one_that_is_not_safe(self) -> None:
        for facts, keys in (
            ({}, []),
            ({"trouble": "cloudflared has ended."}, []),
            ({"title": "Caddy"}, []),
            ({"title": "Caddy", "trouble": "caddy has ended."}, ["reach-gone"]),
            ({"title": "Tailscale Funnel", "stuck": "Tailscale did not stop."}, ["reach-stuck"]),
            ({"title": "Caddy", "weak": ("Ada",)}, ["reach-weak"]),
            ({"title": "Caddy", "trouble": "caddy has ended.", "weak": ("Ada",)}, ["reach-gone", "reach-weak"]),
        ):
            self.assertEqual(self.found(**facts), keys, facts)
