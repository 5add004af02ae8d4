from realtime_affect.measure import GROUPS
from realtime_affect.outputs.csv_rows import COLUMNS
from realtime_affect.outputs.streams.channels import FaceRows, channels_of
from tests.realtime_affect.outputs.test_csv_rows import reading
from tests.realtime_affect.test_schema import WITH_CALM

S = 1_000_000_000


def test_channels_are_the_rows_columns_in_their_places():
    channels = channels_of(GROUPS)
    assert [channel.name for channel in channels] == [name for name in COLUMNS if name != "marker"]
    assert all(COLUMNS[channel.column] == channel.name for channel in channels)
    assert len({channel.address for channel in channels}) == len(channels)


def test_a_new_measure_is_a_channel():
    (calm,) = (c for c in channels_of(GROUPS, WITH_CALM) if c.name == "calm")
    assert (calm.address, calm.measure.unit) == ("gaze_and_blinks/calm", "0 to 100")


def placed(rows, t_s, faces):
    one = reading(0, round(t_s * S), faces=faces)
    return {place: row[1] for place, row in rows.of(one)}


def test_a_face_keeps_its_place_and_a_new_one_takes_the_lowest_that_is_free():
    rows = FaceRows(2)
    assert placed(rows, 0, (1, 2, 3)) == {1: 1, 2: 2}  # two places
    assert placed(rows, 1, (2, 3)) == {2: 2}  # the first may come back
    assert placed(rows, 2, (1, 2, 3)) == {1: 1, 2: 2}
    assert placed(rows, 3, (2, 3)) == {2: 2}
    assert placed(rows, 5, (2, 3)) == {1: 3, 2: 2}
