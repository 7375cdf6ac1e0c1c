"""The page in the browser: one HTML file with the findings, every run and the networks.

`build.build` makes it from results folders. Python packs numbers and decides nothing: verdicts come
from findings, what a network shows from grok.measure.growth. What the reader sees and touches is in
static/, in HTML, CSS and JavaScript. Plotly draws the curves; the file holds its JavaScript.
"""
