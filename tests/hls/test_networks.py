"""Whole networks as C++: every code of every layer is the simulator's, on both targets. `make cosim` runs more of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from emission import findings, needs_gxx
from networks import NETWORKS, Network
from run_networks import Job, run

from fxnorm.hls.build import FLAGS

# Which networks are run in which format, and with how much optimization: -O2 where running takes longer than compiling.
PROVEN = {
    "digits_dense": ("q5.3", "-O0", "catapult"),
    "digits_conv": ("q5.3", "-O0", "all"),
    "digits_groupnorm": ("q5.3", "-O0", "catapult"),
    "digits_instancenorm": ("q8.8", "-O0", "catapult"),
    "digits_vit": ("q5.3", "-O0", "catapult"),
    "sww": ("q5.3", "-O1", "catapult"),
    "dscnn": ("q5.3", "-O1", "catapult"),
    "ad_autoencoder": ("q8.8", "-O1", "catapult"),
}
CASES = [(network, *PROVEN[network.name], "stream") for network in NETWORKS if network.name in PROVEN]
CASES += [(network, "q5.3", "-O0", "vitis", "parallel") for network in NETWORKS if network.name == "digits_dense"]


@needs_gxx
@pytest.mark.slow
@pytest.mark.parametrize(
    ("network", "format_", "level", "target", "io"), CASES, ids=[f"{case[0].name}-{case[-1]}" for case in CASES]
)
def test_no_code_differs(network: Network, format_: str, level: str, target: str, io: str, tmp_path: Path) -> None:
    if not network.there:
        pytest.skip(f"{network.model} is not there")
    flags = tuple(level if flag == "-O2" else flag for flag in FLAGS)
    report = run(Job(network, format_, io), tmp_path, target, layers=True, jobs=1, flags=flags)
    assert report.passed
    assert report.differing == 0
    for dialect in report.targets:
        assert not findings(tmp_path / network.name, dialect.target)
    assert report.frames == 45
    assert report.traced >= 1
    for own in report.targets:
        assert (own.fifos > 0) is (io == "stream")
        for flavour in own.flavours:
            assert all(output.compared for output in flavour.outputs)
            assert all(layer.compared and not layer.differing for layer in flavour.layers)
