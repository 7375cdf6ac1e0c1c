"""Figures: each is a small function of a results folder, drawn into that folder as PNG and PDF.

Importing the modules below enters their figures into the gallery.
"""

from grok.figures import (  # noqa: F401 - imported for what they register
    embedding_growth,
    embedding_scores,
    embedding_structure,
    encodings,
    figure1_center,
    figure1_left,
    figure1_right,
    figure2_left,
    figure2_right,
    figure3,
    figure4,
    figure6,
    figure7,
    handbuilt,
    init_scale,
    league,
    mechanism,
    phase_map,
    precision,
    times,
    trial,
    tsne_sheet,
    weight_decay,
)
from grok.figures.parts import curves, tsne  # noqa: F401 - likewise
from grok.figures.parts.gallery import draw, draw_all, listing

__all__ = ["draw", "draw_all", "listing"]
