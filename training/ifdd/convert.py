"""Official checkpoint -> safetensors and ONNX, without running anything that is in it.

    python -m training.ifdd.convert CHECKPOINT.pth --out FOLDER [--no-onnx | --plugins]

A ``.pth`` is a pickle, which can hold any program. It is opened in a process of its own, by the
loader that knows tensors only, and what comes back is safetensors: names, shapes and numbers. The
names must be the published network's, every one of them, or nothing is written.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from affect_kernels.atomic import replacing
from realtime_affect.errors import AffectError, InputError, InputMissingError, OutputError

if TYPE_CHECKING:
    from torch import Tensor

LIMIT_S: Final = 300.0
_WRAPPED: Final = ("model", "state_dict")  # under which trainers keep the state dict
_PREFIX: Final = "module."  # of networks trained on several GPUs


def load_weights(path: Path) -> dict[str, Tensor]:
    """Read a safetensors file of the published network.

    Raises
    ------
    InputMissingError, InputError
        There is no such file, or it is not the published network's.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        weights = load(path.read_bytes())
    except FileNotFoundError as error:
        raise InputMissingError(
            thing=str(path), got="no file", expected="weights in safetensors",
            hint="Make them: python -m training.ifdd.convert CHECKPOINT.pth --out FOLDER.",
        ) from error  # fmt: skip
    except (OSError, SafetensorError) as error:
        raise InputError(
            thing=str(path), got=str(error), expected="weights in safetensors",
            hint="Convert the checkpoint again.",
        ) from error  # fmt: skip
    check_keys(weights, str(path))
    return weights


def check_keys(weights: dict[str, Tensor], name: str) -> None:
    """Compare names and shapes with the published network's.

    Raises
    ------
    InputError
        They differ; the first differences are named.
    """
    from training.ifdd.network import IFDD

    wanted = {key: tuple(value.shape) for key, value in IFDD().state_dict().items()}
    given = {key: tuple(value.shape) for key, value in weights.items()}
    if wanted == given:
        return
    differences = [
        *(f"no {key}" for key in wanted if key not in given),
        *(f"unknown {key}" for key in given if key not in wanted),
        *(
            f"{key} {given[key]} instead of {shape}"
            for key, shape in wanted.items()
            if key in given and given[key] != shape
        ),
    ]
    raise InputError(
        thing=name,
        got=f"{len(differences)} differences: {'; '.join(differences[:3])}",
        expected=f"the {len(wanted)} tensors of IFDD as published for DFEW",
        hint="Checkpoints of other configurations, or older than the present split, have others.",
    )


def read_checkpoint(path: Path, out: Path) -> None:
    """Turn a ``.pth`` into safetensors; runs in the child process."""
    import torch
    from safetensors.torch import save_file

    content: Any = torch.load(path, map_location="cpu", weights_only=True)
    for key in _WRAPPED:
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict):
        message = f"a {type(content).__name__} where a state dict should be"
        raise TypeError(message)
    tensors = {
        str(key).removeprefix(_PREFIX): value.contiguous().clone()
        for key, value in content.items()
        if isinstance(value, torch.Tensor)
    }
    save_file(tensors, out)


def convert(checkpoint: Path, out: Path) -> Path:
    """Write ``ifdd.safetensors`` into the folder `out` and return its path.

    Raises
    ------
    InputMissingError, InputError
        There is no checkpoint, it holds more than tensors, or not the published network's.
    OutputError
        The folder cannot be written.
    """
    if not checkpoint.is_file():
        raise InputMissingError(
            thing=str(checkpoint), got="no file", expected="a checkpoint (.pth)",
            hint="Name the file the official trainer saved.",
        )  # fmt: skip
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            thing=str(out), got=str(error), expected="a folder that can be written",
            hint="Name another one.",
        ) from error  # fmt: skip
    path = out / "ifdd.safetensors"
    with replacing(path) as temporary:
        command = [
            sys.executable, "-m", "training.ifdd.convert", checkpoint, "--child", temporary
        ]  # fmt: skip
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=LIMIT_S, check=False
            )
            failure = done.stderr.strip().splitlines()[-1:] if done.returncode else []
        except subprocess.TimeoutExpired:
            failure = [f"no answer within {LIMIT_S:.0f} s"]
        if failure or not temporary.stat().st_size:
            raise InputError(
                thing=str(checkpoint), got=" ".join(failure) or "nothing readable",
                expected="a state dict of tensors and nothing else",
                hint="A checkpoint that needs more than tensors could run code; it is not opened.",
            )  # fmt: skip
        load_weights(temporary)
    return path


def main() -> int:
    """Run from the command line; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--out", type=Path, help="folder for ifdd.safetensors and ifdd.onnx")
    parser.add_argument("--no-onnx", action="store_true", help="safetensors only")
    parser.add_argument(
        "--plugins", action="store_true", help="also ifdd.plugins.onnx, for our TensorRT plugins"
    )
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child is not None:
        read_checkpoint(options.checkpoint, options.child)
        return 0
    if options.out is None:
        parser.error("--out FOLDER is needed")
    try:
        path = convert(options.checkpoint, options.out)
    except AffectError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    print(path)
    if not options.no_onnx:
        from training.ifdd.deploy import write_files
        from training.ifdd.network import IFDD

        network = IFDD()
        network.load_state_dict(load_weights(path))
        write_files(network, options.out / "ifdd.onnx", plugins=options.plugins)
    return 0


if __name__ == "__main__":
    sys.exit(main())
