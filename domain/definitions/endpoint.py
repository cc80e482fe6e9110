"""Checks of the endpoint: what its mode needs, and where a request names its flow and its customer."""

from domain.definitions.model import Definition, Endpoint, WebhookTrigger
from domain.definitions.places import Report
from domain.routing import parse_route
from domain.values import PathSyntax

_AT = ("endpoint",)


def check_endpoint(definition: Definition, report: Report) -> None:
    endpoint = definition.endpoint
    if endpoint is None:
        return
    _check_belonging(endpoint, report)
    for name in ("flow", "customer"):
        if (path := getattr(endpoint, name)) is not None:
            _check_path(name, path, report)
    if endpoint.mode == "flow_specific":
        return
    webhooks = sum(isinstance(flow.trigger, WebhookTrigger) for flow in definition.flows)
    if not webhooks:
        report.add((*_AT, "mode"), "invalid_value", "no flow has a webhook trigger: nothing could come in")
    if webhooks > 1 and endpoint.flow is None:
        detail = f"flow is missing: there are {webhooks} flows with a webhook, and a request must name one of them"
        report.add(_AT, "missing", detail, key=True)
    if endpoint.mode == "shared_instance" and endpoint.customer is None:
        report.add(_AT, "missing", "customer is missing: a request must name its customer", key=True)


def _check_belonging(endpoint: Endpoint, report: Report) -> None:
    belongs = {"flow": ("instance_specific", "shared_instance"), "customer": ("shared_instance",)}
    for name, modes in belongs.items():
        if getattr(endpoint, name) is not None and endpoint.mode not in modes:
            report.add((*_AT, name), "invalid_value", f"{name} goes with the mode {' or '.join(modes)}", key=True)


def _check_path(name: str, path: str, report: Report) -> None:
    try:
        parse_route(path)
    except PathSyntax as error:
        detail = f"a path into the request, such as headers.x-acme-{name}: {error.message}"
        report.add((*_AT, name), "bad_expression", f"{detail} (character {error.offset + 1})")
