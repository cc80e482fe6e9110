import socket
import urllib.request

import pytest
from prometheus_client import Counter

from runtime import metrics
from runtime.devserver import free_port
from runtime.version import version

NAMES = ["status", "state", "code", "method", "handler"]  # of a few values each
BOUNDED = {
    "integration",
    "flow",
    "trigger",
    "component",
    "action",
    "outcome",
    "version",
    "commit",
    "kind",
    *NAMES,
    "reason",
}
DECLARED = [value for name, value in vars(metrics).items() if name.isupper() and hasattr(value, "describe")]


def families() -> dict[str, str]:
    return {family.name: family.documentation for each in DECLARED for family in each.describe()}


def test_metrics_are_named_as_prometheus_wants_it() -> None:
    assert {name for name in families() if not name.startswith(("flowgraft_", "http_request"))} == set()
    kinds = {each.describe()[0].name: each for each in DECLARED if each.describe()[0].type == "histogram"}
    assert {name for name in kinds if not name.endswith("_seconds")} == set()


def test_every_metric_says_what_it_is() -> None:
    assert {name for name, told in families().items() if len(told) < 20} == set()


def test_no_label_grows_with_the_customers() -> None:
    labels = {label for each in DECLARED for label in each._labelnames}
    assert labels == BOUNDED


def test_what_is_served_on_its_own_port() -> None:
    port = free_port()
    metrics.tell_build("abc123")
    with metrics.served("127.0.0.1", port), urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        text = answer.read().decode()
    assert f'flowgraft_build_info{{commit="abc123",version="{version()}"}} 1.0' in text
    assert "process_resident_memory_bytes" in text
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0


def test_port_that_is_taken_is_an_error() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(OSError, match="in use"), metrics.served("127.0.0.1", other.getsockname()[1]):
            raise AssertionError


def test_nothing_is_served_without_a_port() -> None:
    with metrics.served("127.0.0.1", None):
        pass


def test_counters_are_of_our_registry_only() -> None:
    """The default registry belongs to libraries; two of them would mix."""
    assert isinstance(metrics.HTTP_REQUESTS, Counter)
    assert metrics.REGISTRY.get_sample_value("python_info") is None
