"""The metrics and their text form."""

import re

import pytest

from mox.base import log, metrics


def value(line_start: str) -> float:
    text = metrics.exposition().decode()
    found = [line for line in text.splitlines() if line.startswith(line_start + " ")]
    assert len(found) == 1, (line_start, found)
    return float(found[0].rsplit(" ", 1)[1])


def test_panic_series_exist_before_the_first_one() -> None:
    for area in metrics.AREAS:
        assert value(f'mox_panic_total{{pkg="{area}"}}') >= 0


def test_unhandled_errors_are_counted_by_area() -> None:
    before, all_before = value('mox_panic_total{pkg="store"}'), metrics.unhandled_total()
    metrics.unhandled("store")
    assert value('mox_panic_total{pkg="store"}') == before + 1
    assert metrics.unhandled_total() == all_before + 1
    metrics.PANICS.labels("store").reset()
    with pytest.raises(KeyError):
        metrics.unhandled("kitchen")


def test_every_metric_of_ours_is_named_and_explained() -> None:
    ours = [metric for metric in metrics.REGISTRY.collect() if metric.name.startswith("mox_")]
    assert len(ours) >= 15
    for metric in ours:
        assert metric.documentation.endswith("."), metric.name
        assert re.fullmatch(r"mox_[a-z0-9_]+", metric.name)


def test_runtime_metrics_are_there() -> None:
    text = metrics.exposition()
    for name in (b"process_resident_memory_bytes", b"process_open_fds", b"python_info"):
        assert b"\n" + name in text


def test_no_created_series() -> None:
    metrics.IMAP_COMMAND_SECONDS.labels("NOOP", "ok").observe(0.002)
    text = metrics.exposition()
    assert b"_created" not in text
    assert b'mox_imap_command_duration_seconds_bucket{cmd="NOOP",le="0.005",result="ok"}' in text


def test_which_speedups_run() -> None:
    metrics.set_speedups("python")
    assert value('mox_speedups_info{implementation="python"}') == 1


def test_log_lines_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    log.count_lines(metrics.log_line)
    try:
        before = value("mox_logging_level_warn_total")
        log.get_logger("metrics").warn("something.odd")
        log.get_logger("metrics").debug("not.written")
        assert value("mox_logging_level_warn_total") == before + 1
    finally:
        log.count_lines(None)
