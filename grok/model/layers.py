"""The layers' arithmetic, with hand-written gradients, for the fast path of the Transformer.

The functions are the textbook ones. Only their backward passes differ from what automatic
differentiation writes down, which XLA turns into transposed copies and products at half the
machine's rate. Each is tested against the plain definition. Shape letters as in
grok.model.transformer, and R rows, I inputs, O outputs, J keys.
"""

import jax
import jax.numpy as jnp

LAYER_NORM_EPSILON = 1e-5
SMALLEST_SQUARE = 1e-24  # of a vector's length, so that 0 can be divided by it
BF16_ALGORITHM = "BF16_BF16_F32"  # operands rounded to bf16, sums in float32


def product(a, b):
    """a @ b in the precision that is in force: float32, or of operands rounded to bf16.

    A GPU rounds by itself. XLA ignores the algorithm on a CPU, so that there the operands are cast.
    """
    if jax.config.jax_default_matmul_precision != BF16_ALGORITHM:
        return a @ b
    return jax.lax.platform_dependent(a, b, cpu=product_of_rounded, default=jnp.matmul)


def product_of_rounded(a, b):
    """a @ b of operands rounded to bf16; the sums are taken in float32."""
    a, b = a.astype(jnp.bfloat16), b.astype(jnp.bfloat16)
    return jnp.matmul(a, b, precision="default", preferred_element_type=jnp.float32)


@jax.custom_vjp
def take_rows(table_RN, index_B):
    """table_RN[index_B]; its gradient is a product with one-hot rows, faster than a scatter."""
    # The barrier keeps XLA from computing the table anew for every row it takes.
    return jnp.take(jax.lax.optimization_barrier(table_RN), index_B, axis=0)


def take_rows_forward(table_RN, index_B):
    return take_rows(table_RN, index_B), (index_B, table_RN.shape[0])


def take_rows_backward(residual, grad_BN):
    index_B, n_rows = residual
    one_hot_RB = (jnp.arange(n_rows)[:, None] == index_B[None, :]).astype(grad_BN.dtype)
    return product(one_hot_RB, grad_BN), None


take_rows.defvjp(take_rows_forward, take_rows_backward)


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
        grad_IO = jax.lax.optimization_barrier(product(grad_RO.T, x_RI)).T
    else:
        grad_IO = product(x_RI.T, grad_RO)
    return product(grad, kernel_IO.T), grad_IO


linear.defvjp(linear_forward, linear_backward)


@jax.custom_vjp
def layer_norm(x, scale_D, bias_D):
    """(x - mean) / sqrt(var + 1e-5) * scale + bias over the last axis of x [..., D]."""
    return layer_norm_forward(x, scale_D, bias_D)[0]


def layer_norm_forward(x, scale_D, bias_D):
    normed, _ = normalised(x)
    return normed * scale_D + bias_D, (x, scale_D)


def normalised(x):
    """x with mean 0 and variance 1 over the last axis, and 1 / its standard deviation."""
    centred = x - x.mean(-1, keepdims=True)
    inverse_std = jax.lax.rsqrt((centred * centred).mean(-1, keepdims=True) + LAYER_NORM_EPSILON)
    return centred * inverse_std, inverse_std


def layer_norm_backward(residual, grad):
    x, scale_D = residual
    # Computed anew: keeping it would move more memory than it saves arithmetic.
    normed, inverse_std = normalised(x)
    grad_normed = grad * scale_D
    grad_x = inverse_std * (
        grad_normed
        - grad_normed.mean(-1, keepdims=True)
        - normed * (grad_normed * normed).mean(-1, keepdims=True)
    )
    return grad_x, sum_over_rows(grad * normed), sum_over_rows(grad)


def sum_over_rows(x):
    """The sum of x [..., D] over all axes but the last: it alone depends on the platform."""
    x_RD = x.reshape(-1, x.shape[-1])
    return jax.lax.platform_dependent(x_RD, cpu=product_with_ones, default=lambda x_RD: x_RD.sum(0))


def product_with_ones(x_RD):
    """The sum over rows as a matrix product: XLA's own reduction is not vectorised on a CPU."""
    ones_1R = jnp.ones((1, len(x_RD)), x_RD.dtype)
    return jnp.matmul(ones_1R, x_RD, precision="highest")[0]


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
    grad_weights_JBH = jnp.stack([(grad_BHK * v_BHK).sum(-1) for v_BHK in values])
    inner_BH = (weights_JBH * grad_weights_JBH).sum(0)
    grad_scores_JBH = jax.lax.optimization_barrier(weights_JBH * (grad_weights_JBH - inner_BH))
    grad_q_BHK = sum(g_BH[..., None] * k_BHK for g_BH, k_BHK in zip(grad_scores_JBH, keys))
    grad_keys = [like(k_BHK, g_BH[..., None] * q_BHK) for g_BH, k_BHK in zip(grad_scores_JBH, keys)]
    grad_values = [
        like(v_BHK, w_BH[..., None] * grad_BHK) for w_BH, v_BHK in zip(weights_JBH, values)
    ]
    return grad_q_BHK, grad_keys, grad_values


def like(primal_BHK, grad_BHK):
    """The gradient of what was broadcast over the equations is a sum over them."""
    return grad_BHK.sum(0, keepdims=True) if len(primal_BHK) == 1 < len(grad_BHK) else grad_BHK


attend.defvjp(attend_forward, attend_backward)


@jax.custom_vjp
def relu(x):
    """max(x, 0); its gradient reads the output, so that the product before it need not be kept."""
    return jnp.maximum(x, 0)


def relu_forward(x):
    # The barrier keeps XLA from reading the mask off the product again.
    out = jax.lax.optimization_barrier(relu(x))
    return out, out


def relu_backward(out, grad):
    return (jnp.where(out > 0, grad, 0),)


relu.defvjp(relu_forward, relu_backward)
