"""What the shape alone cannot tell: a definition's parts agree with each other and with the catalog of actions."""

from domain.catalog import Catalog
from domain.definitions.endpoint import check_endpoint
from domain.definitions.fields import check_pages
from domain.definitions.flows import check_flow
from domain.definitions.model import Definition
from domain.definitions.places import Report
from domain.definitions.scope import Known


def check_definition(definition: Definition, catalog: Catalog, report: Report) -> None:
    check_endpoint(definition, report)
    known = Known(definition.fields(), {flow.key: flow.trigger.type for flow in definition.flows}, report)
    check_pages(definition.config, known, catalog)
    if not definition.flows:
        report.add(("flows",), "no_flow", "a definition needs at least one flow")
    seen: set[str] = set()
    for index, flow in enumerate(definition.flows):
        if flow.key in seen:
            report.add(("flows", index, "key"), "duplicate_flow", f"there are two flows of the key {flow.key}")
        seen.add(flow.key)
        check_flow(flow, ("flows", index), known, catalog)
