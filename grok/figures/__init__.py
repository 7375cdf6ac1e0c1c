"""Figures: each is a small function of a results folder, drawn into that folder as PNG and PDF.

The modules imported here hold the figures; importing them puts the figures into the gallery.
"""

from grok.figures import curves, tsne
from grok.figures.gallery import draw, draw_all

__all__ = ["draw", "draw_all"]
