"""The Temporal payload codec: history holds ciphertext only, and a reference where a payload is large."""

from collections.abc import Sequence
from typing import Any, Protocol, Self

from google.protobuf import json_format
from google.protobuf.message import DecodeError
from temporalio.api.common.v1 import Payload, Payloads
from temporalio.converter import (
    ActivitySerializationContext,
    DataConverter,
    DefaultFailureConverterWithEncodedAttributes,
    PayloadCodec,
    SerializationContext,
    WithSerializationContext,
    WorkflowSerializationContext,
)

from domain.errors import MalformedBody
from runtime.crypto import DecryptionFailed, Keyring
from runtime.messages import MessageConverter

INLINE_LIMIT = 64 * 1024  # bytes of the serialized payload; the server refuses 2 MB and bloats long before
ENCRYPTED = b"binary/encrypted"
REFERENCE = b"binary/reference"


class PlaintextRefused(RuntimeError):
    """A payload from Temporal was not encrypted by us, so it may be anybody's."""


class BlobStore(Protocol):
    """Where large payloads lie, encrypted. The store's adapter is injected by the worker and the API."""

    async def put(self, blob_id: str, workflow_id: str, data: bytes) -> None:
        """Idempotent: a known id keeps its first bytes."""
        ...

    async def get(self, blob_id: str) -> bytes:
        """Raises LookupError when there is none."""
        ...


class EncryptingCodec(PayloadCodec, WithSerializationContext):
    """AES-GCM with the namespace as associated data; refuses whatever it did not encrypt.

    A payload over 64 KiB becomes a blob whose id is made of the workflow id and a keyed hash of the plaintext, so that
    a retry writes the same blob again. Without a workflow id (a memo of a schedule, say) it stays inline.
    """

    def __init__(self, keyring: Keyring, namespace: str, blobs: BlobStore, workflow_id: str | None = None) -> None:
        self._keyring = keyring
        self._namespace = namespace
        self._blobs = blobs
        self._workflow_id = workflow_id
        self._context = f"temporal/{namespace}"

    def with_context(self, context: SerializationContext) -> Self:
        if not isinstance(context, WorkflowSerializationContext | ActivitySerializationContext):
            return self
        return type(self)(self._keyring, self._namespace, self._blobs, context.workflow_id)

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return [await self._encode_one(payload) for payload in payloads]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return [await self._decode_one(payload) for payload in payloads]

    async def _encode_one(self, payload: Payload) -> Payload:
        plain = payload.SerializeToString(deterministic=True)
        if len(plain) > INLINE_LIMIT and self._workflow_id:
            return await self._encode_reference(plain, self._workflow_id)
        return self._sealed(ENCRYPTED, self._keyring.encrypt(plain, self._context))

    async def _encode_reference(self, plain: bytes, workflow_id: str) -> Payload:
        blob_id = f"{workflow_id}/{self._keyring.keyed_hash(plain)}"
        await self._blobs.put(blob_id, workflow_id, self._keyring.encrypt(plain, self._blob_context(blob_id)))
        # In `data`, because the server takes a memo field without data for a deleted one.
        return self._sealed(REFERENCE, blob_id.encode())

    async def _decode_one(self, payload: Payload) -> Payload:
        encoding = payload.metadata.get("encoding")
        if encoding == ENCRYPTED:
            return _parse(self._keyring.decrypt(payload.data, self._context))
        if encoding == REFERENCE:
            blob_id = payload.data.decode()
            return _parse(self._keyring.decrypt(await self._blobs.get(blob_id), self._blob_context(blob_id)))
        raise PlaintextRefused("a payload from Temporal is not encrypted by Flowgraft")

    def _sealed(self, encoding: bytes, data: bytes) -> Payload:
        key_id = self._keyring.primary_id.encode()
        return Payload(metadata={"encoding": encoding, "encryption-key-id": key_id}, data=data)

    def _blob_context(self, blob_id: str) -> str:
        return blob_context(self._namespace, blob_id)


def blob_context(namespace: str, blob_id: str) -> str:
    """The associated data of an encrypted blob."""
    return f"temporal/{namespace}/{blob_id}"


class EncryptingConverter(DataConverter):
    """The SDK asks for a converter with context at every payload, and its own way builds all parts anew."""

    def with_context(self, context: SerializationContext) -> Self:
        assert isinstance(self.payload_codec, EncryptingCodec)
        bound = object.__new__(type(self))
        vars(bound).update(vars(self), payload_codec=self.payload_codec.with_context(context))
        return bound


def data_converter(keyring: Keyring, namespace: str, blobs: BlobStore) -> DataConverter:
    """Encrypts payloads and also the message and the stack trace of failures."""
    return EncryptingConverter(
        payload_converter_class=MessageConverter,
        payload_codec=EncryptingCodec(keyring, namespace, blobs),
        failure_converter_class=DefaultFailureConverterWithEncodedAttributes,
    )


async def decode_json_payloads(codec: EncryptingCodec, body: dict[str, Any]) -> dict[str, Any]:
    """Temporal's remote codec protocol, as its Web UI speaks it.

    The UI also sends payloads that the server and the SDK wrote in the clear; those come back as they are.
    """
    payloads = _from_json(body)
    for index, payload in enumerate(payloads.payloads):
        if payload.metadata.get("encoding") in (ENCRYPTED, REFERENCE):
            payloads.payloads[index].CopyFrom((await codec.decode([payload]))[0])
    return json_format.MessageToDict(payloads)


async def encode_json_payloads(codec: EncryptingCodec, body: dict[str, Any]) -> dict[str, Any]:
    """The other direction, for a value typed into the Web UI."""
    return json_format.MessageToDict(Payloads(payloads=await codec.encode(_from_json(body).payloads)))


def _from_json(body: dict[str, Any]) -> Payloads:
    try:
        return json_format.ParseDict(body, Payloads())
    except json_format.ParseError:
        raise MalformedBody("the body must be {payloads: [{metadata, data}]} with values in base64") from None


def _parse(plain: bytes) -> Payload:
    try:
        return Payload.FromString(plain)
    except DecodeError:
        raise DecryptionFailed("The decrypted value is not a payload.") from None
