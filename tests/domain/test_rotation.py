"""The order of a rotation, batch after batch."""

from dataclasses import replace

import pytest

from domain.messages import RotateBatch, RotateInput
from domain.rotation import FRESH, REPLACED, ROUNDS, SCHEDULES, WRAPPED, advanced, ended, outcome, stages

ASKED = RotateInput("job_1", "k2", stages=["a", "b", REPLACED])
OVER = RotateBatch("")


def test_data_keys_come_first_and_the_old_ones_go_last() -> None:
    assert stages(ASKED, ["secrets"], ["state"]) == [WRAPPED, "secrets", "state", SCHEDULES, REPLACED]
    with_data_keys = replace(ASKED, data_keys=True)
    assert stages(with_data_keys, ["secrets"], ["state"])[:2] == [WRAPPED, FRESH]


def test_one_customers_rotation_touches_nothing_else() -> None:
    of_customer = replace(ASKED, data_keys=True, customer_id="cust_1")
    assert stages(of_customer, ["secrets"], ["state"]) == [FRESH, "secrets", REPLACED]


def test_stage_goes_on_where_its_batch_stopped() -> None:
    state = advanced(ASKED, RotateBatch("cursor", done=3, failed=1))
    assert (state.at, state.cursor, state.done, state.failed) == (0, "cursor", 3, 1)
    state = advanced(state, RotateBatch("", done=2))
    assert (state.at, state.cursor, state.done, state.failed) == (1, "", 5, 1)


def test_rotation_ends_after_its_last_stage() -> None:
    state = ASKED
    for _ in ASKED.stages:
        assert not ended(state)
        state = advanced(state, OVER)
    assert ended(state)
    assert not ended(replace(ASKED, stages=[]))


def test_data_keys_in_use_are_looked_for_again_a_few_times() -> None:
    state = replace(ASKED, failed=1, done=7)
    for number in range(1, ROUNDS):
        state = advanced(replace(state, at=2), RotateBatch("", kept=1))
        assert (state.at, state.round, state.kept, state.failed, state.done) == (0, number + 1, 0, 0, 7)
    state = advanced(replace(state, at=2), RotateBatch("", kept=1))
    assert ended(state)
    assert outcome(state).failure is not None


@pytest.mark.parametrize(
    ("state", "code"),
    [
        (replace(ASKED, done=5), None),
        (replace(ASKED, done=5, failed=1), "values_unreadable"),
        (replace(ASKED, done=5, failed=1, kept=1), "values_unreadable"),
        (replace(ASKED, done=5, kept=1), "data_keys_in_use"),
    ],
)
def test_outcome_says_what_is_left(state: RotateInput, code: str | None) -> None:
    end = outcome(state)
    assert (end.job_id, end.state) == ("job_1", "failed" if code else "succeeded")
    assert (end.failure.code if end.failure else None) == code
    assert end.result == {"rewritten": 5, "unreadable": state.failed, "old_data_keys_in_use": state.kept}
