"""How few frequencies suffice to add: networks by hand, with and without noise on their weights."""

from grok.figures.parts import style
from grok.figures.parts.gallery import figure
from grok.measure.handbuilt import MODULI, NOISE, enough_frequencies

CAPTION = (
    "Networks whose weights are written down from the algorithm, with random frequencies: accuracy "
    "over the whole table with Gaussian noise on every weight, relative to its matrix, and the "
    "least margin of the right answer without noise. Lines: means; bands: ranges of the choices."
)


@figure("handbuilt", "handbuilt", caption=CAPTION, reads_results=False)
def handbuilt():
    table = enough_frequencies()
    picture, [axes] = style.panels(1, 3, width=style.DOUBLE, height=2.2)
    for ax, n in zip(axes, MODULI):
        here = table[table["n"] == n]
        for noise, colour in zip(NOISE, (style.BLUE, style.GREEN, style.VERMILION)):
            of_noise = here[here["noise"] == noise].groupby("frequencies")["accuracy"]
            x, mean = of_noise.mean().index, 100 * of_noise.mean()
            ax.plot(x, mean, "o-", color=colour, label=f"noise {100 * noise:.0f}%")
            style.band(ax, x, 100 * of_noise.min(), 100 * of_noise.max(), colour)
        style.accuracy_axis(ax)
        ax.set_title(f"x+y mod {n}", fontsize=8)
        ax.set_xlabel("Frequencies")
        ax.legend(loc="lower right")
    for n, colour in zip(MODULI, style.PALETTE):
        clean = table[(table["n"] == n) & (table["noise"] == 0)].groupby("frequencies")["margin"]
        axes[-1].plot(clean.mean().index, 100 * clean.mean(), "o-", color=colour, label=f"mod {n}")
        style.band(axes[-1], clean.mean().index, 100 * clean.min(), 100 * clean.max(), colour)
    axes[-1].set_yscale("log")
    axes[-1].set_xlabel("Frequencies")
    axes[-1].set_ylabel("Least margin (% of range)")
    axes[-1].legend(loc="lower right")
    return picture
