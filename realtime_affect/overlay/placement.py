"""Where beside its face a panel goes: never on a face, on another panel, or out of the image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

Rect = tuple[int, int, int, int]
"""x0, y0, x1, y1 in pixels."""

Place = tuple[int, int, int]
"""Which of the sizes, and the panel's x and y."""

_APART: Final = 3  # times the gap between a face and its own panel: no panel looks like another's
_SETTLE_NS: Final = 1_000_000_000


class PanelMemory:
    """Keep each face's kind of panel from flickering: a better one comes when it fits for a second.

    One for each stream of images; times are source times.
    """

    def __init__(self) -> None:
        self._kinds: dict[int, int] = {}
        self._since_ns: dict[int, int] = {}

    def settle(self, fits: Mapping[int, int], t_ns: int) -> dict[int, int]:
        """Return the kind to show for each face, by its id.

        Parameters
        ----------
        fits : mapping of int to int
            The best kind that fits now, by the face's id; larger is smaller, the largest is none.
        t_ns : int
            Source time of the image.
        """
        shown = {}
        for track_id, fitting in fits.items():
            kind = self._kinds.get(track_id, fitting)
            if fitting >= kind:
                kind = fitting
                self._since_ns.pop(track_id, None)
            elif t_ns - self._since_ns.setdefault(track_id, t_ns) >= _SETTLE_NS:
                kind = fitting
                del self._since_ns[track_id]
            shown[track_id] = kind
        self._kinds = shown
        self._since_ns = {n: since for n, since in self._since_ns.items() if n in shown}
        return shown


def place_panels(
    faces: Sequence[Rect],
    sizes: Mapping[int, Sequence[tuple[int, int]]],
    bounds: Rect,
    gap: int,
) -> dict[int, Place]:
    """Find a place right or left of each face that wants a panel.

    Faces that can all have the same kind of panel get it, the kinds in the order given; where
    none suits all of them, each gets the first that suits it.

    Parameters
    ----------
    faces : sequence of Rect
        All faces, with their labels: what no panel may cover.
    sizes : mapping
        For each face that wants a panel, by its place in `faces`: (width, height) of its kinds of
        panel, the best first; the same number for all.
    bounds : Rect
        What panels must stay in.
    gap : int
        Pixels between a face and its panel, and between panels.

    Returns
    -------
    mapping
        Face to kind, x, y; without the faces that have no room.
    """
    n_kinds = max((len(options) for options in sizes.values()), default=0)
    placed: dict[int, Place] = {}
    for kinds in [[kind] for kind in range(n_kinds)] + [list(range(n_kinds))]:
        # A row of faces may only have room when all panels go to the same side, the outermost
        # first; right of the face is where most people look for them.
        by_x = sorted(sizes, key=lambda n: faces[n][0])
        placed = max(
            (
                _place(faces, {n: sizes[n] for n in order}, kinds, sides, _Room(bounds, gap))
                for order, sides in (
                    (by_x[::-1], ("right", "left")),
                    (by_x, ("left", "right")),
                )
            ),
            key=len,
        )
        if len(placed) == len(sizes):
            break
    return placed


class _Room(NamedTuple):
    """What panels must stay in, and the pixels that they keep apart."""

    bounds: Rect
    gap: int


def _place(
    faces: Sequence[Rect],
    sizes: Mapping[int, Sequence[tuple[int, int]]],
    kinds: Sequence[int],
    sides: tuple[str, str],
    room: _Room,
) -> dict[int, Place]:
    """Place one face after another, each where there still is room."""
    panels: list[Rect] = []
    places: dict[int, Place] = {}
    for n, options in sizes.items():
        taken = [_grown(face, _APART * room.gap) for m, face in enumerate(faces) if m != n]
        taken += panels
        free = (
            (kind, x, y)
            for kind in kinds
            for x, y in _candidates(faces[n], options[kind], sides, room)
            if not _meets((x, y), options[kind], taken)
        )
        place = next(free, None)
        if place is not None:
            kind, x, y = places[n] = place
            panel = (x, y, x + options[kind][0], y + options[kind][1])
            panels.append(_grown(panel, room.gap))
    return places


def _candidates(
    face: Rect, size: tuple[int, int], sides: tuple[str, str], room: _Room
) -> Iterator[tuple[int, int]]:
    """Yield places beside `face` inside `room`: by side, then top, middle, bottom."""
    width, height = size
    x0, y0, x1, y1 = face
    (left, top, right, bottom), gap = room
    for side in sides:
        x = x1 + gap if side == "right" else x0 - gap - width
        if x < left or x + width > right or height > bottom - top:
            continue
        for y in dict.fromkeys((y0, (y0 + y1 - height) // 2, y1 - height)):
            yield x, min(max(y, top), bottom - height)


def _grown(rect: Rect, gap: int) -> Rect:
    """Return what a panel must not touch to stay `gap` away."""
    return rect[0] - gap, rect[1] - gap, rect[2] + gap, rect[3] + gap


def _meets(corner: tuple[int, int], size: tuple[int, int], taken: Sequence[Rect]) -> bool:
    """Whether a panel covers part of what is taken."""
    x, y = corner
    x1, y1 = x + size[0], y + size[1]
    for left, top, right, bottom in taken:  # a loop: this is asked some hundred times an image
        if x < right and x1 > left and y < bottom and y1 > top:
            return True
    return False
