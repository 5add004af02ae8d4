"""What each CUDA kernel takes on a GPU, beside PyTorch and what the card can do.

    python benchmarks/kernels.py [--only NAME] [--rounds 50] [--record]
    python benchmarks/kernels.py --dry-run [--architecture 90]

Needs an NVIDIA GPU, the extra ``cuda``, and PyTorch with CUDA for the twins. Each case is first
compared with its eager twin, then timed by events with a cold L2 cache, one launch at a time; the
same operation in eager PyTorch, compiled by it, and fused where PyTorch has that, alike. Beside
them stand the bytes that must move once, the card's measured copy bandwidth and matrix rate, and
the share of the higher floor that was reached. A dry run needs no GPU: it prints the plan, with
what the compiler says each kernel takes, and measures nothing.
"""

from __future__ import annotations

import argparse
import sys
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np
import records
from kernel_cases import Case, cases
from rich.console import Console
from rich.table import Table

from affect_kernels import _nvrtc
from affect_kernels._launch import headers, read_source
from affect_kernels.cuda.device import Device
from affect_kernels.errors import AffectError, DependencyError

if TYPE_CHECKING:
    from collections.abc import Callable

WARM_UP = 3


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="kernels whose name has this in it")
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--record", action="store_true", help="add to benchmarks/results")
    parser.add_argument("--dry-run", action="store_true", help="print the plan, measure nothing")
    parser.add_argument("--architecture", type=int, default=90, help="of the dry run's compiler")
    options = parser.parse_args()
    try:
        if options.dry_run:
            plan(options.only, options.architecture)
        else:
            measure(options.only, options.rounds, record=options.record)
    except AffectError as error:
        print(error)
        sys.exit(error.exit_code)


def plan(only: str, architecture: int) -> None:
    """Print every case: launches, bytes, operations, and what a thread and a block take."""
    table = Table("case", "launch", "blocks x threads", "MB", "GMAC", "registers", "shared", "aim")
    for case in cases(only, drawn=False):
        launch = case.launch
        used = resources(launch.source, architecture).get(launch.entry)
        table.add_row(
            case.name, launch.entry, f"{' x '.join(map(str, launch.grid))} x {launch.threads}",
            f"{case.touched_bytes / 1e6:.2f}",
            f"{case.multiply_adds / 1e9:.3f}" if case.multiply_adds else "",
            str(used.registers) if used else "?", str(used.shared_bytes) if used else "?",
            case.aim,
        )  # fmt: skip
    Console(width=200).print(table)
    print(f"Plan only, compiled for sm_{architecture}: nothing was run or measured.")


def resources(source: str, architecture: int) -> dict[str, _nvrtc.Resources]:
    """Return what the kernels of a source take, or nothing where there is no compiler."""
    try:
        cubin = _nvrtc.compile_cubin(read_source(source), source, architecture, headers(source))
    except DependencyError:
        return {}
    return dict(cubin.resources)


def measure(only: str, rounds: int, *, record: bool) -> None:
    """Compare, time, print and record."""
    code = records.code_state("kernels/affect_kernels")
    rows: list[dict[str, Any]] = []
    with Device() as device:
        rivals = Rivals.on_this_machine(device)
        card = {
            "name": device.name,
            "architecture": device.architecture,
            "copy_gb_s": device.copy_bytes_per_s() / 1e9,
            "matrix_tmac_s": rivals.matrix_rate() / 1e12 if rivals else None,
        }
        print(card)
        for case in cases(only, multiprocessors=device.multiprocessors):
            rows.append(measure_case(case, device, rivals, rounds, card))
            print(rows[-1])
    if record:
        config = {"rounds": rounds, "cold_l2": True, "torch": rivals.version if rivals else None}
        new = records.new_record("kernels", config, {"card": card, "cases": rows}, code)
        print(records.append(new))


def measure_case(
    case: Case, gpu: Device, rivals: Rivals | None, rounds: int, card: dict[str, Any]
) -> dict[str, Any]:
    """Return one case's figures; a kernel that disagrees with its twin is not timed."""
    figures: dict[str, Any] = {
        "case": case.name, "touched_mb": case.touched_bytes / 1e6, "aim": case.aim
    }  # fmt: skip
    if rivals:
        figures["difference"] = compare(case, gpu.run, rivals.answers(case))
    prepared = gpu.prepare(case.launch)
    try:
        ours = gpu.time_ms(prepared, rounds)
    finally:
        gpu.free(prepared)
    figures["raw_ms"] = ours
    figures["ms"] = median(ours)
    floors = {"copy": case.touched_bytes / card["copy_gb_s"] / 1e6}
    if case.multiply_adds and card["matrix_tmac_s"]:
        floors["matrix"] = case.multiply_adds / card["matrix_tmac_s"] / 1e9
    figures["floor_ms"] = floors
    figures["share_of_floor"] = max(floors.values()) / figures["ms"]
    if rivals:
        figures["rivals_ms"] = rivals.times(case, rounds)
        figures["times_faster"] = {
            name: time / figures["ms"] for name, time in figures["rivals_ms"].items()
        }
    return figures


def compare(case: Case, run: Callable[..., Any], wanted: tuple[Any, ...]) -> float:
    """Return the largest difference from the twin, of the twin's largest magnitude.

    Raises
    ------
    RuntimeError
        It is more than the case allows.
    """
    worst = 0.0
    for found, twin in zip(case.answers(run), wanted, strict=True):
        exact = np.asarray(twin, np.float64)
        same = np.shape(found) == exact.shape
        off = np.abs(np.asarray(found, np.float64) - exact).max() if same else np.inf
        worst = max(worst, float(off / np.abs(exact).max()))
    if not worst <= case.tolerance:
        message = f"{case.name} differs from PyTorch by {worst:.2g}, allowed is {case.tolerance}"
        raise RuntimeError(message)
    return worst


class Rivals:
    """PyTorch on the same card."""

    def __init__(self, torch: Any) -> None:
        self._torch = torch
        self.version = str(torch.__version__)
        bytes_of_l2 = torch.cuda.get_device_properties(0).L2_cache_size
        self._flush = torch.empty(max(2 * bytes_of_l2, 1 << 24), dtype=torch.int8, device="cuda")

    @classmethod
    def on_this_machine(cls, device: Device) -> Rivals | None:
        """Return them, or say why there are none and return None."""
        try:
            import torch
        except ImportError:
            print("no rivals: PyTorch is not installed (make training)")
            return None
        if not torch.cuda.is_available():
            print(f"no rivals: PyTorch {torch.__version__} does not see {device.name}")
            return None
        return cls(torch)

    def answers(self, case: Case) -> tuple[Any, ...]:
        """Return what the eager twin says, as NumPy arrays."""
        with self._torch.no_grad():
            return tuple(part.cpu().numpy() for part in case.twins["eager"]("cuda")())

    def times(self, case: Case, rounds: int) -> dict[str, float]:
        """Return the median of each twin, and of the eager one compiled."""
        times = {}
        with self._torch.no_grad():
            for name, make in case.twins.items():
                times[name] = median(self._time(make("cuda"), rounds))
            compiled = self._torch.compile(case.twins["eager"]("cuda"))
            times["compiled"] = median(self._time(compiled, rounds))
        return times

    def matrix_rate(self) -> float:
        """Return multiply-adds a second of a large fp16 product, the best of some rounds."""
        n = 8192
        a, b = (
            self._torch.randn((n, n), device="cuda", dtype=self._torch.float16) for _ in range(2)
        )
        return n**3 / (min(self._time(lambda: a @ b, 10)) * 1e-3)

    def _time(self, function: Callable[[], Any], rounds: int) -> list[float]:
        cuda = self._torch.cuda
        for _ in range(WARM_UP):
            function()
        times = []
        begin, end = cuda.Event(enable_timing=True), cuda.Event(enable_timing=True)
        for _ in range(rounds):
            self._flush.zero_()
            begin.record()
            function()
            end.record()
            end.synchronize()
            times.append(float(begin.elapsed_time(end)))
        return times


if __name__ == "__main__":
    main()
