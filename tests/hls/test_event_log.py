"""Logged events replayed through FIFOs of the depths that stand in emitted files."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from small_networks import residual_plan

from fxnorm.errors import DeadlockError, StreamError, UsageError
from fxnorm.hls.choices import Choices
from fxnorm.hls.design import Design, make_design
from fxnorm.hls.dialect import DIALECTS
from fxnorm.hls.emit import emit
from fxnorm.hls.event_log import Log, read_log, replay
from fxnorm.hls.stored import StoredProject
from fxnorm.hls.tokens import Read, events

FILES = {
    "vitis": ("vitis/src/net.cpp", r"(#pragma HLS STREAM variable={} depth=)\d+"),
    "catapult": ("catapult/directives.tcl", r"(directive set /net/{}:cns -FIFO_DEPTH )\d+"),
}


def log_of(design: Design) -> Log:
    """What the design's token programs say that it does."""
    network = design.network()
    return {
        own.name: [
            ("r" if isinstance(step, Read) else "w", network.fifos[step.fifo].name, step.count)
            for step in events(own.program)
        ]
        for own in network.processes
    }


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("emitted") / "net"
    emit(residual_plan(), folder, Choices.make("all"), frames=1)
    return folder


@pytest.fixture(scope="module")
def design() -> Design:
    return make_design(residual_plan(), Choices.make("all"))


@pytest.mark.parametrize("target", FILES)
def test_depths_are_read_from_emitted_files(project: Path, design: Design, target: str) -> None:
    stored = StoredProject.read(project)
    depths = stored.depths(DIALECTS[target])
    assert depths == {own.name: own.depth for own in design.channels}
    replay([log_of(design)], depths, {*stored.inputs, *stored.outputs})


@pytest.mark.parametrize("target", FILES)
def test_one_entry_less_than_needed_is_a_deadlock(project: Path, design: Design, target: str) -> None:
    """Every FIFO that is deeper than the minimum, changed in the file itself."""
    stored = StoredProject.read(project)
    path, pattern = FILES[target]
    text = (project / path).read_text()
    deep = [own for own in design.channels if own.least > 2]
    assert deep
    for channel in deep:
        least = {own.name: own.least for own in design.channels}
        for depth, passes in ((channel.least, True), (channel.least - 1, False)):
            changed = text
            for name, own in {**least, channel.name: depth}.items():
                changed, count = re.subn(pattern.format(name), rf"\g<1>{own}", changed)
                assert count == 1
            (project / path).write_text(changed)
            depths = stored.depths(DIALECTS[target])
            if passes:
                replay([log_of(design)], depths, {*stored.inputs, *stored.outputs})
            else:
                with pytest.raises(DeadlockError, match=rf"room in {channel.name} \(full: {depth}\)"):
                    replay([log_of(design)], depths, {*stored.inputs, *stored.outputs})
    (project / path).write_text(text)


def test_a_fifo_without_a_depth_is_named(design: Design) -> None:
    depths = {own.name: own.depth for own in design.channels[1:]}
    with pytest.raises(StreamError, match=f"{design.channels[0].name}: a FIFO must have a depth"):
        replay([log_of(design)], depths, {"in0", "out0", "out1"})


def test_frames_that_differ_are_named(design: Design) -> None:
    depths = {own.name: own.depth for own in design.channels}
    log = log_of(design)
    first = next(iter(log))
    other = {**log, first: log[first][:-1]}
    with pytest.raises(StreamError, match=f"{first} does otherwise in frame 1"):
        replay([log, other], depths, {"in0", "out0", "out1"})


def test_a_missing_script_is_named(project: Path) -> None:
    with pytest.raises(UsageError, match="must hold the depths of FIFOs"):
        StoredProject(project / "nowhere", StoredProject.read(project).manifest).depths(DIALECTS["vitis"])


def test_log_files(tmp_path: Path) -> None:
    path = tmp_path / "events.txt"
    path.write_text("frame 0\nfeed_in0 w in0 3\nl00 r in0 2\nfeed_in0 w in0 1\nframe 1\nl00 r in0 1\n")
    assert read_log(path) == [
        {"feed_in0": [("w", "in0", 3), ("w", "in0", 1)], "l00": [("r", "in0", 2)]},
        {"l00": [("r", "in0", 1)]},
    ]
    for damage in ("l00 r in0 1\n", "frame 0\nl00 r in0\n", "frame 0\nl00 r in0 x\n", "\n"):
        path.write_text(damage)
        with pytest.raises(StreamError, match="cannot be read"):
            read_log(path)
    with pytest.raises(StreamError, match="cannot be read"):
        read_log(tmp_path / "nothing.txt")
    with pytest.raises(StreamError, match="holds no frame"):
        replay([], {}, set())
