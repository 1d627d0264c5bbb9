"""The task queue: the same promises on SQLite, Postgres and Redis."""

import json
import pickle
import threading
from datetime import UTC, datetime, timedelta

import pytest

from ld_server.bootstrap import build
from ld_server.settings import InvalidSetting
from workers.app import ENGINES, TASKS, enlist, open_huey
from workers.clock import TIMES, make_clock

NOON = datetime(2026, 12, 1, 12, tzinfo=UTC)


@pytest.fixture
def sqlite_queue_url(tmp_path) -> str:
    return f"sqlite:///{tmp_path}/huey.db"


@pytest.fixture
def postgres_queue_url(postgres_server):
    """In a database of its own: Huey makes tables there, which the next test would find."""
    name = postgres_server.new_database()
    yield postgres_server.url(name).replace("postgresql://", "postgresql+psycopg://")
    postgres_server.drop(name)


@pytest.fixture
def redis_queue_url(redis_server) -> str:
    redis_server.flushall()
    return f"unix://{redis_server.socket_file}"


@pytest.fixture(params=["sqlite", "postgres", "redis"])
def huey_url(request) -> str:
    return request.getfixturevalue(f"{request.param}_queue_url")


@pytest.fixture
def queue(huey_url):
    """A queue on each engine, not blocking: asking an empty one gives nothing at once."""
    queue = open_huey(huey_url)
    queue.storage.blocking = False
    yield queue
    queue.storage.close()


@pytest.fixture
def parts(settings):
    parts = build(settings)
    yield parts
    parts.close()


def run_all(queue) -> int:
    """Does what the consumer does until the queue is empty; how many tasks that were."""
    count = 0
    while (task := queue.dequeue()) is not None:
        queue.execute(task)
        count += 1
    return count


def remember_answer(parts, key: str, expires_at: datetime) -> None:
    with parts.ledger.write() as uow:
        uow.idempotency.store("alice", key, "fingerprint", 201, {}, b"{}", NOON, expires_at)


def remembered(parts, key: str) -> bool:
    with parts.ledger.read() as uow:
        return uow.idempotency.find("alice", key) is not None


def test_a_task_that_was_sent_is_run_once(queue, parts):
    tasks = enlist(queue, parts)
    tasks["sweep_idempotency"]()
    assert run_all(queue) == 1
    assert run_all(queue) == 0


def test_the_sweep_forgets_expired_answers_and_no_others(queue, parts):
    remember_answer(parts, "old", parts.now() - timedelta(seconds=1))
    remember_answer(parts, "new", parts.now() + timedelta(hours=1))
    enlist(queue, parts)["sweep_idempotency"]()

    run_all(queue)

    assert not remembered(parts, "old")
    assert remembered(parts, "new")


def test_a_task_sent_by_one_process_is_run_by_another(queue, parts, huey_url):
    remember_answer(parts, "old", parts.now() - timedelta(seconds=1))
    sender = open_huey(huey_url)
    enlist(sender, parts)["sweep_idempotency"]()
    sender.storage.close()

    enlist(queue, parts)
    run_all(queue)

    assert not remembered(parts, "old")


def test_two_consumers_share_the_work(queue, parts, huey_url):
    tasks = enlist(queue, parts)
    for _ in range(20):
        tasks["sweep_idempotency"]()
    counts: list[int] = []
    start = threading.Barrier(2)

    def consume() -> None:
        other = open_huey(huey_url)
        other.storage.blocking = False
        enlist(other, parts)
        start.wait()
        counts.append(run_all(other))
        other.storage.close()

    consumers = [threading.Thread(target=consume) for _ in range(2)]
    for consumer in consumers:
        consumer.start()
    for consumer in consumers:
        consumer.join()

    assert sum(counts) == 20


def test_a_task_that_fails_does_not_stop_the_next(queue, parts):
    def fail() -> None:
        raise RuntimeError("on purpose")

    queue.task(name="fail")(fail)()
    enlist(queue, parts)["sweep_idempotency"]()
    assert run_all(queue) == 2


def test_messages_are_json_and_nothing_that_could_run_code(queue, parts):
    enlist(queue, parts)["sweep_idempotency"]()
    message = json.loads(bytes(queue.storage.dequeue()))
    assert message[1:4] == ["workers.app.sweep_idempotency", [], {}]


def test_a_pickle_in_the_queue_is_refused(queue, parts):
    enlist(queue, parts)
    queue.storage.enqueue(pickle.dumps(("anything",)))
    with pytest.raises(ValueError):
        queue.dequeue()


def test_the_consumer_of_the_worker_takes_tasks_until_it_is_stopped(queue, parts):
    remember_answer(parts, "old", parts.now() - timedelta(seconds=1))
    tasks = enlist(queue, parts)
    done = threading.Event()
    queue.signal("complete")(lambda signal, task: done.set())
    consumer = queue.create_consumer(workers=1, periodic=False)
    for process in (consumer.scheduler, *(worker for _, worker in consumer.worker_threads)):
        process.start()

    tasks["sweep_idempotency"]()
    assert done.wait(60)
    consumer.stop(graceful=True)

    assert not remembered(parts, "old")
    assert not any(worker.is_alive() for _, worker in consumer.worker_threads)


# the tables


def test_an_unknown_engine_is_refused_with_the_known_ones():
    with pytest.raises(InvalidSetting, match="LD_HUEY_URL must start with one of sqlite:"):
        open_huey("amqp://localhost")
    assert {"sqlite", "postgresql", "redis"} <= set(ENGINES)


def test_the_clock_sends_known_tasks_only():
    assert set(TIMES) <= set(TASKS)


def test_the_clock_sends_the_sweep_at_once_and_then_every_hour():
    sent = threading.Event()
    clock = make_clock(dict.fromkeys(TIMES, sent.set))
    trigger = clock.get_job("sweep_idempotency").trigger
    first = trigger.get_next_fire_time(None, datetime.now(UTC))
    later = trigger.get_next_fire_time(first, first)
    assert first <= datetime.now(UTC)
    assert timedelta(minutes=55) < later - first < timedelta(minutes=65)

    clock.start()
    assert sent.wait(60)
    clock.shutdown()
