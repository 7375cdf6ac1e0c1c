"""Time training on a CPU beside a careful PyTorch program for the same network, in turn.

python3 tests/beside_pytorch.py PYTHON [ROUNDS]   PYTHON has torch; prints one JSON object
PYTHON tests/beside_pytorch.py pytorch PRECISION  one timing of PyTorch, in milliseconds an update
python3 tests/beside_pytorch.py grok PRECISION    one timing of ours, of a run and of sweeps

Both train the paper's network (2 blocks of width 128, 4 heads, LayerNorm after each residual, no
biases) on x+y mod 97 at 50%, batch 512, with AdamW. PyTorch runs eagerly, with its fused attention
and its fused AdamW, on all cores; its bf16 is autocast. Every timing is a process of its own.
"""

import json
import statistics
import subprocess
import sys
import time

MODULUS, BATCH, STRETCHES, UPDATES = 97, 512, 5, 50
ROUNDS = 3


def median_ms(update) -> float:
    """The median of STRETCHES stretches of UPDATES updates, after a tenth as many to warm up."""
    times = []
    for _ in range(UPDATES // 5):
        update()
    for _ in range(STRETCHES):
        start = time.perf_counter()
        for _ in range(UPDATES):
            update()
        times.append(1e3 * (time.perf_counter() - start) / UPDATES)
    return statistics.median(times)


def pytorch(precision: str) -> dict[str, float]:
    """Milliseconds an update of PyTorch."""
    import torch
    from torch import nn
    from torch.nn import functional

    class Block(nn.Module):
        def __init__(self, width=128, heads=4):
            super().__init__()
            self.heads = heads
            self.qkv = nn.Linear(width, 3 * width, bias=False)
            self.output = nn.Linear(width, width, bias=False)
            self.up = nn.Linear(width, 4 * width, bias=False)
            self.down = nn.Linear(4 * width, width, bias=False)
            self.norm1 = nn.LayerNorm(width)
            self.norm2 = nn.LayerNorm(width)

        def forward(self, x_BTD):
            qkv = self.qkv(x_BTD).unflatten(-1, (3, self.heads, -1))
            q_BHTK, k_BHTK, v_BHTK = qkv.permute(2, 0, 3, 1, 4)
            heads_BHTK = functional.scaled_dot_product_attention(
                q_BHTK, k_BHTK, v_BHTK, is_causal=True
            )
            x_BTD = self.norm1(x_BTD + self.output(heads_BHTK.transpose(1, 2).flatten(2)))
            return self.norm2(x_BTD + self.down(functional.relu(self.up(x_BTD))))

    class Network(nn.Module):
        def __init__(self, width=128):
            super().__init__()
            self.tokens = nn.Embedding(MODULUS + 2, width)
            self.positions = nn.Parameter(0.02 * torch.randn(4, width))
            self.blocks = nn.Sequential(Block(width), Block(width))
            self.logits = nn.Linear(width, MODULUS + 2, bias=False)

        def forward(self, tokens_BT):
            x_BTD = self.blocks(self.tokens(tokens_BT) + self.positions)
            return self.logits(x_BTD[:, -1])

    torch.manual_seed(0)
    pairs = torch.cartesian_prod(torch.arange(MODULUS), torch.arange(MODULUS))
    pairs = pairs[torch.randperm(len(pairs))[: len(pairs) // 2]]
    signs = torch.tensor([MODULUS, MODULUS + 1]).expand(len(pairs), 2)
    tokens_BT = torch.stack([pairs[:, 0], signs[:, 0], pairs[:, 1], signs[:, 1]], 1)
    answers_B = pairs.sum(1) % MODULUS
    network = Network()
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=1e-3, betas=(0.9, 0.98), weight_decay=1.0, fused=True
    )

    def update():
        rows = torch.randint(len(pairs), (BATCH,))
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            logits_BV = network(tokens_BT[rows])
        loss = functional.cross_entropy(logits_BV.float(), answers_B[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return {f"PyTorch, {precision}": median_ms(update)}


def ours(precision: str) -> dict[str, float]:
    """Milliseconds an update of one run, and a run-update of sweeps of a run a core.

    The narrow networks are one block of width 32 on mod 31, batch 124.
    """
    from grok.experiment import Run, grid
    from grok.training.capacity import choose_slots, time_updates
    from grok.training.devices import start_devices
    from grok.training.program import program_of

    start_devices()
    run = Run(operation="x+y", precision=precision)
    narrow = run.replace(structure="Z31", n_layers=1, d_model=32, batch_size=124)

    def timed(run, count=None):
        runs, program = grid(run, seed=range(64)), program_of(run)
        return time_updates(program, runs, count or choose_slots(program, runs))

    sweep, small = timed(run), timed(narrow)
    return {
        f"one run, {precision}": timed(run, 1)["ms_per_run"],
        f"a sweep, {precision}": sweep["ms_per_run"],
        f"a sweep, {precision}: evaluation of a run": sweep["evaluation_ms"],
        f"a sweep of narrow networks, {precision}": small["ms_per_run"],
        f"a sweep of narrow networks, {precision}: evaluation of a run": small["evaluation_ms"],
    }


def in_turn(python: str, rounds: int) -> dict:
    """Every timing of every round, and what the machine is."""
    from grok.training.devices import device_facts, start_devices

    times: dict[str, list[float]] = {}
    for precision in ("float32", "bf16"):
        for _ in range(rounds):
            for interpreter, name in ((python, "pytorch"), (sys.executable, "grok")):
                done = subprocess.run(
                    [interpreter, __file__, name, precision],
                    check=True,
                    capture_output=True,
                    text=True,
                )
                found = json.loads(done.stdout)
                print(found, file=sys.stderr, flush=True)
                for key, ms in found.items():
                    times.setdefault(key, []).append(round(ms, 3))
    start_devices()
    return {"ms": times} | device_facts()


if __name__ == "__main__":
    first, second, *_ = [*sys.argv[1:], ROUNDS]
    kinds = {"pytorch": pytorch, "grok": ours}
    found = kinds[first](second) if first in kinds else in_turn(first, int(second))
    print(json.dumps(found))
