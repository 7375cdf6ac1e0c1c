"""Figure 2 left: nine optimisers and regularisers against the data that is needed, and four that the paper lacks.

Shows: best training and validation accuracy within the budget against the training fraction, a panel a setting.

Cost: paper scale (S5) 13 settings, 8 fractions, 3 seeds, 10^5 updates; small scale 4 fractions, 3 seeds, 3000 updates of
x/y mod 31 in one block of width 32, with learning rate 0.01 and decay 0.3 in the place of 1e-3 and 1 (about 12 minutes).
"""

from grok.experiment import Experiment, Run, grid


def experiment(scale):
    if scale == "small":
        base = Run(
            operation="x/y",
            structure="Z31",
            n_layers=1,
            d_model=32,
            learning_rate=0.01,
            weight_decay=0.3,
            num_steps=3_000,
            eval_every=100,
        )
        fractions, seeds = [0.5, 0.65, 0.8, 0.95], range(3)
    elif scale == "night":
        base = Run(operation="xy", structure="S5", num_steps=20_000)
        fractions, seeds = [0.5, 0.75], [0]
    else:
        base = Run(operation="xy", structure="S5", num_steps=100_000)
        fractions, seeds = [0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9], range(3)
    rate, decay = base.learning_rate, f"decay {base.weight_decay:g}"
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
    settings = of_the_paper if scale == "night" else of_the_paper + others
    runs = []
    for setting in settings:
        runs += grid(setting, train_fraction=fractions, seed=seeds)
    return Experiment(name="figure2_left", scale=scale, runs=runs)
