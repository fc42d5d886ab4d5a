"""The manifests, rendered by kustomize, fit Kubernetes' schemas and lossd's own settings and routes."""

from __future__ import annotations

import copy
import shutil
import subprocess
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from lossd.settings import Settings, variable
from tests.api.serving import InProcess

KUBERNETES = Path(__file__).parents[2] / "deploy" / "kubernetes"
OVERLAYS = sorted(f"overlays/{path.name}" for path in (KUBERNETES / "overlays").iterdir())
# Kinds of other projects, whose schemas are not Kubernetes' own.
OTHERS = {"HTTPRoute", "ScaledObject", "ServiceMonitor"}
Manifest = dict[str, Any]

pytestmark = pytest.mark.skipif(
    shutil.which("kubectl") is None, reason="kubectl, which has kustomize, is not installed"
)


@cache
def _rendered(folder: str) -> list[Manifest]:
    path = KUBERNETES / folder
    done = subprocess.run(["kubectl", "kustomize", str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


def _of_kind(manifests: list[Manifest], kind: str) -> Iterator[Manifest]:
    return (each for each in manifests if each["kind"] == kind)


def _settings(manifests: list[Manifest]) -> dict[str, str]:
    (settings,) = _of_kind(manifests, "ConfigMap")
    return settings["data"]


def _defects(manifests: list[Manifest]) -> list[str]:
    """Return what is wrong with manifests."""
    validator = pytest.importorskip("kubernetes_validate")
    found = []
    for manifest in manifests:
        if manifest["kind"] in OTHERS:
            continue
        try:
            validator.validate(manifest, validator.latest_version(), strict=True)
        except validator.ValidationError as error:
            found.append(f"{manifest['kind']}: {error.message}")
    (deployment,) = _of_kind(manifests, "Deployment")
    pod = deployment["spec"]["template"]["spec"]
    if pod.get("enableServiceLinks") is not False:
        found.append("Deployment: enableServiceLinks")
    settings = _settings(manifests)
    known = {variable(field) for field in Settings.model_fields}
    found += [f"ConfigMap: {name}" for name in settings if name not in known]
    values = {name.removeprefix("LOSSD_").lower(): value for name, value in settings.items()}
    chosen = (
        Settings(**values) if not found else Settings.model_construct(**Settings.model_construct().__dict__)
    )
    stopping = float(chosen.drain_seconds) + float(chosen.shutdown_seconds)
    if not found and pod["terminationGracePeriodSeconds"] <= stopping:
        found.append("Deployment: terminationGracePeriodSeconds")
    return found


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_manifests_fit_the_schemas_and_the_settings(overlay: str) -> None:
    assert _defects(_rendered(overlay)) == []


def _drop_service_links(manifests: list[Manifest]) -> None:
    del next(_of_kind(manifests, "Deployment"))["spec"]["template"]["spec"]["enableServiceLinks"]


def _misspell_a_field(manifests: list[Manifest]) -> None:
    pod = next(_of_kind(manifests, "Deployment"))["spec"]["template"]["spec"]
    pod["containers"][0]["readinesProbe"] = pod["containers"][0].pop("readinessProbe")


def _misspell_a_setting(manifests: list[Manifest]) -> None:
    settings = _settings(manifests)
    settings["LOSSD_DRAIN_SECOND"] = settings.pop("LOSSD_DRAIN_SECONDS")


def _drain_for_longer_than_the_grace(manifests: list[Manifest]) -> None:
    _settings(manifests)["LOSSD_DRAIN_SECONDS"] = "30"


@pytest.mark.parametrize(
    ("corrupt", "defect"),
    [
        (_drop_service_links, "enableServiceLinks"),
        (_misspell_a_field, "readinesProbe"),
        (_misspell_a_setting, "LOSSD_DRAIN_SECOND"),
        (_drain_for_longer_than_the_grace, "terminationGracePeriodSeconds"),
    ],
)
def test_what_is_easily_done_wrong_is_found(corrupt: Callable[[list[Manifest]], None], defect: str) -> None:
    manifests = copy.deepcopy(_rendered("overlays/production"))
    corrupt(manifests)
    found = _defects(manifests)
    assert len(found) == 1
    assert defect in found[0]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_probes_and_scrapes_ask_for_what_there_is(overlay: str) -> None:
    service = InProcess()
    (deployment,) = _of_kind(_rendered(overlay), "Deployment")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    paths = {container[f"{kind}Probe"]["httpGet"]["path"] for kind in ("startup", "readiness", "liveness")}
    paths |= {
        endpoint["path"]
        for monitor in _of_kind(_rendered(overlay), "ServiceMonitor")
        for endpoint in monitor["spec"]["endpoints"]
    }
    assert {path: service.request("GET", path).status_code for path in paths} == dict.fromkeys(paths, 200)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_selector_finds_the_pods(overlay: str) -> None:
    manifests = _rendered(overlay)
    (deployment,) = _of_kind(manifests, "Deployment")
    labels = deployment["spec"]["template"]["metadata"]["labels"].items()
    (service,), (policy,) = _of_kind(manifests, "Service"), _of_kind(manifests, "NetworkPolicy")
    assert service["spec"]["selector"].items() <= labels
    assert deployment["spec"]["selector"]["matchLabels"].items() <= labels
    assert policy["spec"]["podSelector"]["matchLabels"].items() <= labels
    assert {each["metadata"]["namespace"] for each in (deployment, service, policy)} == {
        next(_of_kind(manifests, "Namespace"))["metadata"]["name"]
    }


@pytest.mark.parametrize("folder", ["base", *OVERLAYS])
def test_the_label_of_a_client_is_all_that_it_takes_to_be_let_in(folder: str) -> None:
    """Kustomize may write lossd's own labels into every selector, which no client has."""
    client = {"lossd.example.org/client": "true"}
    (policy,) = _of_kind(_rendered(folder), "NetworkPolicy")
    (rule,) = policy["spec"]["ingress"]
    assert rule["from"] == [
        {"podSelector": {"matchLabels": client}},
        {"namespaceSelector": {"matchLabels": client}},
    ]


def test_the_runtime_of_kserve_has_settings_and_routes_of_lossd() -> None:
    service = InProcess()
    runtime = yaml.safe_load((KUBERNETES / "kserve" / "runtime.yaml").read_text())
    (container,) = runtime["spec"]["containers"]
    known = {variable(field) for field in Settings.model_fields}
    assert {each["name"] for each in container["env"]} <= known
    for kind in ("readiness", "liveness"):
        assert service.request("GET", container[f"{kind}Probe"]["httpGet"]["path"]).status_code == 200
