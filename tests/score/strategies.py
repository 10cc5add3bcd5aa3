"""Random scores for property tests."""

from fractions import Fraction

from hypothesis import strategies as st

from mlmusic import Score

# Exact, as the readers' are: a sum of floats may miss the nearest one by a bit.
quarters = st.sampled_from([Fraction(n, d) for n in (1, 2, 3) for d in (1, 2, 3, 4, 5)])
sixteenths = st.integers(1, 12).map(lambda steps: Fraction(steps, 4))


@st.composite
def melodies(draw, durations=quarters, voices=3):
    """Scores of up to three voices, each with one note at a time and some rests."""
    notes = []
    for voice in range(draw(st.integers(1, voices))):
        now = Fraction(0)
        for duration in draw(st.lists(durations, max_size=12)):
            if draw(st.booleans()):
                pitch, velocity = draw(st.integers(0, 127)), draw(st.integers(1, 127))
                notes.append((float(now), float(duration), pitch, velocity, voice))
            now += duration
    return Score(notes)
