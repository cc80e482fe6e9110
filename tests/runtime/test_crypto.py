import os
from typing import Any

import pytest

from runtime.crypto import DecryptionFailed, Keyring, hash_secret, same_secret

OLD = ("2025", os.urandom(32))
NEW = ("2026", os.urandom(32))
CONTEXT = "executions/exec_1/payload"


def test_blob_opens_with_its_ring_and_context() -> None:
    ring = Keyring([NEW])
    assert ring.decrypt(ring.encrypt(b"order 7", CONTEXT), CONTEXT) == b"order 7"


def test_blob_names_its_key_and_hides_its_data() -> None:
    blob = Keyring([NEW]).encrypt(b"order 7" * 9, CONTEXT)
    assert blob[:6] == b"\x01\x042026"
    assert b"order" not in blob


def test_equal_values_encrypt_differently() -> None:
    ring = Keyring([NEW])
    assert ring.encrypt(b"a", CONTEXT) != ring.encrypt(b"a", CONTEXT)


def test_rotated_ring_encrypts_with_the_first_and_opens_the_old() -> None:
    rotated = Keyring([NEW, OLD])
    assert rotated.decrypt(Keyring([OLD]).encrypt(b"a", CONTEXT), CONTEXT) == b"a"
    assert Keyring([NEW]).decrypt(rotated.encrypt(b"b", CONTEXT), CONTEXT) == b"b"


def test_blob_of_a_dropped_key_is_refused() -> None:
    with pytest.raises(DecryptionFailed, match="not on the keyring"):
        Keyring([NEW]).decrypt(Keyring([OLD]).encrypt(b"a", CONTEXT), CONTEXT)


def test_blob_of_another_context_is_refused() -> None:
    ring = Keyring([NEW])
    with pytest.raises(DecryptionFailed):
        ring.decrypt(ring.encrypt(b"a", CONTEXT), "executions/exec_2/payload")


def test_any_changed_byte_is_noticed() -> None:
    ring = Keyring([NEW])
    blob = ring.encrypt(b"abc", CONTEXT)
    for position in range(len(blob)):
        changed = blob[:position] + bytes([blob[position] ^ 1]) + blob[position + 1 :]
        with pytest.raises(DecryptionFailed):
            ring.decrypt(changed, CONTEXT)


@pytest.mark.parametrize("length", range(30))
def test_blob_cut_short_is_refused(length: int) -> None:
    ring = Keyring([NEW])
    with pytest.raises(DecryptionFailed):
        ring.decrypt(ring.encrypt(b"", CONTEXT)[:length], CONTEXT)


def test_failure_shows_neither_data_nor_key() -> None:
    ring = Keyring([NEW])
    with pytest.raises(DecryptionFailed) as failure:
        ring.decrypt(b"plain words", CONTEXT)
    assert "plain" not in str(failure.value)


@pytest.mark.parametrize("value", [None, {"a": [1, 2.5, "é\ud800\x00"]}, "\udfff", [True, False], 2**70])
def test_json_survives(value: Any) -> None:
    ring = Keyring([NEW])
    assert ring.decrypt_json(ring.encrypt_json(value, CONTEXT), CONTEXT) == value


def test_json_without_a_standard_form_is_refused() -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        Keyring([NEW]).encrypt_json(float("nan"), CONTEXT)


def test_keyed_hash_survives_a_new_primary_key() -> None:
    assert Keyring([NEW, OLD]).keyed_hash("dedupe-1") == Keyring([OLD]).keyed_hash("dedupe-1")


def test_keyed_hash_depends_on_key_and_value() -> None:
    hashes = {ring.keyed_hash(value) for ring in (Keyring([OLD]), Keyring([NEW])) for value in ("a", "b", "\ud800")}
    assert len(hashes) == 6
    assert Keyring([OLD]).keyed_hash("a") == Keyring([OLD]).keyed_hash(b"a")


@pytest.mark.parametrize("keys", [[], [("", OLD[1])], [("a b", OLD[1])], [("k", b"short")], [OLD, OLD]])
def test_unusable_ring_is_refused(keys: list[tuple[str, bytes]]) -> None:
    with pytest.raises(ValueError, match="key"):
        Keyring(keys)


def test_stored_secret_is_compared_by_its_hash() -> None:
    stored = hash_secret("fg_key_1")
    assert len(stored) == 64
    assert same_secret(stored, hash_secret("fg_key_1"))
    assert not same_secret(stored, hash_secret("fg_key_2"))
    assert not same_secret("é", "\ud800")
