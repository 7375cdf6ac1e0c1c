"""Figure 2 left: nine optimisers and regularisers against the data that S5 needs, and four that the paper lacks.

Shows: best training and validation accuracy within the budget against the training fraction, a panel a setting.

Cost: paper scale 13 settings, 8 fractions, 3 seeds, 10^5 updates; small scale on S4 with 3 fractions and 1 seed.
"""

from grok.experiment import Experiment, Run, grid


def experiment(scale):
    if scale == "paper":
        base, fractions, seeds = Run(operation="xy", structure="S5", num_steps=100_000), [0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9], range(3)
    else:
        base, fractions, seeds = Run(operation="xy", structure="S4", d_model=64, num_steps=10_000), [0.5, 0.7, 0.9], range(1)
    adam = base.replace(optimizer="adam", weight_decay=0.0)
    settings = [
        adam.replace(label="Adam, full batch", batch_size=0),
        adam.replace(label="Adam, minibatch"),
        adam.replace(label="Adam, full batch, update noise", batch_size=0, update_noise=1.0),
        adam.replace(label="Adam, dropout 0.1", dropout=0.1),
        base.replace(label="AdamW, decay 1"),
        base.replace(label="AdamW, decay 1 towards init", decay_form="to_init"),
        adam.replace(label="Adam, learning rate 3e-4", learning_rate=3e-4),
        adam.replace(label="Adam, learning rate 3e-3", learning_rate=3e-3),
        adam.replace(label="Adam, weight noise 0.01", weight_noise=0.01),
        base.replace(label="SGD with momentum, decay 1e-3", optimizer="sgd", learning_rate=0.1, weight_decay=1e-3),
        base.replace(label="SAM, decay 1", optimizer="sam"),
        base.replace(label="Muon, decay 1", optimizer="muon"),
        base.replace(label="AdamW, decay 1, cosine", schedule="cosine"),
    ]
    runs = [run for setting in settings for run in grid(setting, train_fraction=fractions, seed=seeds)]
    return Experiment(name="figure2_left", scale=scale, runs=runs)
