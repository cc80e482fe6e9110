"""Encryption at rest: the ring of keys, data keys, and the hashes that stand for secrets and values we must not show.

A blob is `format byte, length of the key id, key id, nonce, ciphertext`. The `context` (such as
`executions/exec_1/payload`) is authenticated but not stored, so a blob cannot be moved to another row.
"""

import hashlib
import hmac
import json
import os
import re
from collections.abc import Sequence
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from domain.errors import Conflict, Unavailable

RING_FORMAT, DATA_FORMAT = 1, 2  # under a key of the ring, under a data key
KEY_BYTES = 32
NONCE_BYTES = 12
KEY_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


class DecryptionFailed(Conflict):
    """The bytes were changed, belong to another place, or their data key is gone: no repeat mends it. Shows no data."""

    code = "decryption_failed"


class KeyMissing(Unavailable):
    """The value is under a key that is not on the ring; with that key it can be read again."""

    code = "encryption_key_missing"


class Keyring:
    """The first key encrypts, every key decrypts: put a new key in front, rotate, then drop the old one."""

    def __init__(self, keys: Sequence[tuple[str, bytes]], hash_key: bytes | None = None) -> None:
        """Without a `hash_key` it is derived from the last key, as it was before there were data keys."""
        if not keys:
            raise ValueError("a keyring needs at least one key")
        for key_id, key in keys:
            if not KEY_ID.fullmatch(key_id):
                raise ValueError("a key id is 1 to 64 letters, digits, dots, dashes and underscores")
            if len(key) != KEY_BYTES:
                raise ValueError(f"key {key_id} must have {KEY_BYTES} bytes, not {len(key)}")
        self._ciphers = {key_id: AESGCM(key) for key_id, key in keys}
        if len(self._ciphers) != len(keys):
            raise ValueError("two keys have the same id")
        self.primary_id = keys[0][0]
        derived = HKDF(SHA256(), KEY_BYTES, salt=None, info=b"flowgraft/keyed-hash")
        self.hash_key = derived.derive(keys[-1][1]) if hash_key is None else hash_key

    @property
    def ids(self) -> list[str]:
        """The primary first."""
        return list(self._ciphers)

    def encrypt(self, data: bytes, context: str) -> bytes:
        return _seal(self._ciphers[self.primary_id], blob_prefix(RING_FORMAT, self.primary_id), data, context)

    def decrypt(self, blob: bytes, context: str) -> bytes:
        key_id, body = _split(blob, RING_FORMAT)
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            raise KeyMissing(f"A stored value is under the encryption key {key_id}, which is not on the keyring.")
        return _open(cipher, body, context)

    def encrypt_json(self, value: Any, context: str) -> bytes:
        return self.encrypt(json_bytes(value), context)

    def decrypt_json(self, blob: bytes, context: str) -> Any:
        return json.loads(self.decrypt(blob, context))

    def keyed_hash(self, value: str | bytes) -> str:
        """HMAC-SHA256 in hex: equal values are recognised without being stored, whatever keys come and go."""
        data = value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value
        return hmac.new(self.hash_key, data, hashlib.sha256).hexdigest()


class DataKey:
    """A key of one owner: a customer's, or the organisation's. It is stored wrapped by a key of the ring.

    The owner is authenticated with each value and with the wrapped key, so neither serves another customer.
    """

    def __init__(self, key_id: str, owner: str, key: bytes) -> None:
        self.id = key_id
        self.owner = owner
        self.secret = key
        self._cipher = AESGCM(key)

    @classmethod
    def fresh(cls, key_id: str, owner: str) -> "DataKey":
        return cls(key_id, owner, os.urandom(KEY_BYTES))

    @classmethod
    def unwrap(cls, keyring: Keyring, key_id: str, owner: str, wrapped: bytes) -> "DataKey":
        return cls(key_id, owner, keyring.decrypt(wrapped, f"data_keys/{key_id}/{owner}"))

    def wrap(self, keyring: Keyring) -> bytes:
        return keyring.encrypt(self.secret, f"data_keys/{self.id}/{self.owner}")

    def encrypt_json(self, value: Any, context: str) -> bytes:
        return _seal(self._cipher, blob_prefix(DATA_FORMAT, self.id), json_bytes(value), self._bound(context))

    def decrypt_json(self, blob: bytes, context: str) -> Any:
        return json.loads(_open(self._cipher, _split(blob, DATA_FORMAT)[1], self._bound(context)))

    def _bound(self, context: str) -> str:
        return f"{self.owner}/{context}"


def hash_secret(text: str) -> str:
    """What is stored of an API key. Plain SHA-256 is enough: our keys are long and random."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def same_secret(a: str, b: str) -> bool:
    """Compares in constant time."""
    return hmac.compare_digest(a.encode("utf-8", "surrogatepass"), b.encode("utf-8", "surrogatepass"))


def json_bytes(value: Any) -> bytes:
    """Escapes everything beyond ASCII, so that lone surrogates survive. Refuses NaN and infinity."""
    return json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":")).encode()


def blob_prefix(form: int, key_id: str) -> bytes:
    """What every blob under this key begins with."""
    return bytes([form, len(key_id)]) + key_id.encode()


def data_key_id(blob: bytes) -> str | None:
    """The id of the data key that this blob is under; None of one under the ring."""
    return _split(blob, DATA_FORMAT)[0] if blob[:1] == bytes([DATA_FORMAT]) else None


def ring_key_id(blob: bytes) -> str:
    """The id of the key of the ring that this blob is straight under."""
    return _split(blob, RING_FORMAT)[0]


def _seal(cipher: AESGCM, prefix: bytes, data: bytes, context: str) -> bytes:
    nonce = os.urandom(NONCE_BYTES)
    return prefix + nonce + cipher.encrypt(nonce, data, context.encode())


def _open(cipher: AESGCM, body: bytes, context: str) -> bytes:
    try:
        return cipher.decrypt(body[:NONCE_BYTES], body[NONCE_BYTES:], context.encode())
    except (InvalidTag, ValueError):
        raise DecryptionFailed("A stored value cannot be decrypted: it was changed, or belongs elsewhere.") from None


def _split(blob: bytes, form: int) -> tuple[str, bytes]:
    end = 2 + blob[1] if len(blob) > 1 else 2
    key_id = blob[2:end].decode("ascii", "replace")
    if blob[:1] != bytes([form]) or len(blob) < end or not KEY_ID.fullmatch(key_id):
        raise DecryptionFailed("A stored value cannot be decrypted: it is not an encrypted value.")
    return key_id, blob[end:]
