"""The reference library of Standard Webhooks accepts our signatures, and nothing that was changed since."""

import base64
from datetime import UTC, datetime, timedelta

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from ld_server.domain.signing import key_of, new_secret, signed

BODY = b'{"id":"evt_1","type":"rentAction.approved"}'


def now() -> datetime:
    """The library compares with the clock."""
    return datetime.now(UTC)


def test_the_reference_library_accepts_a_signature():
    secret = new_secret()
    assert Webhook(secret).verify(BODY, signed("evt_1", now(), BODY, [secret]))["id"] == "evt_1"


def test_while_secrets_are_exchanged_both_are_accepted():
    old, new = new_secret(), new_secret()
    headers = signed("evt_1", now(), BODY, [new, old])
    for secret in (old, new):
        assert Webhook(secret).verify(BODY, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(new_secret()).verify(BODY, headers)


@pytest.mark.parametrize(
    ("change", "body"),
    [({"webhook-id": "evt_2"}, BODY), ({"webhook-timestamp": str(int(now().timestamp()) + 1)}, BODY), ({}, BODY + b" ")],
    ids=["another id", "another time", "another body"],
)
def test_whatever_is_changed_the_signature_no_longer_fits(change, body):
    secret = new_secret()
    headers = {**signed("evt_1", now() - timedelta(seconds=5), BODY, [secret]), **change}
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(body, headers)


def test_the_signature_of_the_specification():
    """The example that the reference libraries are tested with."""
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    at = datetime.fromtimestamp(1614265330, UTC)
    headers = signed("msg_p5jXN8AQM9LWM0D4loKWxJek", at, b'{"test": 2432232314}', [secret])
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize(
    "secret",
    [
        "",
        "whsec_",
        "sesame",
        "whsec_sesame!",
        base64.b64encode(b"x" * 32).decode(),
        "whsec_" + base64.b64encode(b"x" * 23).decode(),
        "whsec_ü",
    ],
)
def test_what_is_no_secret_is_refused_without_being_repeated(secret):
    with pytest.raises(ValueError, match="Base64") as refused:
        key_of(secret)
    assert not secret or secret == "whsec_" or secret not in str(refused.value)
