"""Frames survive being cut anywhere."""

from hypothesis import given
from hypothesis import strategies as st

from module_sdk.frames import Frame, FrameReader, Kind, frame

_FRAMES = st.lists(
    st.tuples(st.sampled_from(list(Kind)), st.integers(0, 2**32 - 1), st.binary(max_size=50)), max_size=10
)


@given(_FRAMES, st.lists(st.integers(1, 30), max_size=60))
def test_frames_come_out_as_they_went_in(sent: list[tuple[Kind, int, bytes]], cuts: list[int]) -> None:
    data = b"".join(frame(*one) for one in sent)
    reader, found = FrameReader(), list[Frame]()
    for cut in cuts:
        found += reader.feed(data[:cut])
        data = data[cut:]
    found += reader.feed(data)
    assert found == [(int(kind), number, payload) for kind, number, payload in sent]
