"""May this caller deliver to this flow: API keys and signatures. Where both are asked for, both must hold."""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from api.hooks.inbound import API_KEY_HEADER, Inbound
from api.hooks.targets import Target
from domain.definitions.model import Hmac
from domain.errors import Unauthenticated
from domain.signatures import SignatureInvalid, Signed, secret_keys, verify
from runtime.clock import utcnow
from runtime.crypto import hash_secret, same_secret
from store.instance_flows import InstanceFlows


async def admitted(session: AsyncSession, targets: Sequence[Target], inbound: Inbound) -> list[Target]:
    """Those that the caller may deliver to. Raises Unauthenticated if there is none."""
    found, refusals = [], []
    for target in targets:
        try:
            await _authenticate(session, target, inbound)
            found.append(target)
        except Unauthenticated as error:
            refusals.append(error)
    if not found:
        raise refusals[0]
    return found


async def _authenticate(session: AsyncSession, target: Target, inbound: Inbound) -> None:
    security = target.trigger.security
    if security is None:
        return
    if security.api_key is not None:
        await _check_key(session, target, inbound, optional=security.api_key == "optional")
    if security.hmac is not None:
        _check_signature(target, security.hmac, inbound)


async def _check_key(session: AsyncSession, target: Target, inbound: Inbound, *, optional: bool) -> None:
    """No key passes where it is optional; a wrong one never does."""
    given = inbound.api_keys()
    if not given and optional:
        return
    known = [row.hash for row in await InstanceFlows(session).api_keys(target.flow.id)]
    if len(given) != 1 or not any(same_secret(hash_secret(given[0]), stored) for stored in known):
        raise Unauthenticated(f"This webhook wants an API key in the header {API_KEY_HEADER.title()}")


def _check_signature(target: Target, rule: Hmac, inbound: Inbound) -> None:
    """The secrets are those of the deployment, which is at hand."""
    held = target.deployment.secrets
    secrets = [held[key] for key in secret_keys(rule) if key in held]
    signed = Signed(inbound.delivery.headers, inbound.delivery.body)
    try:
        verify(rule, secrets, signed, utcnow())
    except SignatureInvalid as error:
        raise Unauthenticated(
            "The signature of this delivery is missing or wrong", code="signature_invalid", reason=error.reason
        ) from None
