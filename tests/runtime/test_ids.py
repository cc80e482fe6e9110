import re
import time
from concurrent.futures import ThreadPoolExecutor

from runtime.ids import CROCKFORD, new_id, new_secret


def test_id_has_its_prefix_and_a_lower_case_ulid() -> None:
    assert re.fullmatch(rf"exec_[0-7][{CROCKFORD}]{{25}}", new_id("exec"))


def test_id_holds_the_milliseconds_of_its_making() -> None:
    before = time.time_ns() // 1_000_000
    text = new_id("exec").removeprefix("exec_")[:10]
    after = time.time_ns() // 1_000_000
    milliseconds = 0
    for character in text:
        milliseconds = milliseconds * 32 + CROCKFORD.index(character)
    assert before <= milliseconds <= after


def test_ids_made_one_after_another_sort_strictly() -> None:
    made = [new_id("x") for _ in range(20_000)]
    assert made == sorted(set(made))


def test_ids_made_in_many_threads_are_unique_and_sorted_in_each() -> None:
    with ThreadPoolExecutor(8) as threads:
        batches = list(threads.map(lambda _: [new_id("x") for _ in range(2_000)], range(8)))
    assert len({made for batch in batches for made in batch}) == 16_000
    assert all(batch == sorted(batch) for batch in batches)


def test_secret_carries_the_bytes_it_was_asked_for() -> None:
    assert re.fullmatch(r"[0-9A-Za-z]{43}", new_secret())
    assert len(new_secret(16)) == 22
    assert len({new_secret() for _ in range(100)}) == 100
