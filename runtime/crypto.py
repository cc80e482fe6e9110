"""Encryption at rest with a ring of keys, and the hashes that stand for secrets and for values we must not show."""

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

FORMAT = 1
KEY_BYTES = 32
NONCE_BYTES = 12
KEY_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


class DecryptionFailed(RuntimeError):
    """The key is not on the ring, the bytes were changed, or they belong to another context. Never shows data."""


class Keyring:
    """The first key encrypts, every key decrypts: put a new key in front, rewrite at leisure, then drop the old one.

    A blob is `version byte, length of the key id, key id, nonce, ciphertext`. The `context` (such as
    `executions/exec_1/payload`) is authenticated but not stored, so a blob cannot be moved to another row.
    """

    def __init__(self, keys: Sequence[tuple[str, bytes]]) -> None:
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
        self._header = bytes([FORMAT, len(self.primary_id)]) + self.primary_id.encode()
        self._hash_key = HKDF(SHA256(), KEY_BYTES, salt=None, info=b"flowgraft/keyed-hash").derive(keys[-1][1])

    def encrypt(self, data: bytes, context: str) -> bytes:
        nonce = os.urandom(NONCE_BYTES)
        return self._header + nonce + self._ciphers[self.primary_id].encrypt(nonce, data, context.encode())

    def decrypt(self, blob: bytes, context: str) -> bytes:
        key_id, body = _split(blob)
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            raise DecryptionFailed("the encryption key of this value is not on the keyring")
        try:
            return cipher.decrypt(body[:NONCE_BYTES], body[NONCE_BYTES:], context.encode())
        except (InvalidTag, ValueError):
            raise DecryptionFailed("the value was changed or belongs to another context") from None

    def encrypt_json(self, value: Any, context: str) -> bytes:
        """Escapes everything beyond ASCII, so that lone surrogates survive. Refuses NaN and infinity."""
        text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
        return self.encrypt(text.encode(), context)

    def decrypt_json(self, blob: bytes, context: str) -> Any:
        return json.loads(self.decrypt(blob, context))

    def keyed_hash(self, value: str | bytes) -> str:
        """HMAC-SHA256 in hex: equal values are recognised without being stored.

        Its key is derived from the *oldest* key, the last of the ring, so that a new primary key does not change it.
        Dropping the oldest key does: values hashed before are then not recognised as the same.
        """
        data = value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value
        return hmac.new(self._hash_key, data, hashlib.sha256).hexdigest()


def hash_secret(text: str) -> str:
    """What is stored of an API key. Plain SHA-256 is enough: our keys are long and random."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def same_secret(a: str, b: str) -> bool:
    """Compares in constant time."""
    return hmac.compare_digest(a.encode("utf-8", "surrogatepass"), b.encode("utf-8", "surrogatepass"))


def _split(blob: bytes) -> tuple[str, bytes]:
    if len(blob) < 2 or blob[0] != FORMAT:
        raise DecryptionFailed("this is not an encrypted value")
    end = 2 + blob[1]
    return blob[2:end].decode("ascii", "replace"), blob[end:]
