"""Figure 2 left: how much data each of nine optimisers and regularisers needs, and four more.

Shows: best training and validation accuracy within the budget against the training fraction, a
panel a setting. The last four settings are not in the paper.

Cost: small 13 settings, 4 fractions, 3 seeds of x/y mod 31, 3,000 updates each (about 12
minutes); night 7 of the paper's 9 settings, 2 fractions, one seed of S5, at most 20,000 updates
each (about 3.4 core-hours); paper 13 settings, 8 fractions, 3 seeds of S5, 10^5 updates each.

At night the two settings with full batches are left out: one of their updates passes as many rows
as 14 to 21 batches.
"""

from grok.experiment import SMALL, Experiment, Run, grid


def experiment(scale):
    seeds = range(3)
    if scale == "small":
        base = SMALL.replace(operation="x/y", learning_rate=0.01, weight_decay=0.3, num_steps=3_000)
        fractions = [0.5, 0.65, 0.8, 0.95]
    elif scale == "night":
        base = Run(operation="xy", structure="S5", num_steps=20_000)
        fractions = [0.5, 0.75]
        seeds = [0]
    else:
        base = Run(operation="xy", structure="S5", num_steps=100_000)
        fractions = [0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]
    rate = base.learning_rate
    decay = f"decay {base.weight_decay:g}"
    adam = base.replace(optimizer="adam", weight_decay=0.0)
    of_the_paper = [
        adam.replace(label="Adam, full batch", batch_size=0),
        adam.replace(label="Adam, minibatch"),
        adam.replace(label="Adam, full batch, update noise", batch_size=0, update_noise=1.0),
        adam.replace(label="Adam, dropout 0.1", dropout=0.1),
        base.replace(label=f"AdamW, {decay}"),
        base.replace(label=f"AdamW, {decay} towards init", decay_form="to_init"),
        adam.replace(label=f"Adam, learning rate {0.3 * rate:g}", learning_rate=0.3 * rate),
        adam.replace(label=f"Adam, learning rate {3 * rate:g}", learning_rate=3 * rate),
        adam.replace(label="Adam, weight noise 0.01", weight_noise=0.01),
    ]
    others = [
        base.replace(
            label="SGD with momentum, decay 1e-3",
            optimizer="sgd",
            learning_rate=0.1,
            weight_decay=1e-3,
        ),
        base.replace(label=f"SAM, {decay}", optimizer="sam"),
        base.replace(label=f"Muon, {decay}", optimizer="muon"),
        base.replace(label=f"AdamW, {decay}, cosine", schedule="cosine"),
    ]
    settings = of_the_paper + others
    if scale == "night":
        settings = [setting for setting in of_the_paper if setting.batch_size != 0]
    runs = []
    for setting in settings:
        runs += grid(setting, train_fraction=fractions, seed=seeds)
    return Experiment(name="figure2_left", scale=scale, runs=runs)
