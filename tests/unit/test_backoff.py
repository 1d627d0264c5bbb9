"""Failed deliveries are tried again at the promised times, never earlier, and not for ever."""

from datetime import UTC, datetime, timedelta

import pytest

from workers.backoff import JITTER, LONGEST_WISH, PAUSES, next_attempt, wished

NOON = datetime(2026, 12, 1, 12, tzinfo=UTC)
PROMISED = ["0:00:05", "0:05:00", "0:30:00", "2:00:00", "5:00:00", "10:00:00", "14:00:00", "20:00:00", "1 day, 0:00:00"]


def test_the_pauses_are_those_that_are_promised():
    assert [str(next_attempt(failures, NOON, 0.0) - NOON) for failures in range(1, 10)] == PROMISED


def test_after_the_last_pause_nothing_more_is_tried():
    assert next_attempt(len(PAUSES), NOON, 0.5) is not None
    assert next_attempt(len(PAUSES) + 1, NOON, 0.5) is None


@pytest.mark.parametrize("chance", [0.0, 0.25, 1.0])
def test_chance_makes_pauses_longer_and_never_shorter(chance):
    pause = next_attempt(3, NOON, chance) - NOON
    assert pause == PAUSES[2] * (1 + JITTER * chance)


def test_the_receiver_can_ask_for_a_longer_pause_but_not_for_a_shorter_one():
    assert next_attempt(1, NOON, 0.0, NOON + timedelta(minutes=10)) == NOON + timedelta(minutes=10)
    assert next_attempt(2, NOON, 0.0, NOON + timedelta(seconds=1)) == NOON + timedelta(minutes=5)


def test_nobody_can_ask_for_more_than_a_day():
    assert next_attempt(1, NOON, 0.0, NOON + timedelta(days=400)) == NOON + LONGEST_WISH


@pytest.mark.parametrize(
    ("header", "at"),
    [
        ("120", NOON + timedelta(minutes=2)),
        (" 0 ", NOON),
        ("99999999999999999999", NOON + LONGEST_WISH),
        ("Tue, 01 Dec 2026 12:05:00 GMT", NOON + timedelta(minutes=5)),
        ("Tue, 01 Dec 2026 11:00:00 GMT", NOON - timedelta(hours=1)),
        (None, None),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("²", None),
    ],
)
def test_both_forms_of_retry_after_are_read(header, at):
    assert wished(header, NOON) == at
