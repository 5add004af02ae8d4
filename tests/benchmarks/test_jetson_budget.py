import json

import pytest

from realtime_affect.serve.presets import preset_names


@pytest.fixture
def budget(script):
    return script("jetson_budget")


@pytest.fixture
def record(budget):
    return json.loads(budget.RECORD.read_text(encoding="utf-8"))


def test_every_preset_has_a_machine(budget):
    assert {f"{machine.preset}.toml" for machine in budget.MACHINES} == set(preset_names())


def test_more_faces_frames_and_decisions_cost_more(budget, record):
    usual = budget.worker_mmac(record, 2, 30.0, 10.0)
    assert all(work > 0 for work in usual)
    for more in ((3, 30.0, 10.0), (2, 60.0, 20.0)):
        assert all(a > b for a, b in zip(budget.worker_mmac(record, *more), usual, strict=True))
    # Of the affect worker's work only the spotter's grows with the frames.
    more = budget.worker_mmac(record, 2, 60.0, 10.0)[1] - usual[1]
    assert more == pytest.approx(2 * 30.0 * record["spotter"]["motion_mmac"])


def test_the_spotter_is_in_both_workers_work_and_in_the_memory(budget, record):
    without = record | {
        "spotter": record["spotter"]
        | {"picture_mmac": 0.0, "motion_mmac": 0.0, "kept_bytes_a_face": 0}
    }
    lean = budget.worker_mmac(without, 3, 30.0, 10.0)
    assert all(a > b for a, b in zip(budget.worker_mmac(record, 3, 30.0, 10.0), lean, strict=True))
    assert budget.table(without) != budget.table(record)
    assert "what the spotter of micro-expressions keeps" in budget.table(record)


def test_the_spotter_is_measured_beside_a_network(script):
    cost = script("spotter_cost")
    one, two = (cost.measure(mmac, frames=4, repeats=1) for mmac in (10.0, 20.0))
    assert one["faces"] == 2
    assert one["faces_and_frames"] >= 6
    for found, mmac in ((one, 10.0), (two, 20.0)):
        for part in ("picture", "motion"):  # as many as the network does in that time
            in_gmac = found[f"{part}_ms"] * found["gmac_per_s_here"]
            assert found[f"{part}_mmac"] == pytest.approx(in_gmac, rel=0.1, abs=0.05), mmac
    # At least the images, which flow between two moments needs: 128 x 128, one a frame.
    assert one["kept_bytes_a_face"] > 3 * 128 * 128


def test_no_preset_asks_for_more_than_the_best_case_can_do(budget, record):
    for machine in budget.MACHINES:
        config = budget.load_settings(machine.preset)
        serve, faces = config.serve, config.track.max_faces
        can = machine.ghz * 1e3 * machine.macs_per_cycle * max(budget.SHARES)
        for work in budget.worker_mmac(record, faces, serve.fps, serve.decisions_hz):
            assert work < 0.85 * can, machine.preset  # from there on the service lowers the rate


def test_multiplications_are_counted_as_by_hand(budget, tmp_path):
    onnx = pytest.importorskip("onnx", reason="onnx is not installed here")
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    weights = helper.make_tensor("w", kind, (8, 3, 3, 3), [0.0] * 216)
    dense = helper.make_tensor("d", kind, (4, 5), [0.0] * 20)
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["x", "w"], ["y"], pads=[1, 1, 1, 1]),
            helper.make_node("MatMul", ["v", "d"], ["z"]),
        ],
        "two",
        [
            helper.make_tensor_value_info("x", kind, ("n", 3, 10, 12)),
            helper.make_tensor_value_info("v", kind, (1, 4)),
        ],
        [helper.make_tensor_value_info(name, kind, None) for name in "yz"],
        [weights, dense],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path = tmp_path / "two.onnx"
    onnx.save(model, str(path))
    assert budget.count_onnx(path) == 8 * 10 * 12 * 27 + 20
