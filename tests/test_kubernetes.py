"""The manifests in deploy/kubernetes: valid, restricted, and in agreement with the image and each other.

`kubectl kustomize` is not needed: `rendered` does what our kustomizations ask for, and refuses everything else.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import kubernetes_validate
import yaml
from twisted.trial.unittest import SynchronousTestCase

from tests.support.documents import ROOT

TOP = ROOT / "deploy" / "kubernetes"
VERSIONS = ("1.33", "1.35", "1.37")
Document = dict[str, Any]
_KNOWN = {"apiVersion", "kind", "namespace", "resources", "labels", "images", "configMapGenerator"}
# Kinds that belong to no namespace.
_CLUSTER = {"Namespace"}


def rendered(folder: Path) -> list[Document]:
    """The documents of a kustomization."""
    told: Document = yaml.safe_load((folder / "kustomization.yaml").read_text())
    assert set(told) <= _KNOWN, set(told) - _KNOWN
    found = [each for name in told["resources"] for each in _resource(folder / name)]
    for made in told.get("configMapGenerator", ()):
        data = dict(literal.split("=", 1) for literal in made["literals"])
        found.append({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": made["name"]}, "data": data})
    images = {image["name"]: f"{image['newName']}:{image['newTag']}" for image in told.get("images", ())}
    for document in found:
        if document["kind"] not in _CLUSTER:
            document["metadata"]["namespace"] = told["namespace"]
        for group in told.get("labels", ()):
            document["metadata"]["labels"] = {**group["pairs"], **document["metadata"].get("labels", {})}
        for container in containers(document):
            container["image"] = images.get(container["image"], container["image"])
    return found


def _resource(path: Path) -> list[Document]:
    return rendered(path.resolve()) if path.is_dir() else [*yaml.safe_load_all(path.read_text())]


def containers(document: Document) -> list[Document]:
    """The containers of a workload."""
    pod = document["spec"].get("template", {}).get("spec", {}) if document["kind"] == "StatefulSet" else {}
    return [*pod.get("containers", ()), *pod.get("initContainers", ())]


def unrestricted(pod: Document) -> Iterator[str]:
    """What the pod security standard `restricted` does not allow."""
    own = pod.get("securityContext", {})
    for name in ("hostNetwork", "hostPID", "hostIPC"):
        if pod.get(name):
            yield name
    for volume in pod.get("volumes", ()):
        if not {*volume} - {"name"} <= {"configMap", "emptyDir", "persistentVolumeClaim", "projected", "secret"}:
            yield f"volume {volume['name']}"
    for container in [*pod["containers"], *pod.get("initContainers", ())]:
        context = {**own, **container.get("securityContext", {})}
        if not context.get("runAsNonRoot") or context.get("runAsUser") == 0:
            yield "root"
        if context.get("seccompProfile", {}).get("type") not in ("RuntimeDefault", "Localhost"):
            yield "seccompProfile"
        if context.get("allowPrivilegeEscalation") is not False or context.get("privileged"):
            yield "privileges"
        capabilities = context.get("capabilities", {})
        if capabilities.get("drop") != ["ALL"] or set(capabilities.get("add", ())) - {"NET_BIND_SERVICE"}:
            yield "capabilities"
        if any("hostPort" in port for port in container.get("ports", ())):
            yield "hostPort"


def selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    wanted: Mapping[str, str] = selector.get("matchLabels", selector)
    return wanted.items() <= labels.items()


class ManifestTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.all = rendered(TOP / "split")
        self.sets = {each["metadata"]["name"]: each for each in self.kind("StatefulSet")}

    def kind(self, kind: str) -> list[Document]:
        return [each for each in self.all if each["kind"] == kind]

    def pods(self) -> Sequence[tuple[str, Document]]:
        return [(name, each["spec"]["template"]) for name, each in self.sets.items()]

    def test_each_document_is_valid(self) -> None:
        for folder in ("hub", "module-host", "split"):
            for document in rendered(TOP / folder):
                for version in VERSIONS:
                    kubernetes_validate.validate(document, version, strict=True)
        with self.assertRaises(kubernetes_validate.ValidationError):
            kubernetes_validate.validate({**self.all[0], "kind": "Namespace", "spec": 1}, VERSIONS[0], strict=True)

    def test_nothing_is_there_twice_and_everything_has_the_namespace(self) -> None:
        names = [(each["kind"], each["metadata"]["name"]) for each in self.all]
        self.assertEqual(len({*names}), len(names))
        [namespace] = self.kind("Namespace")
        self.assertEqual(namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"], "restricted")
        homes = {each["metadata"].get("namespace") for each in self.all if each["kind"] != "Namespace"}
        self.assertEqual(homes, {namespace["metadata"]["name"]})

    def test_the_pods_are_restricted(self) -> None:
        self.assertEqual([*self.sets], ["parachute", "parachute-vault"])
        for name, pod in self.pods():
            self.assertEqual([*unrestricted(pod["spec"])], [], name)
            [container] = pod["spec"]["containers"]
            self.assertTrue(container["securityContext"]["readOnlyRootFilesystem"], name)
            self.assertFalse(pod["spec"]["automountServiceAccountToken"], name)
            # A Service named parachute would set PARACHUTE_PORT and others.
            self.assertFalse(pod["spec"]["enableServiceLinks"], name)
        loose = {"containers": [{"securityContext": {"privileged": True}, "ports": [{"hostPort": 1}]}], "hostPID": True}
        told = ["hostPID", "root", "seccompProfile", "privileges", "capabilities", "hostPort"]
        self.assertEqual([*unrestricted(loose)], told)

    def test_one_home_on_one_volume(self) -> None:
        compose = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]["hub"]
        for name, each in self.sets.items():
            self.assertEqual(each["spec"]["replicas"], 1, name)
            [claim] = each["spec"]["volumeClaimTemplates"]
            [mount] = each["spec"]["template"]["spec"]["containers"][0]["volumeMounts"]
            self.assertEqual(
                (mount["name"], claim["spec"]["accessModes"]), (claim["metadata"]["name"], ["ReadWriteOnce"])
            )
            self.assertEqual([f"parachute-home:{mount['mountPath']}"], compose["volumes"])
            grace = each["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
            self.assertEqual(f"{grace}s", compose["stop_grace_period"], name)
        limits = self.sets["parachute"]["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]
        self.assertEqual(limits["memory"].removesuffix("Mi"), compose["mem_limit"].removesuffix("m"))

    def test_ports_and_probes_agree(self) -> None:
        """With the image, its entrypoint, the services and the ingress."""
        image, entrypoint = (ROOT / "Dockerfile").read_text(), (ROOT / "docker-entrypoint.sh").read_text()
        expected = {
            "parachute": ({"http": int(re.findall(r"EXPOSE (\d+)", image)[0])}, "/health", "http"),
            "parachute-vault": (
                {"link": 1940, "probe": int(re.findall(r"PROBE_PORT:-(\d+)", entrypoint)[0])},
                "/",
                "probe",
            ),
        }
        for name, pod in self.pods():
            [container] = pod["spec"]["containers"]
            ports = {port["name"]: port["containerPort"] for port in container["ports"]}
            probes = [container[f"{kind}Probe"]["httpGet"] for kind in ("startup", "liveness", "readiness")]
            served, path, port = expected[name]
            self.assertEqual((ports, probes), (served, [{"path": path, "port": port}] * 3), name)
            [service] = [one for one in self.kind("Service") if one["metadata"]["name"] == name]
            [offered] = service["spec"]["ports"]
            self.assertEqual(offered["port"], ports[offered["targetPort"]], name)
            self.assertTrue(selects(service["spec"]["selector"], pod["metadata"]["labels"]), name)
            self.assertTrue(selects(self.sets[name]["spec"]["selector"], pod["metadata"]["labels"]), name)
        [ingress] = self.kind("Ingress")
        [rule] = ingress["spec"]["rules"]
        backend = rule["http"]["paths"][0]["backend"]["service"]
        self.assertEqual(backend, {"name": "parachute", "port": {"name": "http"}})
        self.assertEqual([{"hosts": [rule["host"]], "secretName": "parachute-tls"}], ingress["spec"]["tls"])
        [settings] = self.kind("ConfigMap")
        self.assertEqual(settings["data"]["PARACHUTE_HUB_ORIGIN"], f"https://{rule['host']}")

    def test_the_network_lets_in_the_ingress_and_the_hub_alone(self) -> None:
        labels = {name: pod["metadata"]["labels"] for name, pod in self.pods()}
        let_in: dict[str, list[Any]] = {name: [] for name in labels}
        for policy in self.kind("NetworkPolicy"):
            spec = policy["spec"]
            for name, own in labels.items():
                if selects(spec["podSelector"], own):
                    let_in[name] += spec.get("ingress", [])
                    self.assertIn("Egress", spec["policyTypes"])
            for rule in (*spec.get("ingress", ()), *spec.get("egress", ())):
                self.assertTrue(rule.get("from") or rule.get("to"), "everybody")
                self.assertTrue(rule["ports"])
        [[of_ingress], [of_hub]] = let_in.values()
        self.assertEqual(of_ingress["ports"], [{"port": "http", "protocol": "TCP"}])
        self.assertEqual(of_hub["ports"], [{"port": "link", "protocol": "TCP"}])
        [source] = of_hub["from"]
        reached = [name for name, own in labels.items() if selects(source["podSelector"], own)]
        self.assertEqual(reached, ["parachute"])


class SplitFilesTests(SynchronousTestCase):
    """The same in Compose and on Fly."""

    def test_compose_and_fly_run_the_same_module(self) -> None:
        compose = yaml.safe_load((ROOT / "deploy/compose/split.yaml").read_text())["services"]
        alone = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]["hub"]
        fly = tomllib.loads((ROOT / "deploy/fly/vault.toml").read_text())
        [host] = [one for name, one in rendered_hosts() if name == "parachute-vault"]
        role = {each["name"]: each["value"] for each in host["env"]}
        self.assertEqual(compose["vault"]["environment"], role)
        self.assertEqual({name: fly["env"][name] for name in role}, role)
        self.assertEqual(fly["checks"]["alive"]["port"], 1938)
        self.assertNotIn("http_service", fly)
        self.assertNotIn("ports", compose["vault"])
        for name in ("read_only", "cap_drop", "cap_add", "security_opt", "mem_limit", "stop_grace_period"):
            self.assertEqual([one[name] for one in compose.values()], [alone[name]] * 2, name)


def rendered_hosts() -> Iterator[tuple[str, Document]]:
    """Each workload's container."""
    for each in rendered(TOP / "split"):
        for container in containers(each):
            yield each["metadata"]["name"], container
