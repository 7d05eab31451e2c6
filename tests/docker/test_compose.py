"""What compose.yaml and the Dockerfile promise, read as an operator would check them."""

import re
from typing import Any

import pytest
import yaml

from jobs.workspace import REPOSITORY

COMPOSE = yaml.safe_load((REPOSITORY / "docker" / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
ONCE = {"migrate", "demo", "backup"}
SECRET = re.compile(r"password|secret|fernet", re.IGNORECASE)


def test_the_file_needs_nothing_that_older_versions_of_compose_lack() -> None:
    assert set(COMPOSE) - {key for key in COMPOSE if key.startswith("x-")} == {"services", "networks", "volumes"}


@pytest.mark.parametrize("name", SERVICES)
def test_ports_are_open_on_the_loopback_address_alone(name: str) -> None:
    for port in SERVICES[name].get("ports", []):
        assert str(port).startswith("127.0.0.1:"), port


@pytest.mark.parametrize("name", SERVICES)
def test_no_secret_has_a_default(name: str) -> None:
    for variable, value in SERVICES[name].get("environment", {}).items():
        if SECRET.search(variable) and "/" not in str(value):  # a path to a file of passwords is none
            assert re.fullmatch(r"\$\{\w+:\?run make cluster-up\}", str(value)), variable


@pytest.mark.parametrize("name", sorted(set(SERVICES) - ONCE))
def test_every_part_that_stays_up_tells_its_health_and_comes_back(name: str) -> None:
    assert SERVICES[name]["healthcheck"]["test"][0] == "CMD"
    assert SERVICES[name]["restart"] == "unless-stopped"


@pytest.mark.parametrize("name", sorted(set(SERVICES) - {"postgres"}))
def test_our_containers_can_gain_no_rights(name: str) -> None:
    assert SERVICES[name]["cap_drop"] == ["ALL"]
    assert SERVICES[name]["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in SERVICES[name]


def test_what_runs_the_code_of_experiments_knows_no_password_of_a_database() -> None:
    assert set(SERVICES["spark-worker"]["environment"]) == {"ATOLL_SPARK_SECRET"}
    assert SERVICES["spark-worker"]["env_file"] == ["object-store.env"]


def test_who_needs_no_object_store_is_not_told_its_keys() -> None:
    told = {name for name, service in SERVICES.items() if "env_file" in service}
    assert set(SERVICES) - told == {"postgres", "spark-master", "spark-history", "mlflow"}


def test_what_runs_the_code_of_experiments_does_not_reach_the_pages_that_may_change_the_registry() -> None:
    assert SERVICES["mlflow"]["networks"] == ["records"]
    reached = {name for name, service in SERVICES.items() if "records" in service.get("networks", ["default"])}
    assert reached == {"mlflow", "postgres"}


@pytest.mark.parametrize("name", SERVICES)
def test_no_container_shares_more_with_its_host_than_a_folder_to_read(name: str) -> None:
    service = SERVICES[name]
    assert not {"network_mode", "pid", "ipc", "userns_mode", "devices", "cap_add"} & set(service)
    from_the_host = [mount for mount in service.get("volumes", []) if mount.startswith((".", "/", "~"))]
    assert all(mount.endswith(":ro") for mount in from_the_host), from_the_host


@pytest.mark.parametrize("name", SERVICES)
def test_no_command_line_holds_a_secret(name: str) -> None:
    words = [*SERVICES[name].get("command", []), *SERVICES[name].get("healthcheck", {}).get("test", [])]
    assert not [word for word in words if SECRET.search(word)]


def test_the_image_runs_as_a_user_of_its_own_on_pinned_bases() -> None:
    lines = (REPOSITORY / "docker" / "Dockerfile").read_text().splitlines()
    assert [line.split()[1] for line in lines if line.startswith("FROM ")] == ["python:3.11-slim-bookworm"] * 2
    assert [line for line in lines if line.startswith("USER ")] == ["USER atoll"]
