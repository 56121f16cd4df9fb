import matplotlib
import numpy as np
import pytest

import vos_lab as vl
from vos_lab import show

matplotlib.use("Agg")


def test_the_affinity_of_a_pixel_is_drawn_over_each_memory_frame(ball):
    cut = vl.Clip(ball.frames[:, :45, :77], ball.masks[:, :45, :77])  # padded by 1 above and left
    track = vl.Tracker(vl.load_model("colour"), vl.EveryNth(2)).run(cut, record=True)
    figure = show.affinity_of_pixel(cut, track, frame=5, x=41, y=24)
    query, *panels = [ax for ax in figure.axes if ax.get_title()]
    assert [ax.get_title().split(":")[0] for ax in panels] == [f"memory, frame {t}" for t in (0, 2, 4)]
    drawn = np.stack([ax.images[1].get_array() for ax in panels])
    assert drawn.sum() == pytest.approx(1, abs=1e-5)
    row, column = track.cell_at(41, 24)
    mark = query.patches[0]
    assert mark.get_x() <= 41 < mark.get_x() + 8 and mark.get_y() <= 24 < mark.get_y() + 8
    expected = track.affinity(5)[0].view(3, 6, 10, 6, 10)[..., row, column]
    assert np.allclose(drawn, expected)
    assert all(ax.images[1].get_extent() == [-1, 79, 47, -1] for ax in panels)
    matplotlib.pyplot.close(figure)


def test_pixels_outside_the_frame_are_refused(ball):
    track = vl.Tracker(vl.load_model("colour")).run(ball, record=True)
    with pytest.raises(vl.InputError, match="x goes from 0 to 79"):
        show.affinity_of_pixel(ball, track, 3, x=80, y=0)
