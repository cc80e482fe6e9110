"""One running product for all tests of a process, and the command line that talks to it."""

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.terminal import DEFINITION, Cli, Shop, fresh
from tests.fixtures.stack import ADMIN_KEY, Stack


@pytest.fixture(scope="session")
def product(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Iterator[Stack]:
    directory = tmp_path_factory.mktemp("product")
    shutil.copyfile(sqlite_template, directory / "flowgraft.db")
    stack = Stack(directory, f"sqlite+aiosqlite:///{directory / 'flowgraft.db'}")
    try:
        asyncio.run(stack.heal())
        yield stack
    finally:
        asyncio.run(stack.stop())


@pytest.fixture
def away(tmp_path: Path) -> Cli:
    """Knows no server."""
    return Cli({"FLOWGRAFT_CONFIG": str(tmp_path / "config.toml")})


@pytest.fixture
def cli(product: Stack, away: Cli) -> Cli:
    """Knows the running product from its environment."""
    return away.with_environment(FLOWGRAFT_URL=product.url, FLOWGRAFT_API_KEY=ADMIN_KEY)


@pytest.fixture(scope="session")
def shop(product: Stack, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """A deployed instance that no test changes."""
    config = tmp_path_factory.mktemp("config") / "config.toml"
    cli = Cli({"FLOWGRAFT_CONFIG": str(config), "FLOWGRAFT_URL": product.url, "FLOWGRAFT_API_KEY": ADMIN_KEY})
    return make_shop(cli)


@pytest.fixture
def own_shop(cli: Cli) -> Shop:
    """A deployed instance for one test alone."""
    return make_shop(cli)


def make_shop(cli: Cli, definition: str = DEFINITION) -> Shop:
    name = fresh("shop")
    customer = cli.json("customers", "create", "--name", name)
    integration = cli.json("integrations", "import", "-f", "-", input=definition.replace("KEY", name))
    version = cli.json("integrations", "publish", integration["id"])
    owner = ("-c", customer["id"], "-i", integration["id"], "-n", name)
    instance = cli.json("instances", "create", *owner, "--config", "service.token=t")
    cli.json("instances", "deploy", instance["id"])
    flows = {flow["key"]: flow for flow in cli.json("flows", "list", "--instance", instance["id"])}
    return Shop(name, customer, integration, version, instance, flows)
