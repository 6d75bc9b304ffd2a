"""docs/hosting.md agrees with the script that computes its table, and with the manifests."""

import re

from twisted.trial.unittest import SynchronousTestCase

from bench.hosting import TENANTS, Measured, Prices, Tenants, costs, hubs_per_node
from tests.support.documents import ROOT

PAGE = (ROOT / "docs" / "hosting.md").read_text()
HUB = Measured(memory=63, used_memory=79, processor=0.0003, work=0.0015, disk=52)


class HostingTests(SynchronousTestCase):
    def test_the_table_is_what_the_script_computes(self) -> None:
        rows = re.findall(r"(?m)^\| ([\d,]+) \| ([\d,]+) \| ([\d,]+) \| ([\d,]+) \| ([\d,]+) \|$", PAGE)
        found = [tuple(int(cell.replace(",", "")) for cell in row) for row in rows]
        expected = [(count, *(round(cost.sum) for cost in costs(count, HUB))) for count in TENANTS]
        self.assertEqual(found, expected)
        self.assertIn("took 63 MB idle and at most\n79 MB", PAGE)

    def test_what_bounds_a_machine(self) -> None:
        many = Prices(node_volumes=1_000)
        for use, prices, expected in (
            (Tenants(), Prices(), (15, "volumes")),
            (Tenants(), many, (40, "memory")),
            (Tenants(requests=5_000_000), many, (17, "processors")),
            (Tenants(requests=1e12), many, (1, "processors")),
        ):
            self.assertEqual(hubs_per_node(HUB, use, prices), expected)

    def test_the_overlay_patches_what_is_there(self) -> None:
        overlay = re.findall(r"(?s)```yaml\n(.*?)```", PAGE)[0]
        for name in ("parachute-hub", "ghcr.io/owner/repository"):
            self.assertIn(name, overlay)
            self.assertIn(name, (ROOT / "deploy/kubernetes/hub/kustomization.yaml").read_text())
        ingress = (ROOT / "deploy/kubernetes/hub/network.yaml").read_text()
        self.assertEqual(ingress.count("hub.example.com"), overlay.count("path: /spec"))
