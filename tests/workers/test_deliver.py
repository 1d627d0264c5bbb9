"""Deliveries: what is sent, when it is sent again, in which order, and when not any more."""

import threading
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import orjson
import pytest
from standardwebhooks import Webhook

from ld_server.services import deliveries, triggers, webhooks
from relational.deliveries import Endpoint
from relational.outbox import Selection
from tests.certificates import Authority
from tests.receivers import Receiver, Reply, receiving
from tests.workers.posts import SECRET, PostOffice, open_office
from workers.actions.job import Outcome
from workers.backoff import JITTER, PAUSES
from workers.deliver import WINDOW
from workers.relay import Relay
from workers.results import DISABLED_AFTER, LOST, OPEN_AFTER, Result


@pytest.fixture
def office(database_url: str, tmp_path: Path) -> Iterator[PostOffice]:
    office = open_office(database_url, tmp_path)
    yield office
    office.parts.close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


def test_an_event_is_posted_once_signed_so_that_the_reference_library_accepts_it(office: PostOffice, receiver: Receiver) -> None:
    office.trigger(office.webhook(receiver.url))
    event = office.event(note="für Ümläute")
    assert office.run() == 1
    (got,) = receiver.got
    assert Webhook(SECRET).verify(got.body, dict(got.headers))["id"] == event
    assert got.headers["webhook-id"] == event
    assert got.headers["content-type"] == "application/json"
    assert got.json["meta"]["sequence"] == 1
    assert got.json["data"]["note"] == "für Ümläute"
    delivery = office.one()
    assert (delivery.status, delivery.attempts, delivery.last_status, delivery.next_attempt_at) == ("delivered", 1, 200, None)
    (attempt,) = office.attempts(delivery.identifier)
    assert (attempt.status, attempt.response_head, attempt.error) == (200, "thanks", None)
    assert orjson.loads(attempt.request_headers)["webhook-id"] == event
    assert SECRET.removeprefix("whsec_") not in attempt.request_headers
    assert office.run() == 0


def test_triggers_get_the_events_that_they_are_for_and_that_happen_after_them(office: PostOffice, receiver: Receiver) -> None:
    office.event("ra_0", purpose="race")
    hook = office.webhook(receiver.url)
    office.trigger(hook, types=["rentAction.approved"], filter={"data.purpose": "race"})
    wanted = [office.event("ra_1", purpose="race")]
    office.event("ra_2", purpose="training")
    office.event("ra_3", "rentAction.created", purpose="race")
    office.run()
    assert receiver.ids == wanted


def test_relaying_twice_makes_no_second_delivery(office: PostOffice, receiver: Receiver) -> None:
    office.trigger(office.webhook(receiver.url))
    office.event()
    office.relay()
    with office.parts.ledger.write() as uow:
        uow.facts.set("relayed_up_to", "0")
    office.relay("second")
    assert len(office.all()) == 1


def test_two_relays_at_once_make_each_delivery_once(office: PostOffice, receiver: Receiver) -> None:
    office.trigger(office.webhook(receiver.url))
    events = [office.event(f"ra_{number}") for number in range(30)]
    slow = replace(office, parts=replace(office.parts, settings=replace(office.parts.settings, relay_batch=3, relay_lease=0.000001)))
    barrier = threading.Barrier(2)

    def run(owner: str) -> None:
        barrier.wait()
        slow.relay(owner)

    threads = [threading.Thread(target=run, args=(owner,)) for owner in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    slow.relay()
    assert sorted(one.event_id for one in office.all()) == events


def test_what_fails_is_tried_again_at_the_promised_times_and_is_dead_in_the_end(office: PostOffice, receiver: Receiver) -> None:
    receiver.answer = lambda _got: Reply(503, body=b"later " * 1000)
    office.trigger(office.webhook(receiver.url))
    office.event()
    office.run()
    for pause in PAUSES:
        delivery = office.one()
        wait = delivery.next_attempt_at - office.clock()
        assert pause <= wait <= pause * (1 + JITTER)
        office.clock.now = delivery.next_attempt_at - timedelta(microseconds=1)
        assert office.deliver() == 0
        office.clock.forward(microseconds=1)
        office.clock.now = max(office.clock.now, office.endpoint("hook_1").open_until or office.clock.now)
        assert office.deliver() == 1
    delivery = office.one()
    assert (delivery.status, delivery.attempts, delivery.last_status) == ("dead", len(PAUSES) + 1, 503)
    attempts = office.attempts(delivery.identifier)
    assert [one.attempt for one in attempts] == list(range(1, len(PAUSES) + 2))
    assert {(one.status, len(one.response_head or "")) for one in attempts} == {(503, 1024)}
    office.clock.forward(days=30)
    assert office.deliver() == 0


def test_a_receiver_that_asks_for_a_pause_gets_it(office: PostOffice, receiver: Receiver) -> None:
    receiver.answer = lambda _got: Reply(429, {"Retry-After": "600"})
    office.trigger(office.webhook(receiver.url))
    office.event("ra_1")
    office.event("ra_2")
    office.run()
    sent = len(receiver.got)
    office.clock.forward(seconds=599)
    office.event("ra_3")
    assert office.run() == 0
    receiver.answer = lambda _got: Reply()
    office.clock.forward(seconds=1)
    office.deliver()
    assert sorted(receiver.ids[sent:]) == sorted({one.event_id for one in office.all()})


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_redirects_are_not_followed(office: PostOffice, receiver: Receiver, status: int) -> None:
    with receiving() as other:
        receiver.answer = lambda _got: Reply(status, {"Location": other.url})
        office.trigger(office.webhook(receiver.url))
        office.event()
        office.run()
        assert (len(receiver.got), len(other.got)) == (1, 0)
        assert "redirects are not followed" in str(office.one().last_error)


def test_410_disables_the_webhook_and_tells_so(office: PostOffice, receiver: Receiver) -> None:
    receiver.answer = lambda _got: Reply(410)
    hook = office.webhook(receiver.url, concurrency=1)
    office.trigger(hook)
    for number in range(3):
        office.event(f"ra_{number}")
    office.run()
    assert len(receiver.got) == 1
    assert office.statuses() == ["dead", "cancelled", "cancelled"]
    (told,) = office.events("webhook.disabled")
    assert told["subject"] == {"type": "Webhook", "id": hook}
    assert "410" in told["data"]["description"]
    office.event("ra_9")
    assert office.run() == 0
    assert len(office.all()) == 3


def test_410_disables_the_trigger_where_the_address_has_no_webhook_of_its_own(office: PostOffice, receiver: Receiver) -> None:
    receiver.answer = lambda _got: Reply(410)
    trigger = office.trigger({"type": "webhook", "url": receiver.url})
    office.event("ra_1")
    office.run()
    (told,) = office.events("webhook.disabled")
    assert told["subject"] == {"type": "Trigger", "id": trigger}
    office.event("ra_2")
    assert office.run() == 0
    with office.parts.ledger.read() as uow:
        row = uow.triggers.find(trigger)
    assert row is not None
    assert (row.enabled, orjson.loads(row.body)["enabled"]) == (False, False)


def test_a_webhook_that_fails_for_five_days_is_disabled(office: PostOffice, receiver: Receiver) -> None:
    receiver.answer = lambda _got: Reply(500)
    office.trigger(office.webhook(receiver.url))
    office.event("ra_1")
    office.run()
    office.clock.forward(seconds=DISABLED_AFTER.total_seconds() - 60)
    office.run()
    assert office.events("webhook.disabled") == []
    office.clock.forward(hours=30)
    office.run()
    assert len(office.events("webhook.disabled")) == 1


@pytest.mark.parametrize("how", ["webhook", "address"])
def test_what_is_enabled_again_begins_anew(office: PostOffice, receiver: Receiver, how: str) -> None:
    receiver.answer = lambda _got: Reply(500)
    hook = office.webhook(receiver.url)
    trigger = office.trigger(hook if how == "webhook" else {"type": "webhook", "url": receiver.url})
    place = hook if how == "webhook" else receiver.url
    for pause in (timedelta(), DISABLED_AFTER - timedelta(minutes=1), timedelta(hours=30)):
        office.event("ra_1")
        office.clock.now += pause
        office.run()
    assert len(office.events("webhook.disabled")) == 1
    _enable(office, hook, trigger)
    assert office.endpoint(place) == Endpoint(place, next_slot_at=office.endpoint(place).next_slot_at)
    event = office.event("ra_2")
    office.run()
    assert (receiver.ids[-1], len(office.events("webhook.disabled"))) == (event, 1)


def test_what_a_webhook_failed_with_goes_to_its_new_address_at_once(office: PostOffice, receiver: Receiver) -> None:
    receiver.answer = lambda got: Reply(200 if got.path == "/in/new" else 500)
    hook = office.webhook(receiver.url)
    trigger = office.trigger(hook)
    events = [office.event(f"ra_{number}") for number in range(OPEN_AFTER)]
    office.run()
    assert office.endpoint(hook).open_until > office.clock()
    _enable(office, hook, trigger, url=f"{receiver.url}/new")
    office.deliver()
    assert sorted(receiver.ids[-OPEN_AFTER:]) == events
    assert set(office.statuses()) == {"delivered"}


def _enable(office: PostOffice, hook: str, trigger: str, **changed: str) -> None:
    """Both are enabled, whichever is not."""
    with office.parts.ledger.write() as uow:
        occasion, sealing = office.occasion(), office.parts.sealing
        webhook, of_trigger = webhooks.webhook_of(uow.webhooks.find(hook)), triggers.trigger_of(uow.triggers.find(trigger))
        webhooks.change(uow, hook, replace(webhook, enabled=True, **changed), None, occasion)
        triggers.change(uow, trigger, replace(of_trigger, enabled=True), None, occasion, sealing)


def test_one_success_makes_up_for_every_failure(office: PostOffice, receiver: Receiver) -> None:
    receiver.answer = lambda _got: Reply(500)
    office.trigger(office.webhook(receiver.url))
    office.event("ra_1")
    office.run()
    assert office.endpoint("hook_1").failures == 1
    receiver.answer = lambda _got: Reply(204, body=b"")
    office.clock.forward(seconds=10)
    office.run()
    assert office.statuses() == ["delivered"]
    assert (office.endpoint("hook_1").failures, office.endpoint("hook_1").failing_since) == (0, None)


def test_an_endpoint_that_keeps_failing_is_left_alone_and_then_asked_with_one_delivery(office: PostOffice, receiver: Receiver) -> None:
    receiver.answer = lambda _got: Reply(500)
    office.trigger(office.webhook(receiver.url, concurrency=OPEN_AFTER))
    for number in range(20):
        office.event(f"ra_{number}")
    office.run()
    assert len(receiver.got) == OPEN_AFTER
    assert office.statuses().count("pending") == 20
    assert [one.attempts for one in office.all()].count(0) == 20 - OPEN_AFTER
    office.clock.now = office.endpoint("hook_1").open_until
    office.deliver()
    assert len(receiver.got) == OPEN_AFTER + 1
    receiver.answer = lambda _got: Reply()
    office.clock.forward(minutes=10)
    office.deliver()
    assert set(office.statuses()) == {"delivered"}


def test_events_about_one_subject_arrive_in_order_however_the_first_fares(office: PostOffice, receiver: Receiver) -> None:
    failing = {"on": True}
    receiver.answer = lambda got: Reply(500 if failing["on"] and got.json["subject"]["id"] == "ra_1" else 200)
    office.trigger(office.webhook(receiver.url))
    first = [office.event("ra_1") for _ in range(5)]
    other = [office.event("ra_2") for _ in range(3)]
    office.run()
    assert [one for one in receiver.ids if one in other] == other
    assert [one for one in receiver.ids if one in first] == first[:1]
    failing["on"] = False
    first.append(office.event("ra_1"))
    office.clock.forward(seconds=10)
    office.run()
    assert [one for one in receiver.ids if one in first] == [first[0], *first]


def test_after_one_is_dead_the_next_of_its_subject_goes_on(office: PostOffice, receiver: Receiver) -> None:
    office.trigger(office.webhook(receiver.url))
    bad, good = office.event("ra_1"), office.event("ra_1")
    receiver.answer = lambda got: Reply(500 if got.json["id"] == bad else 200)
    office.run()
    for _ in PAUSES:
        office.clock.now = max(office.all()[0].next_attempt_at, office.endpoint("hook_1").open_until or office.clock.now)
        office.deliver()
    office.clock.forward(minutes=5)
    office.deliver()
    assert office.statuses() == ["dead", "delivered"]
    assert receiver.ids[-1] == good


def test_what_a_worker_was_sending_when_it_died_is_taken_over_after_its_lease(office: PostOffice, receiver: Receiver) -> None:
    office.trigger(office.webhook(receiver.url))
    office.event()
    office.relay()
    dying = office.deliverer("dying")
    claimed = dying._turns.exchange([], 10, set())
    assert len(claimed) == 1
    assert office.deliver("heir") == 0
    office.clock.forward(seconds=office.parts.settings.delivery_lease)
    assert office.deliver("heir") == 1
    delivery = office.one()
    assert (delivery.status, delivery.attempts) == ("delivered", 2)
    assert [one.error for one in office.attempts(delivery.identifier)] == [LOST, None]


def test_what_a_dead_worker_was_sending_is_taken_over_also_where_very_many_wait_behind_it(office: PostOffice, receiver: Receiver) -> None:
    office.trigger(office.webhook(receiver.url))
    events = [office.event()]
    office.relay()
    assert len(office.deliverer("dying")._turns.exchange([], 10, set())) == 1
    events += [office.event() for _ in range(WINDOW + 1)]
    office.relay()
    office.clock.forward(seconds=office.parts.settings.delivery_lease)
    assert office.deliver("heir") == len(events)
    assert receiver.ids == events


def test_a_worker_that_comes_back_late_neither_sends_nor_writes_what_is_no_longer_its_own(office: PostOffice, receiver: Receiver) -> None:
    office.trigger(office.webhook(receiver.url))
    office.event()
    office.relay()
    slow = office.deliverer("slow")
    (job,) = slow._turns.exchange([], 10, set())
    office.clock.forward(seconds=office.parts.settings.delivery_lease)
    assert office.deliver("heir") == 1
    slow._turns.exchange([Result(job, office.clock(), 1, Outcome(error="Too late.", status=500))], 0, set())
    delivery = office.one()
    assert (delivery.status, len(office.attempts(delivery.identifier)), len(receiver.got)) == ("delivered", 2, 1)


@pytest.mark.parametrize("heir", ["heir", "slow"])
def test_what_a_worker_tells_late_changes_nothing_while_the_next_attempt_is_under_way(
    office: PostOffice, receiver: Receiver, heir: str
) -> None:
    office.trigger(office.webhook(receiver.url))
    office.event()
    office.relay()
    slow = office.deliverer("slow")
    (job,) = slow._turns.exchange([], 10, set())
    office.clock.forward(seconds=office.parts.settings.delivery_lease)
    (again,) = office.deliverer(heir)._turns.exchange([], 10, set())
    slow._turns.exchange([Result(job, office.clock(), 1, Outcome(status=200))], 0, set())
    assert (again.attempt, office.one().status) == (2, "sending")


def test_two_workers_never_send_the_same_attempt(office: PostOffice, receiver: Receiver) -> None:
    office.trigger(office.webhook(receiver.url, concurrency=4))
    events = [office.event(f"ra_{number % 40}") for number in range(120)]
    office.relay()
    barrier = threading.Barrier(3)

    def run(owner: str) -> None:
        barrier.wait()
        for _ in range(200):
            office.deliver(owner)
            if "pending" not in office.statuses() and "sending" not in office.statuses():
                return

    threads = [threading.Thread(target=run, args=(f"worker-{number}",)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(receiver.ids) == events
    assert {one.attempts for one in office.all()} == {1}


def test_an_endpoint_has_no_more_under_way_than_it_wants(office: PostOffice, receiver: Receiver) -> None:
    most, busy, lock = 0, 0, threading.Lock()

    def answer(_got: object) -> Reply:
        nonlocal most, busy
        with lock:
            busy += 1
            most = max(most, busy)
        threading.Event().wait(0.02)
        with lock:
            busy -= 1
        return Reply()

    receiver.answer = answer
    office.trigger(office.webhook(receiver.url, concurrency=3))
    for number in range(12):
        office.event(f"ra_{number}")
    office.run()
    assert len(receiver.got) == 12
    assert 1 <= most <= 3


def test_what_is_under_way_counts_whoever_is_sending_it(office: PostOffice, receiver: Receiver) -> None:
    office.trigger(office.webhook(receiver.url, concurrency=3))
    for number in range(5):
        office.event(f"ra_{number}")
    office.relay()
    assert len(office.deliverer("one")._turns.exchange([], 10, set())) == 3
    assert office.deliverer("two")._turns.exchange([], 10, set()) == []


def test_in_no_period_more_begin_than_the_rate_allows(office: PostOffice, receiver: Receiver) -> None:
    office.trigger(office.webhook(receiver.url, rateLimit={"limit": 20, "per": "minute"}))
    for number in range(50):
        office.event(f"ra_{number}")
    office.relay()
    begun: list[float] = []
    for second in range(240):
        begun += [second] * office.deliver()
        office.clock.forward(seconds=1)
    assert len(begun) == 50
    assert max(sum(start <= one < start + 60 for one in begun) for start in range(240)) <= 20
    assert max(begun) <= 50 / 18 * 60 + 10


def test_while_secrets_are_exchanged_both_sign_and_then_the_new_one_alone(office: PostOffice, receiver: Receiver) -> None:
    hook = office.webhook(receiver.url)
    office.trigger(hook)
    with office.parts.ledger.write() as uow:
        _, new = webhooks.rotate(uow, hook, None, timedelta(minutes=2), None, office.occasion(), office.parts.sealing)
    office.event("ra_1")
    office.run()
    both = receiver.got[-1]
    for secret in (SECRET, new):
        assert Webhook(secret).verify(both.body, dict(both.headers))
    office.clock.forward(minutes=2)
    office.event("ra_2")
    office.run()
    assert len(receiver.got[-1].headers["webhook-signature"].split()) == 1
    assert Webhook(new).verify(receiver.got[-1].body, dict(receiver.got[-1].headers))


def test_a_name_that_leads_inside_by_now_is_not_connected_to(database_url: str, tmp_path: Path, receiver: Receiver) -> None:
    answers = iter([["1.1.1.1"]])
    office = open_office(database_url, tmp_path, lambda _host, _port: next(answers, ["127.0.0.1"]), webhook_allow="")
    next(answers)
    office.trigger(office.webhook(f"https://hooks.partner.example:{receiver.port}/in"))
    office.event()
    office.run()
    delivery = office.one()
    assert receiver.got == []
    assert "this machine itself" in str(delivery.last_error)
    office.parts.close()


@pytest.mark.parametrize("url", ["https://127.0.0.1:{}/in", "http://127.0.0.1:{}/in", "https://[::1]:{}/in"])
def test_an_address_that_is_no_longer_allowed_is_not_connected_to(sqlite_url: str, tmp_path: Path, receiver: Receiver, url: str) -> None:
    office = open_office(sqlite_url, tmp_path, webhook_allow="")
    office.trigger(office.webhook(url.format(receiver.port)))
    office.event()
    office.run()
    assert receiver.got == []
    assert office.one().status == "pending"
    assert "LD_WEBHOOK_ALLOW" in str(office.one().last_error)
    office.parts.close()


def test_the_name_is_connected_to_at_the_judged_address(sqlite_url: str, tmp_path: Path, receiver: Receiver) -> None:
    office = open_office(sqlite_url, tmp_path, lambda _host, _port: ["127.0.0.1"])
    office.trigger(office.webhook(f"http://hooks.partner.example:{receiver.port}/in"))
    office.event()
    office.run()
    assert receiver.got[0].headers["host"] == f"hooks.partner.example:{receiver.port}"
    assert office.statuses() == ["delivered"]
    office.parts.close()


def test_a_receiver_that_trickles_is_given_up_in_time(sqlite_url: str, tmp_path: Path) -> None:
    office = open_office(sqlite_url, tmp_path, webhook_timeout=0.5)
    with receiving(lambda _got: Reply(trickle=0.2, body=b"x" * 200)) as receiver:
        office.trigger(office.webhook(receiver.url))
        office.event()
        office.run()
    assert "longer than 0.5 s" in str(office.one().last_error)
    office.parts.close()


HOST = "hooks.partner.example"


@pytest.mark.parametrize(
    ("is_known", "host", "lasts", "is_accepted"),
    [(True, HOST, 1, True), (False, HOST, 1, False), (True, "other.partner.example", 1, False), (True, HOST, -1, False)],
    ids=["good", "of nobody we know", "of another host", "expired"],
)
def test_what_is_sent_by_tls_is_sent_to_whom_it_is_for(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_known: bool, host: str, lasts: int, is_accepted: bool
) -> None:
    authority, stranger = Authority(tmp_path), Authority(tmp_path / "..")
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    signer = authority if is_known else stranger
    office = open_office(sqlite_url, tmp_path, lambda _host, _port: ["127.0.0.1"])
    with receiving(tls=signer.context(host, timedelta(days=lasts))) as receiver:
        office.trigger(office.webhook(f"https://{HOST}:{receiver.port}/in"))
        event = office.event()
        office.run()
        assert receiver.ids == ([event] if is_accepted else [])
    assert office.one().last_error == (None if is_accepted else "The receiver's certificate or its TLS is not accepted.")
    office.parts.close()


def test_an_answer_without_end_is_read_no_further_than_it_is_kept(sqlite_url: str, tmp_path: Path) -> None:
    office = open_office(sqlite_url, tmp_path)
    reply = Reply(body=b"x" * 64 * 1024 * 1024)
    with receiving(lambda _got: reply) as receiver:
        office.trigger(office.webhook(receiver.url))
        office.event()
        tracemalloc.start()
        office.run()
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    (attempt,) = office.attempts(office.one().identifier)
    assert (office.one().status, len(attempt.response_head or "")) == ("delivered", 1024)
    assert most < 16 * 1024 * 1024
    office.parts.close()


def test_what_no_one_listens_to_and_what_is_no_http_is_told(sqlite_url: str, tmp_path: Path) -> None:
    office = open_office(sqlite_url, tmp_path)
    with receiving() as receiver:
        dead = receiver.url
        office.trigger(office.webhook(receiver.url.replace("http:", "https:")))
        office.event()
        office.run()
        assert office.one().last_error == "The receiver's certificate or its TLS is not accepted."
    office.clock.forward(minutes=1)
    hook = office.webhook(dead)
    office.trigger(hook, types=["rentAction.created"])
    office.event("ra_2", "rentAction.created")
    office.run()
    assert office.one(webhook=hook).last_error == "The receiver cannot be reached."
    office.parts.close()


def test_redelivery_starts_anew_under_the_same_message_id_and_says_who_asked(office: PostOffice, receiver: Receiver) -> None:
    office.trigger(office.webhook(receiver.url))
    office.event()
    office.run()
    with office.parts.ledger.write() as uow:
        again = deliveries.redeliver(uow, "dlv_1", office.occasion())
    assert (again.status, again.failures, again.replayed_by) == ("pending", 0, "ann")
    office.deliver()
    assert [got.headers["webhook-id"] for got in receiver.got] == [receiver.ids[0]] * 2
    with office.parts.ledger.read() as uow:
        (replay,) = uow.deliveries.replays("dlv_1")
    assert (replay.replayed_by, replay.correlation_id, replay.asked_for) == ("ann", "by-hand", "delivery dlv_1")
    assert office.one().attempts == 2


def _hold_up(office: PostOffice, receiver: Receiver, *hooks: str) -> tuple[list[str], list[str]]:
    """Three events of one subject, the first of which has failed twice; these and the triggers. What is sent from now on arrives."""
    receiver.answer = lambda _got: Reply(500)
    asked = [office.trigger(hook) for hook in hooks]
    events = [office.event("ra_1") for _ in range(3)]
    office.run()
    office.clock.forward(seconds=10)
    office.run()
    receiver.answer = lambda _got: Reply()
    assert receiver.ids == 2 * events[:1]
    return events, asked


def test_what_waits_behind_a_delivery_goes_on_as_soon_as_that_is_made(office: PostOffice, receiver: Receiver) -> None:
    events, _ = _hold_up(office, receiver, office.webhook(receiver.url))
    with office.parts.ledger.write() as uow:
        deliveries.redeliver(uow, "dlv_1", office.occasion())
    office.deliver()
    assert receiver.ids[2:] == events


def test_what_waits_behind_a_delivery_goes_on_as_soon_as_that_is_cancelled(office: PostOffice, receiver: Receiver) -> None:
    events, (gone, stays) = _hold_up(office, receiver, *2 * [office.webhook(receiver.url)])
    with office.parts.ledger.write() as uow:
        triggers.remove(uow, gone, None, office.clock())
    office.deliver()
    assert [(one.trigger, one.status) for one in office.all()] == 3 * [(gone, "cancelled"), (stays, "delivered")]
    assert [one.removesuffix(".2") for one in receiver.ids[2:]] == events


def test_what_waits_behind_a_delivery_goes_on_as_soon_as_that_goes_elsewhere(office: PostOffice, receiver: Receiver) -> None:
    before, after = office.webhook(receiver.url), office.webhook(f"{receiver.url}/other")
    events, [trigger] = _hold_up(office, receiver, before)
    with office.parts.ledger.write() as uow:
        row = uow.triggers.find(trigger)
        uow.triggers.replace(replace(row, body=row.body.replace(before, after), revision=row.revision + 1))
        deliveries.replay_event(uow, events[0], office.occasion())
    office.deliver()
    assert {(one.path, one.json["id"]) for one in receiver.got[2:]} == {("/in", events[1]), ("/in", events[2]), ("/in/other", events[0])}


def test_recovery_sends_what_did_not_arrive_and_nothing_else(office: PostOffice, receiver: Receiver) -> None:
    hook = office.webhook(receiver.url, concurrency=1)
    office.trigger(hook)
    arrived = office.event("ra_1")
    office.run()
    receiver.answer = lambda _got: Reply(410)
    failed = [office.event("ra_2"), office.event("ra_3")]
    office.run()
    while_disabled = office.event("ra_4")
    office.run()
    receiver.answer = lambda _got: Reply()
    with office.parts.ledger.write() as uow:
        row = uow.webhooks.find(hook)
        uow.webhooks.replace(replace(row, enabled=True, disabled_reason=None, revision=row.revision + 1))
        done = deliveries.recover(uow, hook, 0, office.clock() - timedelta(hours=1), 100, office.occasion())
    assert len(done.deliveries) == 3
    before = len(receiver.got)
    office.deliver()
    assert receiver.ids[before:] == [*failed, while_disabled]
    assert arrived not in receiver.ids[before:]


def test_an_event_is_replayed_to_the_triggers_of_today(office: PostOffice, receiver: Receiver) -> None:
    event = office.event()
    office.relay()
    hook = office.webhook(receiver.url)
    office.trigger(hook)
    with office.parts.ledger.write() as uow:
        assert deliveries.replay_event(uow, event, office.occasion()).deliveries == ["dlv_1"]
    office.run()
    with office.parts.ledger.write() as uow:
        assert deliveries.replay_event(uow, event, office.occasion()).deliveries == ["dlv_1"]
    office.run()
    assert receiver.ids == [event, event]
    assert len(office.all()) == 1


def test_a_range_is_replayed_piece_by_piece(office: PostOffice, receiver: Receiver) -> None:
    office.trigger(office.webhook(receiver.url))
    events = [office.event(f"ra_{number}") for number in range(5)]
    office.run()
    after, pieces = 0, []
    while after is not None:
        with office.parts.ledger.write() as uow:
            done = deliveries.replay_range(uow, after, Selection(), None, 2, office.occasion())
        pieces.append(done.events)
        after = done.following
    assert pieces == [2, 2, 1]
    office.run()
    assert sorted(receiver.ids) == sorted(events * 2)


def test_a_test_is_sent_to_that_webhook_alone_exactly_as_it_was_shown(office: PostOffice, receiver: Receiver) -> None:
    with receiving() as other:
        hook = office.webhook(receiver.url)
        office.trigger(office.webhook(other.url), types=["*"])
        with office.parts.ledger.write() as uow:
            delivery, shown = deliveries.test_webhook(uow, hook, office.occasion(), office.parts.sealing)
        office.run()
        (got,) = receiver.got
        assert other.got == []
        assert (got.body, got.headers["webhook-signature"]) == (shown.body, shown.headers["webhook-signature"])
        assert all(got.headers[name.lower()] == value for name, value in shown.headers.items())
        assert office.one().identifier == delivery.identifier


def test_when_a_worker_stops_it_hands_back_what_is_under_way(
    office: PostOffice, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.deliver.GRACE", 0.1)
    never = threading.Event()
    receiver.answer = lambda _got: Reply(wait=never)
    office.trigger(office.webhook(receiver.url))
    office.event()
    office.relay()
    deliverer = office.deliverer()
    deliverer.start()
    assert receiver.wait_for(1)
    deliverer.stop()
    delivery = office.one()
    assert (delivery.status, delivery.failures, delivery.last_error) == ("pending", 0, LOST)
    receiver.answer = lambda _got: Reply()
    assert office.deliver("next") == 1


def test_a_running_worker_sends_what_the_relay_nudges_it_about(office: PostOffice, receiver: Receiver) -> None:
    parts = replace(office.parts, settings=replace(office.parts.settings, delivery_interval=0.05))
    running = replace(office, parts=parts)
    deliverer = running.deliverer()
    relay = Relay(parts, "first", deliverer.nudge)
    deliverer.start()
    relay.start()
    office.trigger(office.webhook(receiver.url))
    events = [office.event(f"ra_{number}") for number in range(20)]
    assert receiver.wait_for(20)
    relay.stop()
    deliverer.stop()
    assert sorted(receiver.ids) == events
    assert set(office.statuses()) == {"delivered"}


def test_what_waits_for_the_attempt_of_another_worker_goes_as_soon_as_that_is_over(office: PostOffice) -> None:
    answered = threading.Event()
    with receiving(lambda _got: Reply(wait=answered)) as receiver:
        office.trigger(office.webhook(receiver.url))
        events = [office.event("ra_1"), office.event("ra_1")]
        office.relay()
        first = threading.Thread(target=office.deliverer("first").run_once)
        first.start()
        assert receiver.wait_for(1)
        assert office.deliverer("second").run_once() == 0
        answered.set()
        first.join()
        office.clock.forward(seconds=1)
        assert office.deliverer("second").run_once() == 1
        assert receiver.ids == events
