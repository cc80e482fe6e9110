import base64
import os
from typing import Any

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.converter import ActivitySerializationContext, WorkflowSerializationContext

from domain.errors import MalformedBody
from runtime.codec import INLINE_LIMIT, EncryptingCodec, PlaintextRefused, decode_json_payloads, encode_json_payloads
from runtime.crypto import DecryptionFailed, Keyring
from tests.runtime.blobs import MemoryBlobs

OLD = ("2025", os.urandom(32))
NEW = ("2026", os.urandom(32))
SMALL = Payload(metadata={"encoding": b"json/plain"}, data=b'"order 7"')
LARGE = Payload(metadata={"encoding": b"json/plain"}, data=b'"' + b"x" * INLINE_LIMIT + b'"')
WORKFLOW = WorkflowSerializationContext(namespace="default", workflow_id="exec_1")


def make_codec(blobs: MemoryBlobs | None = None, keys: list[tuple[str, bytes]] | None = None) -> EncryptingCodec:
    return EncryptingCodec(Keyring(keys or [NEW]), "default", blobs or MemoryBlobs())


def in_activity(workflow_id: str | None) -> ActivitySerializationContext:
    return ActivitySerializationContext("default", None, None, None, workflow_id, None, False)


async def test_payload_is_sealed_and_comes_back() -> None:
    codec = make_codec()
    [sealed] = await codec.encode([SMALL])
    assert sealed.metadata == {"encoding": b"binary/encrypted", "encryption-key-id": b"2026"}
    assert b"order" not in sealed.data
    assert await codec.decode([sealed]) == [SMALL]


async def test_several_payloads_keep_their_order() -> None:
    codec = make_codec().with_context(WORKFLOW)
    payloads = [SMALL, LARGE, Payload(metadata={"encoding": b"binary/null"})]
    assert await codec.decode(await codec.encode(payloads)) == payloads


async def test_payload_of_an_older_key_still_opens() -> None:
    sealed = await make_codec(keys=[OLD]).encode([SMALL])
    assert await make_codec(keys=[NEW, OLD]).decode(sealed) == [SMALL]


@pytest.mark.parametrize("encoding", [b"json/plain", b"binary/null", b"binary/Encrypted", None])
async def test_plaintext_is_refused(encoding: bytes | None) -> None:
    payload = Payload(metadata={"encoding": encoding} if encoding else {}, data=b"{}")
    with pytest.raises(PlaintextRefused):
        await make_codec().decode([payload])


async def test_payload_of_another_namespace_is_refused() -> None:
    sealed = await EncryptingCodec(Keyring([NEW]), "staging", MemoryBlobs()).encode([SMALL])
    with pytest.raises(DecryptionFailed):
        await make_codec().decode(sealed)


@pytest.mark.parametrize("context", [WORKFLOW, in_activity("exec_1")])
async def test_large_payload_becomes_a_reference_of_its_workflow(context: Any) -> None:
    blobs = MemoryBlobs()
    codec = make_codec(blobs).with_context(context)
    [sealed] = await codec.encode([LARGE])
    [(blob_id, stored)] = blobs.stored.items()
    assert sealed.metadata["encoding"] == b"binary/reference"
    assert sealed.data.decode() == blob_id
    assert blob_id.startswith("exec_1/")
    assert blobs.owners == {blob_id: "exec_1"}
    assert b"xxxx" not in stored
    assert await make_codec(blobs).decode([sealed]) == [LARGE]


async def test_payload_at_the_limit_stays_inline() -> None:
    blobs = MemoryBlobs()
    codec = make_codec(blobs).with_context(WORKFLOW)
    overhead = len(LARGE.SerializeToString()) - len(LARGE.data)
    at_limit = Payload(metadata=LARGE.metadata, data=b"x" * (INLINE_LIMIT - overhead))
    above = Payload(metadata=LARGE.metadata, data=at_limit.data + b"x")
    sealed = await codec.encode([at_limit, above])
    assert [payload.metadata["encoding"] for payload in sealed] == [b"binary/encrypted", b"binary/reference"]


async def test_retry_of_a_large_payload_leaves_one_blob() -> None:
    blobs = MemoryBlobs()
    codec = make_codec(blobs).with_context(WORKFLOW)
    first, second = await codec.encode([LARGE]), await codec.encode([LARGE])
    assert first == second
    assert len(blobs.stored) == 1
    assert await codec.decode(second) == [LARGE]


@pytest.mark.parametrize("context", [None, in_activity(None)])
async def test_large_payload_without_a_workflow_stays_inline(context: Any) -> None:
    blobs = MemoryBlobs()
    codec = make_codec(blobs)
    codec = codec.with_context(context) if context else codec
    [sealed] = await codec.encode([LARGE])
    assert sealed.metadata["encoding"] == b"binary/encrypted"
    assert not blobs.stored


async def test_blob_put_in_the_place_of_another_is_refused() -> None:
    blobs = MemoryBlobs()
    codec = make_codec(blobs).with_context(WORKFLOW)
    [mine] = await codec.encode([LARGE])
    await codec.encode([Payload(metadata=LARGE.metadata, data=LARGE.data + b" ")])
    [other] = set(blobs.stored) - {mine.data.decode()}
    blobs.stored[mine.data.decode()] = blobs.stored[other]
    with pytest.raises(DecryptionFailed):
        await codec.decode([mine])


async def test_json_protocol_encrypts_and_opens() -> None:
    codec = make_codec()
    body = {"payloads": [{"metadata": {"encoding": _base64(b"json/plain")}, "data": _base64(b"1")}]}
    sealed = await encode_json_payloads(codec, body)
    assert base64.b64decode(sealed["payloads"][0]["metadata"]["encoding"]) == b"binary/encrypted"
    assert await decode_json_payloads(codec, sealed) == body


async def test_json_protocol_fetches_references() -> None:
    blobs = MemoryBlobs()
    [reference] = await make_codec(blobs).with_context(WORKFLOW).encode([LARGE])
    metadata = {name: _base64(value) for name, value in reference.metadata.items()}
    body = {"payloads": [{"metadata": metadata, "data": _base64(reference.data)}]}
    opened = await decode_json_payloads(make_codec(blobs), body)
    assert base64.b64decode(opened["payloads"][0]["data"]) == LARGE.data


async def test_json_protocol_hands_back_what_is_not_ours() -> None:
    body = {"payloads": [{"metadata": {"encoding": _base64(b"json/plain")}, "data": _base64(b'"exec_1"')}]}
    assert await decode_json_payloads(make_codec(), body) == body


@pytest.mark.parametrize(
    "body",
    [
        {"payloads": 1},
        {"payloads": [{"data": "a"}]},
        {"payloads": [1]},
        {"payload": []},
        {"payloads": [{"metadata": []}]},
    ],
)
async def test_json_that_is_no_payloads_is_malformed(body: dict[str, Any]) -> None:
    for exchange in (decode_json_payloads, encode_json_payloads):
        with pytest.raises(MalformedBody):
            await exchange(make_codec(), body)


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
