"""What holds between the files around the code: version, limits, targets, image and proxy."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from lossd import __version__
from lossd.settings import MIB, Settings

ROOT = Path(__file__).parent.parent
TARGETS = re.search(r"(?m)^\.PHONY: (help .*)$", (ROOT / "Makefile").read_text())[1].split()
DOCKERFILE = re.sub(r"(?m)^#.*\n", "", (ROOT / "Dockerfile").read_text()).replace("\\\n", " ")
INSTRUCTIONS = [tuple(line.split(None, 1)) for line in DOCKERFILE.splitlines() if line.strip()]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
NGINX = re.sub(r"#.*", "", (ROOT / "deploy" / "nginx.conf").read_text())
DEFAULTS = {name: field.default for name, field in Settings.model_fields.items()}
UNITS = {"m": MIB, "g": 1024 * MIB, "s": 1}

# Written in parts, so that this file does not hold what it looks for.
OF_ONE_MACHINE = re.compile(
    "|".join(
        [
            r"(?<!no-emit-)" + "index" + "-url",
            "find" + "-links",
            "pypi" + r"\.org",
            "pythonhosted" + r"\.org",
            "registry" + r"\.npmjs",
            "/ro" + "ot/",
            "/wo" + "rk/",
            "/ho" + "me/[a-z]",
            "/tmp/" + "[a-z]+/(?:bin|lib)",
        ]
    )
)


def committed_files() -> list[str]:
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False, text=True)
    return [name for name in listing.stdout.split("\0") if name and (ROOT / name).is_file()]


def instructions(name: str) -> list[str]:
    return [argument for keyword, argument in INSTRUCTIONS if keyword == name]


def amount(text: str) -> int:
    """Read an amount such as 64m, 2g or 10s."""
    return int(text[:-1]) * UNITS[text[-1]]


def directive(name: str) -> int:
    found = re.search(rf"\b{name} (\w+);", NGINX)
    assert found is not None
    return amount(found[1])


def test_no_committed_file_names_a_package_index_or_a_path_of_one_machine() -> None:
    files = committed_files()
    if not files:
        pytest.skip("this is not a git checkout, so what is committed is not known")
    found = []
    for name in files:
        text = (ROOT / name).read_bytes().decode("utf-8", "replace")
        found += [f"{name}: {match[0]}" for match in OF_ONE_MACHINE.finditer(text)]
    assert not found


def test_only_the_continuous_integration_looks_beside_the_repository() -> None:
    beside = "../sha" + "red"
    assert {name for name in committed_files() if beside in _text(name)} <= {".ci/run"}


def test_the_changelog_opens_with_this_version() -> None:
    first = re.search(r"(?m)^## \[(\S+)\]", _text("CHANGELOG.md"))
    assert first is not None
    assert first[1] == __version__


def test_the_image_is_labelled_with_this_version() -> None:
    assert f'org.opencontainers.image.version="{__version__}"' in DOCKERFILE


def test_make_help_lists_every_target() -> None:
    listed = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, check=True, text=True).stdout
    assert re.findall(r"(?m)^  make (\S+)", listed) == TARGETS


@pytest.mark.parametrize("target", TARGETS)
def test_a_target_needs_no_file_that_is_missing(target: str) -> None:
    subprocess.run(["make", "--dry-run", target], cwd=ROOT, capture_output=True, check=True)


def test_the_dockerfile_takes_nothing_but_a_slim_python_from_outside() -> None:
    stages = [re.fullmatch(r"(\S+)(?: AS (\w+))?", argument) for argument in instructions("FROM")]
    names = {stage[2] for stage in stages if stage}
    assert {stage[1] for stage in stages if stage} == {"${BASE}"}
    assert instructions("ARG") == ["BASE=python:3.13-slim"]
    assert COMPOSE["services"]["lossd"]["build"]["args"] == {"BASE": "${PYTHON_IMAGE:-python:3.13-slim}"}
    assert set(re.findall(r"--from=(\S+)", DOCKERFILE)) <= names
    assert not instructions("ADD")
    assert "syntax=" not in (ROOT / "Dockerfile").read_text()


def test_the_image_runs_without_root_and_without_a_shell() -> None:
    user, group = instructions("USER")[-1].split(":")
    assert int(user) > 0
    assert int(group) > 0
    assert json.loads(instructions("CMD")[-1]) == ["lossd", "serve"]
    assert json.loads(instructions("HEALTHCHECK")[-1].partition("CMD ")[2]) == ["lossd", "healthcheck"]
    assert not instructions("ENTRYPOINT")


def test_the_image_sets_only_variables_that_the_settings_know() -> None:
    names = re.findall(r"\bLOSSD_(\w+)=", DOCKERFILE)
    assert names
    assert {name.lower() for name in names} <= DEFAULTS.keys()


def test_the_image_and_the_stack_say_who_may_call() -> None:
    """Both listen beyond their machine, where a server without the choice does not start."""
    assert re.findall(r"\bLOSSD_AUTH=(\w+)", DOCKERFILE) == ["none"]
    assert SERVICES["lossd"]["environment"]["LOSSD_AUTH"] == "none"


def test_the_stack_trusts_the_network_where_only_its_proxy_is() -> None:
    trusted = SERVICES["lossd"]["environment"]["LOSSD_TRUSTED_PROXIES"]
    assert COMPOSE["networks"]["replicas"]["ipam"]["config"] == [{"subnet": trusted}]
    assert [name for name, each in SERVICES.items() if "replicas" in each["networks"]] == ["lossd", "proxy"]
    subnet = trusted.removeprefix("${REPLICAS_SUBNET:-").removesuffix("}")
    assert Settings(trusted_proxies=subnet).trusted_proxies == (subnet,)


@pytest.mark.parametrize("name", SERVICES)
def test_a_container_can_do_nothing_that_it_need_not(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service.keys() >= {"mem_limit", "cpus", "pids_limit", "healthcheck", "restart"}
    assert not service.keys() & {"privileged", "cap_add", "network_mode", "pid", "ipc", "devices"}
    assert all(mount.endswith(":ro") for mount in service.get("volumes", ()))


def test_only_the_proxy_is_reached_from_outside_and_only_from_this_machine() -> None:
    assert SERVICES["proxy"]["ports"] == ["127.0.0.1:8000:8080"]
    assert "ports" not in SERVICES["lossd"]
    assert COMPOSE["networks"]["replicas"]["internal"]


def test_the_service_can_be_scaled() -> None:
    assert not SERVICES["lossd"].keys() & {"container_name", "hostname", "ports"}
    assert SERVICES["proxy"]["depends_on"]["lossd"]["condition"] == "service_healthy"
    assert f"server lossd:{DEFAULTS['port']} " in NGINX


def test_the_proxy_stays_while_the_service_restarts() -> None:
    assert "restart" not in SERVICES["proxy"]["depends_on"]["lossd"]


def test_the_proxy_counts_connections_over_its_processes() -> None:
    (upstream,) = re.findall(r"upstream replicas \{(.*?)\}", NGINX, re.DOTALL)
    assert re.search(r"\bzone replicas \w+;.*\bleast_conn;", upstream, re.DOTALL)


def test_the_proxy_repeats_no_post_that_a_replica_was_sent() -> None:
    assert re.findall(r"proxy_next_upstream (.*);", NGINX) == ["error timeout"]


def test_the_proxy_and_the_service_have_the_same_limits() -> None:
    assert directive("client_max_body_size") == DEFAULTS["max_body_bytes"]
    assert f"at most {DEFAULTS['max_body_bytes'] // MIB} MiB" in NGINX
    assert directive("client_body_timeout") == DEFAULTS["body_timeout_seconds"]
    assert directive("proxy_read_timeout") > DEFAULTS["request_timeout_seconds"]
    assert directive("keepalive_timeout") < DEFAULTS["drain_seconds"] < DEFAULTS["keep_alive_seconds"]


def test_the_proxy_has_memory_for_the_bodies_that_it_keeps() -> None:
    (kept,) = re.findall(r"/tmp:size=(\w+)", SERVICES["proxy"]["tmpfs"][0])
    assert amount(SERVICES["proxy"]["mem_limit"]) > amount(kept) >= 4 * DEFAULTS["max_body_bytes"]


def test_a_container_is_given_the_time_that_the_service_takes_to_stop() -> None:
    grace = amount(SERVICES["lossd"]["stop_grace_period"])
    assert grace > DEFAULTS["drain_seconds"] + DEFAULTS["shutdown_seconds"]


@pytest.mark.parametrize(
    ("line", "caught"),
    [
        ("--extra-" + "index" + "-url https://example.org/simple", True),
        ("--no-emit-" + "index" + "-url", False),
        ("cd /ro" + "ot/project", True),
        ("see /worker/status", False),
        ("https://files.python" + "hosted.org/packages", True),
    ],
)
def test_the_search_for_machine_names_finds_them(line: str, caught: bool) -> None:
    assert bool(OF_ONE_MACHINE.search(line)) is caught


def _text(name: str) -> str:
    return (ROOT / name).read_bytes().decode("utf-8", "replace")


def test_contributing_names_every_target_that_is_worth_a_line() -> None:
    makefile, contributing = ((ROOT / name).read_text() for name in ("Makefile", "CONTRIBUTING.md"))
    targets = re.findall(r"(?m)^([a-z-]+):.*?## ", makefile)
    assert len(targets) > 15
    missing = {target for target in targets if not re.search(rf"`make {target}\b", contributing)}
    assert missing == {"help", "clean", "lint", "image"}


def test_what_make_generate_writes_is_counted() -> None:
    written = re.search(r"(?m)^generate: ([a-z ]+) {2}##", (ROOT / "Makefile").read_text())[1].split()
    rows = re.findall(r"(?m)^\| `make ([a-z]+)", (ROOT / "CONTRIBUTING.md").read_text())
    assert rows[rows.index("generate") + 1 :][: len(written)] == written
    numbers = {3: "three", 4: "four", 5: "five"}
    assert f"the next {numbers[len(written)]} at once" in (ROOT / "CONTRIBUTING.md").read_text()
