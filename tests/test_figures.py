"""Figures on tiny synthetic results: what is drawn where, gaps of every kind, captions, and when files are drawn anew."""

import dataclasses
import shutil

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import PathCollection
from matplotlib.colors import to_hex, to_rgb
from PIL import Image
from scipy import stats
from scipy.spatial import distance

from grok import figures, provenance, results
from grok.analysis import groups
from grok.experiment import Experiment, GrokError, Run, grid
from grok.figures import data, encodings, figure1_center, figure3, gallery, phase_map, style, times, tsne, tsne_sheet
