"""`flowgraft flows queue`."""

from tests.cli.terminal import Cli, Shop


def test_queue_of_a_parallel_flow_has_nothing_to_show(cli: Cli, own_shop: Shop) -> None:
    flow = own_shop.flow("greet")
    cli("flows", "queue", "list", flow)
    cli("flows", "queue", "pause", flow, code=1)
    cli("flows", "queue", "resume", flow)
    assert "0" in cli("flows", "queue", "clear", flow).output
