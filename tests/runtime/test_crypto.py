import os
from typing import Any

import pytest

from runtime.crypto import (
    DataKey,
    DecryptionFailed,
    KeyMissing,
    Keyring,
    data_key_id,
    hash_secret,
    ring_key_id,
    same_secret,
)

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
    with pytest.raises(KeyMissing, match="2025, which is not on the keyring"):
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
        with pytest.raises((DecryptionFailed, KeyMissing)):  # a changed id is that of a key that is not there
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


def test_data_key_opens_what_it_has_encrypted() -> None:
    key = DataKey.fresh("dk_1", "cust_1")
    blob = key.encrypt_json({"a": "é\ud800"}, CONTEXT)
    assert key.decrypt_json(blob, CONTEXT) == {"a": "é\ud800"}
    assert (blob[:6], data_key_id(blob)) == (b"\x02\x04dk_1", "dk_1")
    with pytest.raises(DecryptionFailed):
        key.decrypt_json(blob, "executions/exec_2/payload")


def test_data_key_survives_its_wrapping_and_a_new_ring() -> None:
    ring, rotated = Keyring([OLD]), Keyring([NEW, OLD])
    key = DataKey.fresh("dk_1", "cust_1")
    blob = key.encrypt_json("a", CONTEXT)
    again = DataKey.unwrap(rotated, "dk_1", "cust_1", key.wrap(ring)).wrap(rotated)
    assert ring_key_id(again) == "2026"
    assert DataKey.unwrap(Keyring([NEW]), "dk_1", "cust_1", again).decrypt_json(blob, CONTEXT) == "a"


@pytest.mark.parametrize(("key_id", "owner"), [("dk_2", "cust_1"), ("dk_1", "cust_2")])
def test_wrapped_key_is_of_one_id_and_one_owner(key_id: str, owner: str) -> None:
    ring = Keyring([OLD])
    wrapped = DataKey.fresh("dk_1", "cust_1").wrap(ring)
    with pytest.raises(DecryptionFailed):
        DataKey.unwrap(ring, key_id, owner, wrapped)


def test_value_is_of_one_owner() -> None:
    """Even if another customer's key were the same."""
    key = DataKey.fresh("dk_1", "cust_1")
    with pytest.raises(DecryptionFailed):
        DataKey("dk_1", "cust_2", key.secret).decrypt_json(key.encrypt_json("a", CONTEXT), CONTEXT)


def test_formats_are_not_mistaken_for_each_other() -> None:
    ring, key = Keyring([("dk_1", OLD[1])]), DataKey("dk_1", "", OLD[1])
    assert data_key_id(ring.encrypt(b"a", CONTEXT)) is None
    with pytest.raises(DecryptionFailed):
        key.decrypt_json(ring.encrypt(b"1", CONTEXT), CONTEXT)
    with pytest.raises(DecryptionFailed):
        ring.decrypt(key.encrypt_json(1, CONTEXT), CONTEXT)


def test_hash_key_outlives_the_ring() -> None:
    first = Keyring([OLD])
    assert Keyring([NEW], first.hash_key).keyed_hash("a") == first.keyed_hash("a")
