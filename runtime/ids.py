"""Identifiers that sort by the time they were made, and secrets that cannot be guessed."""

import base64
import secrets
import threading
import time

CROCKFORD = "0123456789abcdefghjkmnpqrstvwxyz"
BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
RANDOM_BITS = 80


class _UlidClock:
    """Strictly monotonic within the process, also when the wall clock stands still or steps back."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = 0

    def next(self) -> int:
        fresh = (time.time_ns() // 1_000_000) << RANDOM_BITS | secrets.randbits(RANDOM_BITS)
        with self._lock:
            # Past the last one by a random stride, so that a neighbour's id does not give this one away.
            self._last = fresh if fresh > self._last else self._last + 1 + secrets.randbits(32)
            return self._last


_clock = _UlidClock()


def new_id(prefix: str) -> str:
    """`prefix_` and a ULID of 26 lower-case characters (48 bits of milliseconds, 80 random bits)."""
    return f"{prefix}_{_digits(_clock.next(), CROCKFORD, 26)}"


def new_secret(nbytes: int = 32) -> str:
    """Random letters and digits carrying at least `nbytes` bytes of randomness, of a fixed length."""
    length = -(-nbytes * 8_000 // 5_954)  # log2(62) is 5.9542
    return "".join(secrets.choice(BASE62) for _ in range(length))


def new_signing_secret() -> str:
    """As Standard Webhooks writes it: `whsec_` and 32 random bytes in base64."""
    return f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}"


def _digits(number: int, alphabet: str, length: int) -> str:
    digits = []
    for _ in range(length):
        number, digit = divmod(number, len(alphabet))
        digits.append(alphabet[digit])
    return "".join(reversed(digits))
