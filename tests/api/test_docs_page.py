from hashlib import sha256

import httpx2

from api.docs import VENDORED


async def test_docs_page_needs_nothing_from_elsewhere(client: httpx2.AsyncClient) -> None:
    page = await client.get("/docs")
    assert page.status_code == 200
    assert "//" not in page.text.replace("</", "")
    for name in ("swagger-ui-bundle.js", "swagger-ui.css"):
        asset = f"/docs/assets/{name}"
        assert asset in page.text
        assert (await client.get(asset)).status_code == 200


def test_vendored_files_are_what_they_say() -> None:
    lines = (VENDORED / "VENDORED").read_text().splitlines()[1:]
    listed = {name: digest for digest, name in (line.split() for line in lines)}
    found = {path.name: sha256(path.read_bytes()).hexdigest() for path in VENDORED.iterdir() if path.name != "VENDORED"}
    assert found == listed
