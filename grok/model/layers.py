"""The layers' arithmetic, with hand-written gradients, for the fast path of the Transformer.

The functions are the textbook ones. Only their backward passes differ from what automatic
differentiation writes down, which XLA turns into transposed copies and products at half the
machine's rate. Each is tested against the plain definition. Shape letters as in
grok.model.transformer, and R rows, I inputs, O outputs, J keys.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

LAYER_NORM_EPSILON = 1e-5
SMALLEST_SQUARE = 1e-24  # of a vector's length, so that 0 can be divided by it
BF16_ALGORITHM = "BF16_BF16_F32"  # operands rounded to bf16, sums in float32
BF16_TILE = 32  # numbers of bf16 in a row of a tile that AMX multiplies


def rounding() -> bool:
    """Whether the operands of matrix products are rounded to bf16."""
    return jax.config.jax_default_matmul_precision == BF16_ALGORITHM


def operand(x):
    """x as a matrix product takes it."""
    return x.astype(jnp.bfloat16) if rounding() else x


def product(a, b, turned="", rounded=False):
    """a @ b in the precision that is in force: float32, or of operands rounded to bf16.

    turned: "a" or "b" where that operand is to be transposed first. rounded: whether the result
    is only an operand of other products, and is kept as they take it.
    XLA ignores the algorithm on a CPU, where numbers of bf16 in the right layout are enough.
    """
    a, b = operand(a), operand(b)
    dtype = a.dtype if rounded else jnp.float32

    def as_asked(a, b):
        a, b = a.T if turned == "a" else a, b.T if turned == "b" else b
        return jnp.matmul(a, b, preferred_element_type=dtype)

    def in_layout(a, b):
        if turned == "a":
            a, b = laid_out(filled_up(a).T), filled_up(b)
        if turned == "b":
            b = laid_out(b.T)
        out = jnp.matmul(a, b, precision="default", preferred_element_type=jnp.float32)
        return out.astype(dtype)

    if not rounding():
        return as_asked(a, b)
    return jax.lax.platform_dependent(a, b, cpu=in_layout, default=as_asked)


def filled_up(x_RN):
    """x with rows of zeros below, so that a CPU multiplies whole tiles of them."""
    return jnp.pad(x_RN, ((0, -len(x_RN) % BF16_TILE), (0, 0)))


def laid_out(transposed):
    """A transposed matrix, row by row in memory.

    XLA computes the product of a mere view in float32 on a CPU, even across a barrier: one that has
    a single axis has no layout to hand on.
    """
    return jax.lax.optimization_barrier(transposed.reshape(-1)).reshape(transposed.shape)


def take_rows(table_RN, index_B):
    """table_RN[index_B]; its gradient is a product with one-hot rows, faster than a scatter."""
    [rows_BN] = take_together([table_RN], index_B)
    return rows_BN


@jax.custom_vjp
def take_together(tables, index_B):
    """Rows `index_B` of each of several tables [R, N], [R, M] ...; all indices lie within."""
    # The barrier keeps XLA from computing a table anew for every row it takes.
    tables = jax.lax.optimization_barrier(tables)
    return jax.lax.platform_dependent(tables, index_B, cpu=take_each, default=take_joined)


def take_each(tables, index_B):
    """Table by table: a CPU would spend longer on joining and parting them."""
    return [table.at[index_B].get(mode="promise_in_bounds") for table in tables]


def take_joined(tables, index_B):
    """In one go: a GPU starts fewer kernels."""
    [rows_BN] = take_each([jnp.concatenate(tables, -1)], index_B)
    return parted(rows_BN, tables)


def parted(joined, like):
    widths = [each.shape[-1] for each in like]
    return jnp.split(joined, np.cumsum(widths)[:-1], -1)


def take_together_forward(tables, index_B):
    return take_together(tables, index_B), (index_B, len(tables[0]))


def take_together_backward(residual, grads):
    index_B, n_rows = residual

    def of_each(index_B, grads):
        return [summed_by_row(grad_BN, index_B, n_rows) for grad_BN in grads]

    def of_joined(index_B, grads):
        one_hot_RB = (jnp.arange(n_rows)[:, None] == index_B[None, :]).astype(grads[0].dtype)
        return parted(product(one_hot_RB, jnp.concatenate(grads, -1)), grads)

    return jax.lax.platform_dependent(index_B, grads, cpu=of_each, default=of_joined), None


def summed_by_row(grad_BN, index_B, n_rows):
    """The product of one-hot rows with `grad_BN`, [R, N], as the sum that it is.

    It takes a CPU a fifteenth of the time. A GPU would add in another order each time.
    """
    if rounding():
        grad_BN = jax.lax.reduce_precision(grad_BN, exponent_bits=8, mantissa_bits=7)
    zeros_RN = jnp.zeros((n_rows, grad_BN.shape[1]), grad_BN.dtype)
    return zeros_RN.at[index_B].add(grad_BN, mode="promise_in_bounds")


take_together.defvjp(take_together_forward, take_together_backward)


@jax.custom_vjp
def linear(x, kernel_IO):
    """x [..., I] @ kernel [I, O]."""
    return product(x, kernel_IO)


def linear_forward(x, kernel_IO):
    return linear(x, kernel_IO), (x, kernel_IO)


def linear_backward(residual, grad):
    x, kernel_IO = residual
    x_RI, grad_RO = x.reshape(-1, x.shape[-1]), grad.reshape(-1, grad.shape[-1])
    if x_RI.shape[1] > grad_RO.shape[1]:
        # A tall product runs at half the rate of the wide one.
        # The barrier keeps XLA from turning it back.
        grad_IO = jax.lax.optimization_barrier(product(grad_RO, x_RI, turned="a")).T
    else:
        grad_IO = product(x_RI, grad_RO, turned="a")
    return product(grad, kernel_IO, turned="b", rounded=x.dtype == jnp.bfloat16), grad_IO


linear.defvjp(linear_forward, linear_backward)


@jax.custom_vjp
def linear_relu(x, kernel_IO):
    """max(x [..., I] @ kernel [I, O], 0) for another product to read, rounded where that rounds."""
    return jnp.maximum(product(x, kernel_IO, rounded=True), 0)


def linear_relu_forward(x, kernel_IO):
    # The barrier keeps XLA from reading the mask off the product again.
    out = jax.lax.optimization_barrier(linear_relu(x, kernel_IO))
    return out, (x, kernel_IO, out)


def linear_relu_backward(residual, grad):
    """It reads the output, so that the product before it need not be kept."""
    x, kernel_IO, out = residual
    return linear_backward((x, kernel_IO), jnp.where(out > 0, grad, 0))


linear_relu.defvjp(linear_relu_forward, linear_relu_backward)


@jax.custom_vjp
def layer_norm(x, scale_D, bias_D):
    """(x - mean) / sqrt(var + 1e-5) * scale + bias over the last axis of x [..., D]."""
    centred = x - x.mean(-1, keepdims=True)
    inverse_std = inverse_root((centred * centred).mean(-1, keepdims=True))
    return centred * inverse_std * scale_D + bias_D


def inverse_root(variance):
    return jax.lax.rsqrt(variance + LAYER_NORM_EPSILON)


def layer_norm_forward(x, scale_D, bias_D):
    """The variance is mean(x^2) - mean(x)^2, as in Flax: both means read x and keep nothing."""
    mean = x.mean(-1, keepdims=True)
    variance = (x * x).mean(-1, keepdims=True) - mean * mean
    inverse_std = inverse_root(jnp.maximum(variance, 0))
    # The barrier keeps XLA from computing them anew for every number of a row.
    mean, inverse_std = jax.lax.optimization_barrier((mean, inverse_std))
    return (x - mean) * inverse_std * scale_D + bias_D, (x, scale_D, mean, inverse_std)


def layer_norm_backward(residual, grad):
    x, scale_D, mean, inverse_std = residual
    centred = x - mean
    along_x, along_1, grad_scale_D, grad_bias_D = jax.lax.platform_dependent(
        grad, grad * centred, scale_D, inverse_std, cpu=sums_by_products, default=sums_by_reduction
    )
    along_x = along_x * inverse_std * inverse_std
    grad_x = inverse_std * (grad * scale_D - (along_1 + centred * along_x) / x.shape[-1])
    return grad_x, grad_scale_D, grad_bias_D


def sums_by_products(grad, grad_centred, scale_D, inverse_std):
    """The sums of a LayerNorm's gradient as matrix products: XLA's reductions are slow on a CPU.

    Over D of `grad_centred` and `grad`, [..., 1], each times the scale; over all other axes of
    `grad_centred` times the inverse deviation, and of `grad`, [D].
    """
    product = functools.partial(jnp.matmul, precision="highest")
    ones_1R, inverse_1R = jnp.ones((1, inverse_std.size), grad.dtype), inverse_std.reshape(1, -1)
    return (
        product(grad_centred, scale_D)[..., None],
        product(grad, scale_D)[..., None],
        product(inverse_1R, grad_centred.reshape(-1, len(scale_D)))[0],
        product(ones_1R, grad.reshape(-1, len(scale_D)))[0],
    )


def sums_by_reduction(grad, grad_centred, scale_D, inverse_std):
    """The same sums; a GPU takes those that read the same numbers together."""
    rows = tuple(range(grad.ndim - 1))
    return (
        (grad_centred * scale_D).sum(-1, keepdims=True),
        (grad * scale_D).sum(-1, keepdims=True),
        (grad_centred * inverse_std).sum(rows),
        grad.sum(rows),
    )


layer_norm.defvjp(layer_norm_forward, layer_norm_backward)


def unit(x):
    """x [..., D] scaled to an L2 norm of 1 over the last axis; 0 stays 0."""
    return x * jax.lax.rsqrt((x * x).sum(-1, keepdims=True) + SMALLEST_SQUARE)


@jax.custom_vjp
def attend(q_BHK, keys, values):
    """Softmax attention of one query over a short list of keys and values [B or 1, H, K].

    It is element-wise work, which float32 computes in every precision.
    """
    return attend_forward(q_BHK, keys, values)[0]


def attend_forward(q_BHK, keys, values):
    scores_JBH = jnp.stack([(q_BHK * k_BHK).sum(-1) for k_BHK in keys])
    # The barrier keeps XLA from computing the softmax anew inside every product below and in the
    # backward pass.
    weights_JBH = jax.lax.optimization_barrier(jax.nn.softmax(scores_JBH, axis=0))
    attended_BHK = sum(w_BH[..., None] * v_BHK for w_BH, v_BHK in zip(weights_JBH, values))
    return attended_BHK, (q_BHK, keys, values, weights_JBH)


def attend_backward(residual, grad_BHK):
    q_BHK, keys, values, weights_JBH = residual
    # The barrier has a GPU take all sums together, and not the last one on the way to the stack.
    grad_weights = jax.lax.optimization_barrier([(grad_BHK * v_BHK).sum(-1) for v_BHK in values])
    grad_weights_JBH = jnp.stack(grad_weights)
    inner_BH = (weights_JBH * grad_weights_JBH).sum(0)
    grad_scores_JBH = jax.lax.optimization_barrier(weights_JBH * (grad_weights_JBH - inner_BH))
    grad_q_BHK = sum(g_BH[..., None] * k_BHK for g_BH, k_BHK in zip(grad_scores_JBH, keys))
    grad_keys = [weighted(g_BH, q_BHK, k_BHK) for g_BH, k_BHK in zip(grad_scores_JBH, keys)]
    grad_values = [weighted(w_BH, grad_BHK, v_BHK) for w_BH, v_BHK in zip(weights_JBH, values)]
    return grad_q_BHK, grad_keys, grad_values


def weighted(weight_BH, x_BHK, primal):
    """weight x [B, H, K], summed over the equations if `primal` was broadcast over them."""
    if len(primal) == len(x_BHK):
        return weight_BH[..., None] * x_BHK
    return jax.lax.platform_dependent(
        weight_BH, x_BHK, cpu=weighted_sum_by_product, default=weighted_sum
    )


def weighted_sum(weight_BH, x_BHK):
    return (weight_BH[..., None] * x_BHK).sum(0, keepdims=True)


def weighted_sum_by_product(weight_BH, x_BHK):
    """The same as one product of all heads with all: XLA's own sum is not vectorised on a CPU."""
    n_heads = weight_BH.shape[1]
    x_BD = x_BHK.reshape(len(x_BHK), -1)
    sum_HD = jnp.matmul(weight_BH.T, x_BD, precision="highest")
    sum_HHK = sum_HD.reshape(n_heads, *x_BHK.shape[1:])
    return (sum_HHK * jnp.eye(n_heads, dtype=x_BHK.dtype)[..., None]).sum(0)[None]


attend.defvjp(attend_forward, attend_backward)
