"""When a movement of a face is taken for a micro-expression."""

from __future__ import annotations

from typing import Annotated, ClassVar, Self

from pydantic import Field, PositiveFloat, model_validator

from realtime_affect.settings import Section

_Share = Annotated[float, Field(gt=0.0, le=1.0)]


class MicroConfig(Section):
    """Thresholds of the spotter, chosen on the rendered validation people.

    Ways are in inter-ocular distances (``_iod``). A region's threshold is the larger of `floor_iod`
    and a multiple of what it does while calm, times its doubt at that moment.

    Attributes
    ----------
    min_fps : float
        Frame rate below which micro-expressions cannot be timed and none are spotted.
    min_size_px : float
        Distance of the outer eye corners below which a face is too small: 44 is a face some 70
        pixels wide.
    max_view_deg : float
        Turn away from the camera beyond which none are spotted.
    min_sharpness : float
        Sharpness (see :class:`~realtime_affect.types.FaceQuality`) below which none are spotted.
    warm_up_s : float
        Time observed before anything is spotted.
    forget_s : float
        A face out of view for longer begins anew, with its warm-up.
    floor_iod : float
        Smallest movement that counts.
    calm_s : float
        Time that the threshold looks back on: its quieter quarter is called calm.
    times_calm : float
        Threshold over the movements of the calm quarter.
    times_drift : float
        The same at the slowest scale, whose calm quarter is a few long moments of a drifting head.
    blink_dip : float
        The lids' gap, over its usual one, below which the eyes blink.
    blink_doubt : float
        How much higher the thresholds above the mouth are during a blink, which carries brows and
        cheeks along.
    free_turn_deg_per_s : float
        Turning of the head up to which thresholds stay as they are; they grow in proportion.
    max_turn_deg_per_s : float
        Turning of the head beyond which nothing is spotted.
    usual_misfit_iod : float
        How far the stiff parts of a face are off one rigid motion while the mesh is good;
        thresholds grow in proportion beyond.
    taking_part : float
        Regions whose strength is at least this share of the strongest one's take part.
    max_micro_s : float
        Longest micro-expression.
    length_error_frames : float
        Frames by which a measured length may be too long: added to `max_micro_s`.
    min_length_frames : float
        What is shorter may be a glitch in one frame.
    max_macro_s : float
        What has not come back after so long is a new posture.
    max_restlessness : float
        How far the course may stray before and after a movement, relative to its height: speech
        goes on and on, a micro-expression stands alone.
    slight_iod : float
        Way beyond which straying counts as on a way of this length: the farther a movement goes,
        the cleaner it must stand out.
    widest_iod : float
        Way of the farthest micro-expression: what goes farther is a gesture.
    max_left_over : float
        What may be left of a movement after it, in units of its detail, where it is longer than a
        micro-expression; a step leaves 2.
    max_left_over_micro : float
        The same where it rose and fell briefly: heads drift on meanwhile.
    unit_likeness : float
        Cosine between the way of a region and that of an action unit from which the unit is named.
    reported_s : float
        How long readings go on reporting an event.

    Raises
    ------
    UsageError
        A value is out of range.
    """

    section: ClassVar[str] = "micro"
    hint: ClassVar[str] = "The defaults are those of the published evaluation."

    min_fps: PositiveFloat = 25.0
    min_size_px: PositiveFloat = 44.0
    max_view_deg: Annotated[float, Field(gt=0.0, le=90.0)] = 40.0
    min_sharpness: Annotated[float, Field(ge=0.0)] = 8.0
    warm_up_s: Annotated[float, Field(ge=0.0)] = 3.0
    forget_s: PositiveFloat = 0.5
    floor_iod: PositiveFloat = 0.004
    calm_s: Annotated[float, Field(ge=1.0, le=600.0)] = 15.0
    times_calm: PositiveFloat = 4.5
    times_drift: PositiveFloat = 10.0
    blink_dip: _Share = 0.9
    blink_doubt: Annotated[float, Field(ge=1.0)] = 4.0
    free_turn_deg_per_s: PositiveFloat = 20.0
    max_turn_deg_per_s: PositiveFloat = 45.0
    usual_misfit_iod: PositiveFloat = 0.004
    taking_part: _Share = 0.5
    max_micro_s: Annotated[float, Field(gt=0.0, le=1.0)] = 0.5
    length_error_frames: Annotated[float, Field(ge=0.0)] = 5.0
    min_length_frames: Annotated[float, Field(ge=0.0)] = 2.5
    max_macro_s: PositiveFloat = 6.0
    max_restlessness: PositiveFloat = 0.4
    slight_iod: PositiveFloat = 0.0325
    widest_iod: PositiveFloat = 0.105
    max_left_over: PositiveFloat = 1.3
    max_left_over_micro: PositiveFloat = 2.2
    unit_likeness: _Share = 0.8
    reported_s: PositiveFloat = 2.0

    @model_validator(mode="after")
    def _agree(self) -> Self:
        for low, high in (
            ("free_turn_deg_per_s", "max_turn_deg_per_s"), ("max_micro_s", "max_macro_s"),
        ):  # fmt: skip
            if getattr(self, low) > getattr(self, high):
                raise self.refuse(
                    key=low, value=getattr(self, low), expected=f"not more than micro.{high}"
                )
        return self
