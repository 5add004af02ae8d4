"""A Ray cluster of two nodes on this machine, one of which dies."""

import os
from importlib.util import find_spec

import pytest

from realtime_affect import analyze, analyze_corpus
from realtime_affect.corpus.cluster import SILENT, import_ray
from realtime_affect.errors import DeviceError
from tests.realtime_affect.corpus.test_processes import clips, record

__all__ = ["clips"]  # a fixture

pytestmark = [
    pytest.mark.slow,
    # Not imported here: Ray reads once what is set for it.
    pytest.mark.skipif(find_spec("ray") is None, reason="the extra batch (Ray) is not installed"),
    pytest.mark.filterwarnings("ignore"),  # Ray's own, and its sockets
]


@pytest.fixture(scope="module")
def cluster():
    ray = import_ray(loopback=True)
    from ray.cluster_utils import Cluster

    cluster = Cluster()
    cluster.add_node(num_cpus=1, include_dashboard=False)
    yield cluster
    ray.shutdown()
    cluster.shutdown()


def test_ray_reports_nothing(cluster):
    from ray._common.usage import usage_lib

    assert not usage_lib.usage_stats_enabled()
    assert {name: os.environ[name] for name in SILENT} == SILENT
    assert cluster.head_node.address_info["webui_url"] in ("", None)
    assert cluster.address.startswith("127.0.0.1:")


def test_a_node_that_dies_loses_nothing_and_is_nobody_s_fault(clips, cluster, tmp_path):
    lost = cluster.add_node(num_cpus=1)
    out = tmp_path / "out"

    def kill_node(now):
        nonlocal lost
        if lost is not None and len(record(out)["workers"]) == 2:
            cluster.remove_node(lost, allow_graceful=False)
            lost = None

    done = analyze_corpus(
        clips, out, ray=cluster.address, workers=2, timeline=False, explain=False,
        progress=kill_node,
    )  # fmt: skip
    assert lost is None
    entries = {entry["input"]: entry for entry in done.entries}
    assert [entry["input"] for entry in done.failures] == ["bad.mp4"]
    assert "given up" not in entries["bad.mp4"]["error"]
    plain = analyze(clips / "c.mp4", tmp_path / "plain", timeline=False, explain=False)
    for path in plain.inputs[0].files.values():
        assert (out / "c.mp4" / path.name).read_bytes() == path.read_bytes()
    assert all(entries[name]["outcome"] == "complete" for name in entries if name != "bad.mp4")


def test_an_address_without_a_cluster_is_said_at_once(clips, tmp_path):
    with pytest.raises(DeviceError, match="a cluster that answers"):
        analyze_corpus(clips, tmp_path / "out", ray="127.0.0.1:1")
