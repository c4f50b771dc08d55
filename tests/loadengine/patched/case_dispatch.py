"""The open model: how many arrivals, when they were meant, and what becomes of those that cannot be sent."""

import gevent
import numpy as np
import pytest
from locust import task

from core.errors import ConfigError
from core.events import Note, NoteLevel
from core.evidence import Evidence
from loadengine.api import ClosedUser, OpenUser, Poisson, Replay, Uniform
from tests.loadengine.patched.helpers import read_request, within

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


def quick(connection, reader):
    while read_request(reader):
        connection.sendall(OK)


class Slot(OpenUser):
    abstract = True
    rate = 50.0

    @task
    def act(self):
        self.http.get("/x")


def load(engine, kind, users, seconds):
    """Runs `users` of a class for so long and ends as Locust would; returns all recorded samples."""
    engine.environment.user_classes = [kind]
    runner = engine.environment.runner
    engine.test_start()
    engine.recorder.steady_from = 0
    runner.spawn_users({kind.__name__: users})
    gevent.sleep(seconds)
    engine.finish()
    runner.stop_users({kind.__name__: users})
    engine.process.flush()
    blocks = [block for _, _, block in Evidence(engine.settings.run_dir).blocks()]
    return np.concatenate(blocks) if blocks else np.empty(0)


def test_uniform_arrivals_are_evenly_spaced_whatever_the_number_of_users(engine, serve):
    class U(Slot):
        host = serve(quick)

    samples = load(engine, U, 4, 1.0)
    gaps = np.diff(np.sort(samples["intended"]))[20:]
    assert len(samples) == engine.dispatcher.arrived
    assert abs(gaps - 5_000_000).max() <= 2


def test_poisson_arrivals_have_exponential_gaps(engine, serve):
    class P(Slot):
        host = serve(quick)
        rate = 500.0
        arrivals = staticmethod(lambda: Poisson(seed=7))

    samples = load(engine, P, 2, 1.5)
    gaps = np.diff(np.sort(samples["intended"]))
    assert np.std(gaps) / np.mean(gaps) == pytest.approx(1.0, abs=0.25)


def test_replayed_arrivals_keep_their_offsets(engine, serve, tmp_path):
    recording = tmp_path / "arrivals.txt"
    recording.write_text("# seconds\n0.1\n0.15, posts\n0.15\n0.4\n")

    class R(Slot):
        host = serve(quick)
        arrivals = staticmethod(lambda: Replay(recording))

    samples = load(engine, R, 3, 0.8)
    intended = np.sort(samples["intended"])
    assert ((intended - intended[0]) / 1e9).round(4).tolist() == [0.0, 0.05, 0.05, 0.3]


@pytest.mark.parametrize(
    ("text", "said"),
    [("", "no arrivals"), ("1\nx\n", "line 2 is not a number"), ("2\n1\n", "goes back in time")],
)
def test_a_bad_recording_is_said(tmp_path, text, said):
    path = tmp_path / "a.txt"
    path.write_text(text)
    with pytest.raises(ConfigError, match=said):
        Replay(path)


def test_a_missing_recording_is_said(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        Replay(tmp_path / "none")


def test_workers_share_a_recording(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("\n".join(map(str, range(6))))
    shares = []
    for number in range(2):
        replay = Replay(path)
        replay.share(number, 2)
        gaps = []
        while (gap := replay.gap()) is not None:
            gaps.append(gap)
        shares.append(np.cumsum(gaps).tolist())
    assert shares == [[0, 2, 4], [1, 3, 5]]


def test_a_stalled_server_does_not_delay_arrivals(engine, serve):
    arrived = []

    def stalls(connection, reader):
        while read_request(reader):
            arrived.append(1)
            gevent.sleep(0.5)
            connection.sendall(OK)

    class S(Slot):
        host = serve(stalls)

    samples = load(engine, S, 2, 1.0)
    assert len(samples) == len(arrived) == engine.dispatcher.arrived
    assert len(samples) > 20  # one user waiting for each answer would have made two
    assert ((samples["done"] - samples["intended"]) >= 500_000_000).all()


def test_what_does_not_end_in_time_is_recorded_as_cancelled(engine, serve):
    def silent(connection, reader):
        read_request(reader)
        gevent.sleep(60)

    class S(Slot):
        host = serve(silent)

    object.__setattr__(engine.settings, "drain", 0.2)
    samples = load(engine, S, 1, 0.5)
    assert len(samples) == engine.dispatcher.arrived > 10
    assert set(samples["outcome"].tolist()) == {4}
    assert engine.under_way() == 0


def test_beyond_the_limit_arrivals_wait_and_keep_their_intended_time(engine, serve):
    def slow(connection, reader):
        while read_request(reader):
            gevent.sleep(0.1)
            connection.sendall(OK)

    class S(Slot):
        host = serve(slow)

    engine.dispatcher.limit = 2
    samples = load(engine, S, 1, 1.0)
    assert len(samples) == engine.dispatcher.arrived
    lag = samples["sent"] - samples["intended"]
    assert lag.max() > 200_000_000
    assert engine.dispatcher.dropped > 0  # what still waited when the load ended was never sent


def test_a_rate_for_all_users_together(engine, serve):
    class U(Slot):
        host = serve(quick)

    object.__setattr__(engine.settings, "rate", 100.0)
    engine.environment.runner.target_user_count = 5
    samples = load(engine, U, 5, 1.0)
    gaps = np.diff(np.sort(samples["intended"]))[30:]
    assert abs(gaps - 10_000_000).max() <= 2


def test_a_failing_task_is_the_profiles_fault_and_the_load_goes_on(engine, serve):
    errors = []
    engine.environment.events.user_error.add_listener(
        lambda user_instance, exception, tb: errors.append(str(exception))
    )

    class F(OpenUser):
        host = serve(quick)
        rate = 50.0

        @task
        def act(self):
            raise ValueError("my own mistake")

    engine.process.write(Note(NoteLevel.INFO, "still here"))
    load(engine, F, 1, 0.4)
    assert len(errors) > 5
    assert set(errors) == {"my own mistake"}


def test_a_paced_closed_user_keeps_its_intended_times(engine, serve):
    def stalls_once(connection, reader):
        first = True
        while read_request(reader):
            if first:
                gevent.sleep(0.5)
                first = False
            connection.sendall(OK)

    class C(ClosedUser):
        host = serve(stalls_once)
        pace = 0.05

        @task
        def act(self):
            self.http.get("/x")

    samples = load(engine, C, 1, 1.0)
    gaps = np.diff(np.sort(samples["intended"]))
    assert abs(gaps - 50_000_000).max() <= 2
    response = np.sort(samples["done"] - samples["intended"]) / 1e6
    assert response[-1] >= 500
    assert (response > 100).sum() >= 6  # those who met the same stall are not left out
    assert set(samples["flags"].tolist()) == {1}


def test_a_closed_user_with_think_time(engine, serve):
    class C(ClosedUser):
        host = serve(quick)
        wait_time = lambda self: 0.02  # noqa: E731

        @task
        def act(self):
            self.http.get("/x")

    samples = load(engine, C, 3, 0.6)
    assert len(samples) > 30
    assert (samples["sent"] == samples["intended"]).all()


def test_uniform_is_the_mean():
    assert Uniform().gap() == 1.0


def test_users_that_leave_take_their_rate_with_them(engine, serve):
    class U(Slot):
        host = serve(quick)
        rate = 100.0

    engine.environment.user_classes = [U]
    runner = engine.environment.runner
    engine.test_start()
    runner.spawn_users({"U": 4})
    within(2, lambda: engine.dispatcher.arrived > 20)
    runner.stop_users({"U": 4})
    before = engine.dispatcher.arrived
    gevent.sleep(0.1)
    assert engine.dispatcher.arrived == before
