"""Strategies for splits, steps and samples that are possible in a cluster."""

from hypothesis import strategies as st

from knative.rollout.judgement import Sample
from knative.rollout.split import Share, Split

REVISIONS = ("m-v1", "m-v2", "m-v3", "m-v4")
ENDS = (0.001, 0.01, 0.1, 1.0, float("inf"))


@st.composite
def splits(draw: st.DrawFn) -> Split:
    """Generate splits in whole percents that sum to 100, with each revision once."""
    names = draw(st.lists(st.sampled_from(REVISIONS), min_size=1, unique=True))
    cuts = draw(st.lists(st.integers(1, 99), min_size=len(names) - 1, max_size=len(names) - 1, unique=True))
    bounds = [0, *sorted(cuts), 100]
    return tuple(Share(name, high - low) for name, low, high in zip(names, bounds, bounds[1:], strict=False))


steps = st.lists(st.integers(1, 100), min_size=1, max_size=6, unique=True).map(lambda each: tuple(sorted(each)))


@st.composite
def samples(draw: st.DrawFn) -> Sample:
    """Generate the requests, errors and latencies of some pods."""
    counts = draw(st.lists(st.integers(0, 500), min_size=len(ENDS), max_size=len(ENDS)))
    errors = draw(st.integers(0, 300))
    client_errors = draw(st.integers(0, 50))
    return Sample(sum(counts) + errors + client_errors, errors, tuple(zip(ENDS, counts, strict=True)))
