"""Wires the engine to Locust: options on its command line, one engine a generating process, one controller a load."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gevent import get_hub
from locust import events
from locust.runners import MasterRunner, WorkerRunner

from core.load_events import GeneratorHealth
from loadengine.locust import metrics
from loadengine.locust.controller import LoadController
from loadengine.locust.distributed import MasterLink, WorkerLink, report_often
from loadengine.locust.stats_table import show_unrounded
from loadengine.measure.delta import Delta
from loadengine.process import LoadProcess
from loadengine.runtime import LoadEngine, begin, engine_of
from loadengine.settings import add_options


@events.init_command_line_parser.add_listener  # type: ignore[untyped-decorator]
def _options(parser: Any, **_: Any) -> None:
    add_options(parser)


@events.init.add_listener  # type: ignore[untyped-decorator]
def _init(environment: Any, **_: Any) -> None:
    get_hub().loop.update_now()  # imports took seconds: a run time counted from the stale clock ends early
    show_unrounded()
    report_often()
    runner = environment.runner
    if isinstance(runner, MasterRunner):
        _control_workers(environment)
    else:
        engine = engine_of(environment)
        _listen(environment, engine)
        if isinstance(runner, WorkerRunner):
            _report_to_master(environment, engine)
        else:
            _control_alone(environment, engine)


def _listen(environment: Any, engine: LoadEngine) -> None:
    listen = environment.events
    listen.test_start.add_listener(lambda **_: engine.test_start())
    listen.spawning_complete.add_listener(lambda **_: engine.spawned())
    listen.test_stopping.add_listener(lambda **_: engine.finish())


def _control_alone(environment: Any, engine: LoadEngine) -> None:
    controller = LoadController(engine.process, environment, engine.finish)
    tell = lambda: controller.receive(*engine.take())  # noqa: E731
    engine.process.on_tick.insert(-1, tell)
    _follow(environment, engine.process, controller, tell)


def _report_to_master(environment: Any, engine: LoadEngine) -> None:
    def finish() -> int:
        engine.finish()
        kept.extend(engine.take()[0])
        return engine.counted

    def take() -> tuple[list[Delta], GeneratorHealth | None]:
        deltas, health = engine.take()
        found, kept[:] = [*kept, *deltas], []
        return found, health

    kept: list[Delta] = []

    def quitting(**_: Any) -> None:
        engine.finish()
        engine.process.close()

    WorkerLink(engine.process, environment.runner, take, finish)
    environment.events.quitting.add_listener(quitting)


def _control_workers(environment: Any) -> None:
    process, _ = begin(environment, "load")
    link = MasterLink(process, environment.runner)
    link.controller = controller = LoadController(process, environment, link.ask_to_finish)
    environment.events.quitting.add_listener(lambda **_: link.close())
    _follow(environment, process, controller, lambda: None)


def _follow(
    environment: Any, process: LoadProcess, controller: LoadController, tell: Callable[[], None]
) -> None:
    """Wires a controller to Locust's events; `tell` hands it what this process itself measured."""
    environment.assay_controller, environment.assay_process = controller, process  # for shapes
    metrics.serve(controller, environment, process.settings.metrics_port)

    def stopping(**_: Any) -> None:
        controller.finish()
        tell()

    def quitting(**_: Any) -> None:
        environment.runner.quit()  # Locust does so only after deciding the exit code
        if controller.exit_code is not None:
            environment.process_exit_code = controller.exit_code
        process.close()

    environment.events.test_start.add_listener(lambda **_: controller.test_start())
    environment.events.test_stopping.add_listener(stopping)
    environment.events.test_stop.add_listener(lambda **_: controller.finished())
    environment.events.quitting.add_listener(quitting)
