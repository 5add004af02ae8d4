"""What a corpus loses and repeats when workers, drivers and machines are killed: nothing.

    python benchmarks/corpora_kill.py [--clips 200] [--kills 10] [--seed 1] [--record]
    python benchmarks/corpora_kill.py --ray [--clips 200] [--record]

Short clips, half of the demo and half of people and sizes that the studio (training/synthetic)
films, of uneven lengths, in many folders. By default two workers of this machine
analyse them; at random moments a worker is ended by SIGKILL, and twice the driver, which is started
again with ``--resume``. With ``--ray`` a Ray cluster of two nodes analyses them, one of which is
killed half way. In the end rows and events of each are compared with those of a plain ``analyze``,
byte for byte, and the data set with the rows; a result that was ever seen in its place must be the
very same folder still.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import records

if TYPE_CHECKING:
    from collections.abc import Iterator

_CODE = (*records.PRODUCT, "realtime_affect/corpus", "realtime_affect/outputs")
_PATHS = [str(records.REPOSITORY / part) for part in ("", "engines", "kernels", "gui")]
_PROGRAM = "from realtime_affect.cli.main import main; main()"
_DIFFERENT = 20  # contents of clips; the others are copies elsewhere
_FRAMES = (3, 18)
_SIZE = (640, 360)  # of the demo's
_SIDES = (240, 360, 480)  # of the studio's
_FACES = Path("../shared/data/synthetic_ict/ict_facekit_light.npz")
_OPTIONS = ("--no-timeline", "--no-explain", "--format", "parquet", "-q")
_DRIVER_KILLS = 2
_PATIENCE_S = 1200.0


def demo_images() -> list[Any]:
    """Return all images of the demo."""
    import cv2

    from realtime_affect.capture import open_source

    source = open_source("demo", live=False)
    images = []
    while (frame := source.read(10.0)) is not None:
        images.append(cv2.resize(frame.image, _SIZE, interpolation=cv2.INTER_AREA))
    source.close()
    return images


def studio_images(model: Any, number: int, n: int) -> Iterator[Any]:
    """Film person `number` of the studio for `n` images."""
    from training.synthetic.motion import make_motion
    from training.synthetic.studio import draw_scene, film, make_subject

    motion = make_motion(number, seconds=(n + 1) / 30, fps=30)
    scene = draw_scene(number, _SIDES[number % len(_SIDES)])
    filmed = film(make_subject(model, "train", number), motion, scene)
    return (picture for picture, _ in itertools.islice(filmed, n))


def make_clips(folder: Path, n: int, faces: Path, draw: random.Random) -> dict[str, int]:
    """Write `n` clips, uneven in length; return which content each has, odd ones the studio's."""
    from realtime_affect.outputs.video import VideoRecorder
    from training.synthetic.faces import FaceModel

    demo, model = demo_images(), FaceModel(faces)
    contents: dict[str, int] = {}
    for number in range(n):
        name = f"group{number % 7}/person{number % 23}/clip{number}.mp4"
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if number < _DIFFERENT:
            length = draw.randint(*_FRAMES)
            first = draw.randrange(len(demo) - length)
            of_demo = demo[first : first + length]
            recorder = VideoRecorder(path, 30.0)
            for index, image in enumerate(
                studio_images(model, number, length) if of_studio(number) else of_demo
            ):
                recorder.write(image, index * 33_333_333)
            recorder.close()
        else:
            of = next(name for name, which in contents.items() if which == number % _DIFFERENT)
            path.write_bytes((folder / of).read_bytes())
        contents[name] = number % _DIFFERENT
    return contents


def of_studio(content: int) -> bool:
    """Return whether a content is filmed in the studio."""
    return content % 2 == 1


def plain_results(clips: Path, contents: dict[str, int], out: Path) -> dict[int, dict[str, bytes]]:
    """Return what ``analyze`` writes for each content: the bytes of rows and events."""
    from realtime_affect import Config, analyze
    from realtime_affect.analysis import Networks

    found: dict[int, dict[str, bytes]] = {}
    with Networks(Config()) as networks:
        for name, content in contents.items():
            if content not in found:
                done = analyze(
                    clips / name, out / str(content), timeline=False, explain=False,
                    networks=networks,
                )  # fmt: skip
                files = done.inputs[0].files
                found[content] = {kind: path.read_bytes() for kind, path in files.items()}
    return found


def places(out: Path, names: list[str]) -> dict[str, int]:
    """Return what tells each result in its place from every other: its folder's inode."""
    found = {}
    for name in names:
        if (out / name / "summary.json").exists():
            found[name] = (out / name).stat().st_ino
    return found


def start(clips: Path, out: Path, *more: str) -> subprocess.Popen[bytes]:
    """Start a driver, which resumes."""
    words = ["corpus", str(clips), "-o", str(out), "--resume", "--workers", "2", *_OPTIONS, *more]
    environment = {**os.environ, "PYTHONPATH": ":".join(_PATHS)}
    return subprocess.Popen([sys.executable, "-c", _PROGRAM, *words], env=environment)


def workers_of(driver: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """Return the processes that work for a driver; none once it has ended."""
    with contextlib.suppress(psutil.Error):
        children = psutil.Process(driver.pid).children()
        return [child for child in children if "spawn_main" in " ".join(child.cmdline())]
    return []


def with_kills(clips: Path, out: Path, names: list[str], kills: int, draw: random.Random) -> Any:
    """Analyse with kills of workers and drivers; return counts and all results ever seen."""
    events = ["worker"] * kills
    for k in range(_DRIVER_KILLS):
        events.insert((k + 1) * len(events) // (_DRIVER_KILLS + 1), "driver")
    at = sorted(draw.sample(range(2, len(names) - 2), len(events)))
    seen: dict[str, int] = {}
    replaced: set[str] = set()
    counts = {"worker": 0, "driver": 0, "drivers_started": 1, "given_up": 0}
    driver = start(clips, out)
    until_s = time.monotonic() + _PATIENCE_S
    while True:
        now = places(out, names)
        replaced |= {name for name, inode in seen.items() if now.get(name) != inode}
        seen |= now
        if events and len(now) >= at[0]:
            children = workers_of(driver)
            if events[0] == "driver" and driver.poll() is None:
                driver.kill()
            elif events[0] == "worker" and children:
                draw.choice(children).kill()
            else:
                time.sleep(0.05)
                continue
            counts[events.pop(0)] += 1
            at.pop(0)
        if driver.poll() is not None:
            if driver.returncode == 3:
                record = json.loads((out / "corpus.json").read_text(encoding="utf-8"))
                counts["given_up"] += sum(one["outcome"] == "failed" for one in record["inputs"])
            if driver.returncode == 0 and not events:
                break
            counts["drivers_started"] += 1
            driver = start(clips, out)
        if time.monotonic() > until_s:
            sys.exit(f"not done after {_PATIENCE_S} s: {len(now)} of {len(names)}")
        time.sleep(0.05)
    return counts, seen, replaced


def with_a_lost_node(clips: Path, out: Path, names: list[str]) -> Any:
    """Analyse on a Ray cluster of two nodes, one of which is killed half way."""
    from realtime_affect.corpus.cluster import import_ray

    ray = import_ray(loopback=True)
    from ray.cluster_utils import Cluster

    cluster = Cluster()
    cluster.add_node(num_cpus=1, include_dashboard=False)
    node = cluster.add_node(num_cpus=1)
    seen: dict[str, int] = {}
    replaced: set[str] = set()
    driver = start(clips, out, "--ray", cluster.address)
    killed = 0
    while driver.poll() is None:
        now = places(out, names)
        replaced |= {name for name, inode in seen.items() if now.get(name) != inode}
        seen |= now
        if not killed and len(now) >= len(names) // 2:
            cluster.remove_node(node, allow_graceful=False)
            killed = 1
        time.sleep(0.1)
    ray.shutdown()
    cluster.shutdown()
    counts = {"node": killed, "drivers_started": 1, "exit_code": driver.returncode}
    return counts, seen, replaced


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Return the figures of one run."""
    import pyarrow.dataset

    draw = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        clips, out = folder / "clips", folder / "out"
        contents = make_clips(clips, options.clips, options.faces, draw)
        names = list(contents)
        began_s = time.monotonic()
        if options.ray:
            counts, seen, replaced = with_a_lost_node(clips, out, names)
        else:
            counts, seen, replaced = with_kills(clips, out, names, options.kills, draw)
        seconds = time.monotonic() - began_s
        final = places(out, names)
        replaced |= {name for name, inode in seen.items() if final.get(name) != inode}
        plain = plain_results(clips, contents, folder / "plain")
        equal = rows = frames = 0
        for name, content in contents.items():
            same = True
            for kind, wanted in plain[content].items():
                stem = Path(name).stem
                path = out / name / (f"{stem}.csv" if kind == "rows" else f"{stem}.events.csv")
                same = same and path.exists() and path.read_bytes() == wanted
            equal += same
            lines = plain[content]["rows"].decode().splitlines()[1:]
            rows += len(lines)
            frames += len({line.partition(",")[0] for line in lines})
        dataset = pyarrow.dataset.dataset(out / "corpus.parquet", partitioning="hive")
        return {
            "clips": len(names), "of_the_studio": sum(map(of_studio, contents.values())),
            "frames": frames, "rows": rows, "killed": counts,
            "equal_to_analyze": equal, "rows_in_data_set": dataset.count_rows(),
            "results_replaced": len(replaced), "seconds": round(seconds, 1),
        }  # fmt: skip


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--clips", type=int, default=200)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--ray", action="store_true")
    parser.add_argument("--faces", type=Path, default=_FACES, help="of the studio")
    parser.add_argument("--record", action="store_true")
    options = parser.parse_args()
    if not options.faces.is_file():
        parser.error(f"the studio's faces are not at {options.faces}: name them with --faces")
    code = records.code_state(*_CODE)
    figures = measure(options)
    print(json.dumps(figures, indent=1))
    if options.record:
        scenario = "two nodes of Ray" if options.ray else "two processes"
        config = {"scenario": scenario, "seed": options.seed}
        print(records.append(records.new_record("corpora_kill", config, figures, code)))
    whole = figures["equal_to_analyze"] == figures["clips"] and not figures["results_replaced"]
    sys.exit(not (whole and figures["rows_in_data_set"] == figures["rows"]))


if __name__ == "__main__":
    main()
