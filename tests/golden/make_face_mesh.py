"""Record Face Mesh points from MediaPipe 0.10.21's own graph -> face_mesh_mediapipe.npz.

Run by hand in an environment that has mediapipe==0.10.21 and nothing of ours:

    python -c "import numpy, skimage.data; numpy.save('a.npy', skimage.data.astronaut())"  # ours
    python tests/golden/make_face_mesh.py a.npy [--clip realtime_affect/demo/demo.mp4]     # theirs

Arrays in the file: `<name>/sha256` of the input image, `<name>/points` (faces, 468, 3) float32
in pixels (z in the unit of x), for the stills of face_mesh_recipe.variants and as
`sequence/<i>` for its clip; `demo/<frame>` holds the frames of the demo clip where one was given.
"""

# ruff: noqa: T201
from __future__ import annotations

import argparse
import platform
from pathlib import Path

import face_mesh_recipe as recipe
import mediapipe
import numpy as np

DEMO_EVERY, DEMO_N = 10, 12


def read_points(result, shape):
    """Return (faces, 468, 3) float32 in pixels."""
    faces = result.multi_face_landmarks or []
    height, width = shape[:2]
    return np.array(
        [[(p.x * width, p.y * height, p.z * width) for p in face.landmark] for face in faces],
        np.float32,
    ).reshape(-1, 468, 3)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photo", type=Path, help="skimage.data.astronaut() saved by numpy.save")
    parser.add_argument("--clip", type=Path, help="the demo clip, decoded with OpenCV")
    arguments = parser.parse_args()
    photo = np.load(arguments.photo)
    face_mesh = mediapipe.solutions.face_mesh.FaceMesh
    found = {}
    for name, picture in recipe.variants(photo).items():
        with face_mesh(static_image_mode=True, max_num_faces=4) as graph:
            points = read_points(graph.process(picture), picture.shape)
        found[f"{name}/points"], found[f"{name}/sha256"] = points, recipe.digest(picture)
        print(name, picture.shape, len(points))
    with face_mesh(static_image_mode=False, max_num_faces=1) as graph:
        for i, picture in enumerate(recipe.sequence(photo)):
            points = read_points(graph.process(picture), picture.shape)
            found[f"sequence/{i}/points"] = points
            found[f"sequence/{i}/sha256"] = recipe.digest(picture)
            print("sequence", i, len(points))
    if arguments.clip:
        import cv2

        capture = cv2.VideoCapture(str(arguments.clip))
        with face_mesh(static_image_mode=True, max_num_faces=4) as graph:
            for i in range(DEMO_EVERY * DEMO_N):
                ok, picture = capture.read()
                if not ok:
                    break
                if i % DEMO_EVERY == 0:
                    rgb = np.ascontiguousarray(picture[..., ::-1])
                    found[f"demo/{i}/points"] = read_points(graph.process(rgb), rgb.shape)
                    print("demo", i, len(found[f"demo/{i}/points"]))
    found["provenance"] = (
        f"mediapipe {mediapipe.__version__} solutions.face_mesh, refine_landmarks=False, "
        f"numpy {np.__version__}, Python {platform.python_version()}, {platform.machine()}; "
        "photograph: skimage.data.astronaut() (NASA, public domain)"
    )
    np.savez_compressed(Path(__file__).with_name("face_mesh_mediapipe.npz"), **found)


if __name__ == "__main__":
    main()
