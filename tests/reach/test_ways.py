"""The plan for each way: what would run, and why it cannot."""

from collections.abc import Mapping
from typing import Any

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.reach.findings import Cloudflared, Facts, Program, Served, Tailscale
from parachute_hub.reach.ways import BY_ID, WAYS, Plan, Situation, host_problem, name_problem, plan

NAME = "laptop.tail1234.ts.net"
FACTS = Facts(
    programs={
        "tailscale": Program(path="/usr/bin/tailscale", version=(1, 102, 4)),
        "cloudflared": Program(path="/usr/bin/cloudflared", version=(2026, 8, 1)),
        "caddy": Program(path="/usr/bin/caddy", version=(2, 10, 2)),
    },
    tailscale=Tailscale(state="running", name=NAME, has_https=True),
    cloudflared=Cloudflared(signed_in=True),
    addresses=("192.168.1.5",),
)
HERE = Situation(port=1939, folder="/home/ada/.parachute/hub/reach")
HOST = {"host": "hub.example.com"}


def planned(way: str, facts: Facts = FACTS, here: Situation = HERE, given: Mapping[str, str] = HOST) -> Plan:
    return plan(BY_ID[way], facts, here, given)


class PlanTests(SynchronousTestCase):
    def test_what_would_run(self) -> None:
        target, folder = "http://127.0.0.1:1939", HERE.folder
        for way, origin, commands, undo in (
            (
                "tailscale-serve",
                f"https://{NAME}",
                [f"/usr/bin/tailscale serve --bg --https=443 {target}"],
                ["/usr/bin/tailscale serve --https=443 off"],
            ),
            (
                "tailscale-funnel",
                f"https://{NAME}",
                [f"/usr/bin/tailscale funnel --bg --https=443 {target}"],
                ["/usr/bin/tailscale funnel --https=443 off"],
            ),
            ("cloudflare-quick", "", [f"/usr/bin/cloudflared tunnel --no-autoupdate --url {target}"], []),
            (
                "cloudflare-named",
                "https://hub.example.com",
                [
                    "/usr/bin/cloudflared tunnel create parachute-hub",
                    "/usr/bin/cloudflared tunnel route dns parachute-hub hub.example.com",
                    f"/usr/bin/cloudflared tunnel --config {folder}/cloudflared.yml --no-autoupdate run parachute-hub",
                ],
                ["/usr/bin/cloudflared tunnel delete -f parachute-hub"],
            ),
            (
                "caddy",
                "https://hub.example.com",
                [f"/usr/bin/caddy run --config {folder}/Caddyfile --adapter caddyfile"],
                [],
            ),
            ("lan", "https://parachute.local:8443", [], []),
        ):
            found = planned(way)
            self.assertEqual((found.refused, found.wrong, found.origin), ("", "", origin), way)
            self.assertEqual([" ".join(command) for command in found.commands], commands)
            self.assertEqual([" ".join(command) for command in found.undo], undo)
            self.assertTrue(found.public, way)

    def test_every_way_is_refused_where_no_way_is_right(self) -> None:
        for here, told in (
            (evolve(HERE, has_owner=False), "not set up"),
            (evolve(HERE, proxied="This hub runs at Render"), "Render"),
            (evolve(HERE, active="lan"), "open"),
        ):
            for way in WAYS:
                self.assertIn(told, planned(way.id, here=here).refused, (way.id, told))

    def test_what_is_missing(self) -> None:
        old = {**FACTS.programs, "tailscale": Program(path="/usr/bin/tailscale", version=(1, 50, 1))}
        silent = {**FACTS.programs, "tailscale": Program(path="/usr/bin/tailscale")}
        cases: tuple[tuple[str, dict[str, Any], str], ...] = (
            ("tailscale-serve", {"programs": {}}, "Tailscale is not installed"),
            ("tailscale-serve", {"programs": old}, "1.50.1 is too old"),
            ("tailscale-serve", {"programs": silent}, ""),
            ("tailscale-serve", {"tailscale": Tailscale()}, "does not run"),
            ("tailscale-serve", {"tailscale": Tailscale(state="signed-out")}, "not signed in"),
            ("tailscale-serve", {"tailscale": Tailscale(state="stopped", name=NAME)}, "switched off"),
            ("tailscale-serve", {"tailscale": Tailscale(state="running", has_https=True)}, "no name"),
            ("tailscale-serve", {"tailscale": Tailscale(state="running", name=NAME)}, "no HTTPS certificates"),
            ("tailscale-serve", {"served": Served(proxy="http://127.0.0.1:3000")}, "something else"),
            ("tailscale-serve", {"served": Served(other=True)}, "something else"),
            ("tailscale-serve", {"served": Served(known=False)}, "did not say"),
            ("tailscale-serve", {"served": Served(proxy="http://127.0.0.1:1939", funnel=True)}, "something else"),
            ("tailscale-funnel", {"served": Served(proxy="http://127.0.0.1:1939", funnel=True)}, ""),
            ("cloudflare-named", {"cloudflared": Cloudflared()}, "not signed in"),
            ("cloudflare-named", {"cloudflared": Cloudflared(signed_in=True, has_config=True)}, ""),
            ("cloudflare-quick", {"cloudflared": Cloudflared()}, ""),
            ("cloudflare-quick", {"cloudflared": Cloudflared(has_config=True)}, "configuration of its own"),
            ("caddy", {"programs": {}}, "Caddy is not installed"),
            ("lan", {"programs": {}}, ""),
            ("lan", {"addresses": ()}, "not on a network"),
            ("lan", {"can_announce": False}, "zeroconf"),
        )
        for way, change, told in cases:
            refused = planned(way, evolve(FACTS, **change)).refused
            self.assertTrue(told in refused if told else not refused, f"{way} {change}: {refused}")

    def test_a_public_way_needs_a_second_factor_of_every_owner(self) -> None:
        here = evolve(HERE, without_factor=("Ada", "Grace"))
        for way in WAYS:
            refused = planned(way.id, here=here).refused
            self.assertEqual("Ada, Grace" in refused, way.audience == "internet", way.id)

    def test_what_tailscale_does_already_is_not_done_again(self) -> None:
        found = planned("tailscale-serve", evolve(FACTS, served=Served(proxy="http://127.0.0.1:1939")))
        self.assertEqual((found.refused, found.runs_already), ("", True))

    def test_a_caddy_that_runs_is_left_to_its_person(self) -> None:
        found = planned("caddy", evolve(FACTS, caddy_runs=True))
        self.assertEqual((found.by_hand, found.stays), (True, False))
        self.assertEqual(found.config, "hub.example.com {\n\treverse_proxy 127.0.0.1:1939\n}\n")

    def test_what_becomes_public_is_told(self) -> None:
        told = " ".join(planned("tailscale-funnel", here=evolve(HERE, open_pages=["Blog"])).public)
        for word in ("Anybody on the internet", "sign-in page", "no sign-in: Blog", "lists of certificates"):
            self.assertIn(word, told)
        self.assertNotIn("certificates", " ".join(planned("lan").public))


class ChoiceTests(SynchronousTestCase):
    def test_nothing_that_a_person_types_becomes_an_option_or_a_line(self) -> None:
        for host in (
            "",
            "-f",
            "--config=/etc/passwd",
            "a b.example",
            "hub.example.com\n}",
            "hub",
            "10.0.0.1",
            "x..y",
            "parachute.local",
            "a.localhost",
            "hub_1.example.com",
            "{env.SECRET}.example.com",
            "a" * 64 + ".example",
        ):
            self.assertTrue(host_problem(host), host)
            for way in ("caddy", "cloudflare-named"):
                self.assertTrue(planned(way, given={"host": host}).wrong, host)
        for host in ("hub.example.com", "xn--bcher-kva.example", "a-1.b.co"):
            self.assertEqual(host_problem(host), "", host)
        self.assertEqual(planned("caddy", given={"host": " Hub.Example.COM "}).origin, "https://hub.example.com")

    def test_local_names(self) -> None:
        for name in ("-a", "a.b", "a b", "x" * 64, "ä"):
            self.assertTrue(name_problem(name), name)
            self.assertTrue(planned("lan", given={"name": name}).wrong)
        self.assertEqual(planned("lan", given={"name": "Notes"}).origin, "https://notes.local:8443")
