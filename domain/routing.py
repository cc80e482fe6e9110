"""Where a common address leads: which flow a request names, and which customer, at a path into the request."""

from collections.abc import Mapping
from typing import Any

from domain.definitions.model import Definition, Flow, WebhookTrigger
from domain.errors import NotFound
from domain.text import clean_text
from domain.values import Path, PathSyntax, lookup, parse_path

LONGEST = 200  # characters of a flow's key or a customer's external id
LARGEST = 2**53

_ROOTS = {"headers": "a header", "query": "a parameter", "body": "what stands in it"}


def parse_route(text: str) -> Path:
    """A path into a request: `headers.x-acme-flow`, `query.flow`, `body.data.event`. Raises PathSyntax."""
    path = parse_path(text)
    if path.root not in _ROOTS:
        raise PathSyntax(f"it begins with {', '.join(_ROOTS)}", path.offset)
    if not path.segments or (path.root != "body" and len(path.segments) > 1):
        raise PathSyntax(f"after {path.root} it names {_ROOTS[path.root]}", path.offset)
    return path


def named(route: str, request: Mapping[str, Any]) -> str | None:
    """What a request, given as the `trigger` root, says there. Only text and whole numbers can name something."""
    value = lookup(parse_route(route), request)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) <= LARGEST:
        value = str(value)
    fits = isinstance(value, str) and 0 < len(value) <= LONGEST and clean_text(value) == value
    return value if fits else None


def flow_named(definition: Definition, request: Mapping[str, Any]) -> Flow:
    """The flow with a webhook that a request to a common address is for. Raises NotFound, naming what was looked at."""
    flows = [flow for flow in definition.flows if isinstance(flow.trigger, WebhookTrigger)]
    route = definition.endpoint.flow if definition.endpoint else None
    if route is None:
        if len(flows) == 1:
            return flows[0]
        raise NotFound("The deployed version does not say where a request names its flow")
    key = named(route, request)
    for flow in flows:
        if flow.key == key:
            return flow
    raise NotFound(f"{route} of the request names no flow with a webhook")


def customer_named(route: str, request: Mapping[str, Any]) -> str:
    """The external id of the customer that a request to a shared address is for. Raises NotFound."""
    external_id = named(route, request)
    if external_id is None:
        raise no_customer(route)
    return external_id


def no_customer(route: str) -> NotFound:
    """The same for a customer who is unknown, has no instance, or none that is deployed: who asks learns nothing."""
    return NotFound(f"{route} of the request names no customer who has this integration")
