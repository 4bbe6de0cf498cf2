"""docker-compose.yml and the Dockerfile say what this code can do: commands, settings and files by their names."""

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer

from vmi_cli.__main__ import app
from vmi_cli.supervision import WORKERS
from vmi_runtime import settings

ROOT = Path(__file__).parents[2]
COMPOSE = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
DOCKERFILE = (ROOT / "deploy" / "Dockerfile").read_text(encoding="utf-8")


def services() -> dict[str, str]:
    """Return what each service says, by its name."""
    within = COMPOSE.partition("\nservices:\n")[2].partition("\nvolumes:\n")[0]
    parts = re.split(r"^  (\w+):\n", within, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


OURS = {name: told for name, told in services().items() if "<<: *worker" in told}


def commands() -> list[tuple[str, list[str]]]:
    """Return every command line of ours that a service runs, without the program's name."""
    found = []
    for name, told in OURS.items():
        [argv] = [json.loads(one) for one in re.findall(r"^    (?:command|entrypoint): (\[.*\])$", told, re.MULTILINE)]
        if argv[:2] == ["sh", "-c"]:
            lines = [line.split() for line in argv[2].split(" && ")]
            assert all(line[0] == "vmi" for line in lines)
            found += [(name, line[1:]) for line in lines]
        else:
            found.append((name, argv))
    return found


@pytest.mark.parametrize(("service", "argv"), commands(), ids=str)
def test_what_a_container_runs_is_a_command_that_there_is(service: str, argv: list[str]) -> None:
    command: Any = typer.main.get_command(app)
    context = typer.Context(command)
    words = list(argv)
    while hasattr(command, "get_command"):
        command = command.get_command(context, words.pop(0))
        assert command is not None, f"{service}: vmi {' '.join(argv)}"
    command.make_context(argv[0], words)  # its arguments are accepted


def test_every_worker_has_a_container() -> None:
    assert sorted(argv[1] for _, argv in commands() if argv[0] == "worker") == sorted(WORKERS)


def test_what_containers_are_told_is_a_setting_with_a_value_that_can_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    told = dict(re.findall(r"^ +(VMI_\w+): (.+)$", COMPOSE, re.MULTILINE))
    assert set(told) >= {"VMI_KAFKA__BOOTSTRAP_SERVERS", "VMI_DATABASE__URL"}
    for name, value in told.items():
        monkeypatch.setenv(name, re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", value).strip('"'))

    loaded = settings.load()

    # The addresses are those under which the other containers say that they listen.
    host, port = str(loaded.kafka.bootstrap_servers).split(":")
    assert host in services()
    assert f"INSIDE://{host}:{port}" in services()[host]
    assert loaded.database.url is not None
    assert re.search(r"@(\w+):5432/vmi$", loaded.database.url.get_secret_value())


def test_a_container_waits_for_containers_that_there_are() -> None:
    waits = re.findall(r"^      (\w+):\n +condition: (\w+)$", COMPOSE, re.MULTILINE)
    waits += re.findall(r"^    (\w+):\n      condition: (\w+)$", COMPOSE.partition("services:")[0], re.MULTILINE)
    assert {name for name, _ in waits} == {"kafka", "postgres", "prepare"} <= set(services())
    assert all("healthcheck:" in services()[name] for name, until in waits if until == "service_healthy")


def test_the_image_is_built_from_files_that_there_are_and_its_program_is_ours() -> None:
    [dockerfile] = re.findall(r"dockerfile: (\S+)", COMPOSE)
    assert (ROOT / dockerfile).read_text(encoding="utf-8") == DOCKERFILE
    sources = [
        name for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE) for name in line.split()[:-1]
    ]
    let_in = re.findall(r"^!(\S+)$", (ROOT / f"{dockerfile}.dockerignore").read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(sources) == sorted(let_in)
    assert all((ROOT / name).exists() for name in sources)
    [entrypoint] = [json.loads(one) for one in re.findall(r"^ENTRYPOINT (.+)$", DOCKERFILE, re.MULTILINE)]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert entrypoint[0] in project["project"]["scripts"]
    assert f"FROM python:{project['project']['requires-python'].removeprefix('>=')}-slim" in DOCKERFILE
