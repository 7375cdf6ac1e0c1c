"""What only a GPU can show: `make test ARGS='-m gpu'`, or tests/on_gpu.sh on a borrowed machine.

Small networks and few programs, since compiling takes most of the time. Without a GPU all are
skipped.
"""

import jax
import numpy as np
import pytest

from grok.experiment import Run
from grok.task.dataset import make_dataset
from grok.training.devices import device_facts
from grok.training.program import program_of
from grok.training.slots import Slots
from grok.training.update import evaluate, init_state, train

pytestmark = pytest.mark.gpu
RUN = Run(
    operation="x/y", structure="Z31", d_model=64, d_ff=128, batch_size=256, num_steps=200, seed=3
)
UPDATES = (1, 9, 40)


@pytest.fixture(autouse=True)
def gpu():
    if jax.default_backend() != "gpu":
        pytest.skip("JAX has no GPU here, or is told to use the CPU: run pytest -m gpu on one")


@pytest.fixture(scope="module")
def slots():
    """Precision -> four slots with runs that differ in their seed; each is compiled once."""
    kept = {}

    def of(precision: str) -> Slots:
        if precision not in kept:
            kept[precision] = Slots(program_of(RUN.replace(precision=precision)), 4)
        return placed(kept[precision], precision)

    return of


def placed(here: Slots, precision: str) -> Slots:
    """The slots with their runs at their beginning."""
    for slot in range(here.count):
        here.place(slot, RUN.replace(precision=precision, seed=slot), make_dataset(RUN))
    return here


def curves(here: Slots) -> dict[str, np.ndarray]:
    """Metrics [points, slots] after 1, 10 and 50 updates."""
    points = [jax.device_get(here.step(count)) for count in UPDATES]
    found = {}
    for name in points[0]:
        found[name] = np.stack([point[name] for point in points])
    return found


def arrays(here: Slots) -> dict[str, np.ndarray]:
    """A copy of the slots' state."""
    return {name: np.array(array) for name, array in here.arrays().items()}


def row_of(stacks: dict[str, np.ndarray], slot: int) -> dict[str, np.ndarray]:
    """The state of one slot, as a checkpoint holds it."""
    return {name: stack[slot] for name, stack in stacks.items()}


def assert_same_bits(found: dict, expected: dict) -> None:
    for name in expected:
        np.testing.assert_array_equal(found[name], expected[name], err_msg=name)


def test_the_device_is_a_gpu():
    facts = device_facts()
    assert facts["platform"] == "gpu"
    assert facts["precisions"] == {"float32": "float32", "tf32": "tf32", "bf16": "bf16"}


def test_the_first_updates_in_float32_are_those_of_a_cpu(slots):
    """On one run: a GPU takes sums in another order, and the difference grows with the updates."""
    found = curves(slots("float32"))
    here = slots("float32")
    numbers, data = (jax.tree.map(lambda a: a[0], tree) for tree in here.host_inputs)
    program = here.program
    with jax.default_device(jax.local_devices(backend="cpu")[0]):
        numbers, data = jax.tree.map(np.asarray, (numbers, data))
        state = jax.jit(init_state, static_argnums=0)(program, numbers, data.features)
        for point, count in enumerate(UPDATES):
            state = jax.jit(train, static_argnums=0)(program, state, numbers, data, np.int32(count))
            expected = jax.jit(evaluate, static_argnums=0)(program, state, data)
            for name in ("train_loss", "val_loss", "weight_norm"):
                np.testing.assert_allclose(
                    found[name][point, 0], expected[name], rtol=1e-3, err_msg=name
                )


@pytest.mark.parametrize("precision", ["float32", "tf32", "bf16"])
def test_the_same_updates_are_the_same_bits(slots, precision):
    """From the start twice, and from a saved state: so resuming with as many slots is exact."""
    here = slots(precision)
    first = curves(here)
    end = arrays(here)
    assert_same_bits(curves(slots(precision)), first)
    assert_same_bits(arrays(here), end)

    here = slots(precision)
    for count in UPDATES[:2]:
        here.step(count)
    saved = arrays(here)
    here.step(3)  # what a checkpoint does not know of
    here = slots(precision)
    here.place_states({slot: row_of(saved, slot) for slot in range(here.count)})
    here.step(UPDATES[2])
    assert_same_bits(arrays(here), end)


@pytest.mark.parametrize("precision", ["float32", "tf32", "bf16"])
def test_every_precision_learns(slots, precision):
    here = slots(precision)
    before = np.asarray(here.step(1)["train_loss"])
    after = np.asarray(here.step(RUN.num_steps)["train_loss"])
    assert (after < 0.7 * before).all(), (before, after)


def test_precisions_differ_and_stay_close(slots):
    losses = {name: curves(slots(name))["train_loss"][-1] for name in ("float32", "tf32", "bf16")}
    for name in ("tf32", "bf16"):
        assert (losses[name] != losses["float32"]).all()
        np.testing.assert_allclose(losses[name], losses["float32"], rtol=0.05)
