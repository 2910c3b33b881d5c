"""What passed the channels of a compiled design, read from its log, and whether it passes FIFOs of the emitted depths as well."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from fxnorm.errors import StreamError
from fxnorm.hls.token_simulation import check, logged
from fxnorm.hls.tokens import Network

Log = dict[str, list[tuple[str, str, int]]]
"""Events of every process in their order: "r" or "w", the channel, and how many tokens."""


def read_log(path: Path) -> list[Log]:
    """Events of every logged frame, by process.

    Raises
    ------
    StreamError
        If the log is missing or damaged.
    """
    frames: list[Log] = []
    try:
        for line in path.read_text(encoding="ascii").splitlines():
            words = line.split()
            if words[0] == "frame":
                frames.append({})
                continue
            process, kind, channel, count = words
            frames[-1].setdefault(process, []).append((kind, channel, int(count)))
    except (OSError, ValueError, IndexError) as error:
        raise StreamError(f"streams: the log of events cannot be read: {error}") from error
    return frames


def replay(frames: list[Log], depths: Mapping[str, int], ends: set[str]) -> Network:
    """Run logged events through FIFOs of given depths.

    Parameters
    ----------
    depths
        Of the FIFOs inside of the design.
    ends
        Inputs and outputs of the design, whose FIFOs are their surroundings'; one entry will do.

    Raises
    ------
    StreamError
        If the log has no frame, its frames differ, or a FIFO has no depth.
    DeadlockError
        If the frame does not pass; the message follows the circle of processes that wait for one another.
    """
    if not frames:
        raise StreamError("streams: the log of events holds no frame")
    for number, frame in enumerate(frames):
        for process, events in frame.items():
            if frames[0].get(process) != events or set(frame) != set(frames[0]):
                raise StreamError(
                    f"streams: every frame must pass in the same way, and {process} does otherwise in frame {number}"
                )
    network = logged(frames[0])
    names = [fifo.name for fifo in network.fifos]
    for name in names:
        if name not in ends and depths.get(name, 0) < 1:
            raise StreamError(f"streams: {name}: a FIFO must have a depth, and emitted files name none for it")
    check(network, [1 if name in ends else depths[name] for name in names])
    return network
