"""Every reason says what it means, in general and of one unit."""

from datetime import UTC, datetime

import pytest

from ld_server.domain.risk import REASONS, Danger, Reason

MONDAY, FRIDAY = datetime(2027, 3, 1, 8, tzinfo=UTC), datetime(2027, 3, 5, 8, tzinfo=UTC)


def test_every_reason_has_a_meaning() -> None:
    assert set(REASONS) == set(Reason)
    assert all(text.endswith(".") for text in REASONS.values())


@pytest.mark.parametrize("reason", Reason)
def test_every_danger_can_be_told(reason: Reason) -> None:
    assert "asset_7" in Danger("ra_1", 3, "line-1", "asset_7", reason).sentence


@pytest.mark.parametrize(
    ("reason", "circumstances", "sentence"),
    [
        (Reason.OUT_OF_SERVICE, {"said": "maintenance"}, "the status of asset_7 is maintenance"),
        (Reason.OVERDUE, {"holder": "ra_2", "since": MONDAY}, "the unit asset_7 is still out with ra_2"),
        (
            Reason.UNAVAILABLE,
            {"said": "inspection", "since": MONDAY, "until": FRIDAY},
            "the unit asset_7 is unavailable from 2027-03-01T08:00:00Z until 2027-03-05T08:00:00Z (inspection)",
        ),
        (Reason.UNAVAILABLE, {"since": MONDAY}, "the unit asset_7 is unavailable from 2027-03-01T08:00:00Z"),
    ],
)
def test_a_danger_says_what_is_known(reason: Reason, circumstances: dict[str, object], sentence: str) -> None:
    assert Danger("ra_1", 3, "line-1", "asset_7", reason, **circumstances).sentence == sentence  # type: ignore[arg-type]
