"""The certificate is checked against the name in the URL, although the connection goes to a checked address."""

import ssl
from collections.abc import Callable
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from domain.errors import StepFailed
from domain.http import OutgoingRequest
from runtime.clock import utcnow
from runtime.http import GuardedHttp
from tests.runtime.web import reply, serving

Contexts = tuple[ssl.SSLContext, ssl.SSLContext]


@pytest.fixture
def certified(tmp_path: Path) -> Callable[[str], Contexts]:
    """Contexts of a server with a certificate for a name, and of a client that trusts it."""

    def make(name: str) -> Contexts:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate = (
            x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
            .not_valid_before(utcnow() - timedelta(days=1))
            .not_valid_after(utcnow() + timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
            .sign(key, hashes.SHA256())
        )
        chain = tmp_path / "chain.pem"
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        chain.write_bytes(certificate.public_bytes(Encoding.PEM) + private)
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.load_cert_chain(chain)
        return server, ssl.create_default_context(cafile=str(chain))

    return make


async def fetch(port: int, client: ssl.SSLContext) -> bytes:
    http = GuardedHttp([ip_network("127.0.0.1/32"), ip_network("::1/128")], ssl_context=client)
    try:
        return (await http.send(OutgoingRequest("GET", f"https://localhost:{port}/", []))).body
    finally:
        await http.aclose()


async def test_certificate_of_the_name_is_accepted(certified: Callable[[str], Contexts]) -> None:
    server, client = certified("localhost")
    names: list[str | None] = []
    server.sni_callback = lambda _socket, name, _context: names.append(name)
    async with serving(lambda _: reply(200, b"secure"), tls=server) as web:
        assert await fetch(web.port, client) == b"secure"
    assert names == ["localhost"]
    assert web.asked[0].headers["host"] == f"localhost:{web.port}"


async def test_certificate_of_another_name_is_refused(certified: Callable[[str], Contexts]) -> None:
    server, client = certified("other.example")
    async with serving(lambda _: reply(), tls=server) as web:
        with pytest.raises(StepFailed, match="certificate") as failed:
            await fetch(web.port, client)
    assert failed.value.code == "connection_error"
    assert web.asked == []


async def test_unknown_authority_is_refused(certified: Callable[[str], Contexts]) -> None:
    server, _ = certified("localhost")
    async with serving(lambda _: reply(), tls=server) as web:
        with pytest.raises(StepFailed, match="certificate"):
            await fetch(web.port, ssl.create_default_context())
    assert web.asked == []
