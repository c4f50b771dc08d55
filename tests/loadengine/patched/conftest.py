"""A Locust environment with an engine, and servers that send exactly the bytes a test wants."""

import pytest
from gevent.server import StreamServer
from locust.env import Environment

from core.journal import Journal
from core.secret import Redactor
from loadengine.process import LoadProcess
from loadengine.runtime import LoadEngine
from loadengine.settings import LoadSettings


def make_engine(run_dir=None):
    environment = Environment(user_classes=[])
    environment.create_local_runner()
    settings = LoadSettings(run_dir=run_dir, run_id="test-run", drain=2.0)
    journal = Journal(run_dir, "load", Redactor(), background=False) if run_dir else None
    engine = LoadEngine(LoadProcess(settings, "load", journal), environment, None)
    engine.recorder.steady_from = 0
    environment.assay = engine
    return engine


@pytest.fixture
def engine(tmp_path):
    made = make_engine(tmp_path)
    yield made
    made.process.close()
    made.environment.runner.quit()


@pytest.fixture
def serve():
    """serve(handler) starts a server; handler(connection, reader) talks raw bytes. Returns its address."""
    servers = []

    def start(handler, **options):
        def talk(connection, _address):
            reader = connection.makefile("rb")
            try:
                handler(connection, reader)
            except OSError:
                pass
            finally:
                reader.close()

        server = StreamServer(("127.0.0.1", 0), talk, **options)
        server.start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.stop(timeout=0)
