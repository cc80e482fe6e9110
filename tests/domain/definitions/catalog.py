"""A handful of actions, as the components announce them."""

from domain.catalog import ActionSpec, Catalog

HTTP_KINDS = frozenset({"http/bearer", "http/basic", "http/api_key"})
HTTP_READ = {"url": True, "query": False, "headers": False, "timeout": False, "follow_redirects": False, "ok": False}
HTTP_WRITE = {**HTTP_READ, "json": False, "form": False, "body": False}


def spec(key: str, fields: dict[str, bool], *, lazy: str = "", kinds: frozenset[str] = frozenset()) -> ActionSpec:
    local = not key.startswith("http.")
    return ActionSpec(key, fields, local=local, lazy=frozenset(lazy.split()), connections=kinds)


CATALOG: Catalog = {
    each.key: each
    for each in (
        spec("http.get", HTTP_READ, kinds=HTTP_KINDS),
        spec("http.post", HTTP_WRITE, kinds=HTTP_KINDS),
        spec("log.write", {"message": True, "level": False}),
        spec("data.set", {"value": True}),
        spec("data.map", {"items": True, "to": True}, lazy="to"),
        spec("data.filter", {"items": True, "when": True}, lazy="when"),
    )
}
