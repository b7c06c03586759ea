"""Many small matrices at once, unrolled over their few rows; the batch is the last axis, so that it fills vectors."""

import jax
import jax.numpy as jnp


def cholesky(A: jax.Array) -> jax.Array:
    """Lower factors L with A = L L', shape (d, d, n); a pivot lost to rounding is replaced by 1e-7 of its diagonal."""
    d = A.shape[0]
    zero = jnp.zeros_like(A[0, 0])
    L = [[zero] * d for _ in range(d)]
    for a in range(d):
        for b in range(a + 1):
            rest = A[a, b]
            for k in range(b):
                rest = rest - L[a][k] * L[b][k]
            L[a][b] = jnp.sqrt(jnp.maximum(rest, 1e-7 * A[a, a])) if a == b else rest / L[b][b]
    return jnp.stack([jnp.stack(row) for row in L])


def solve_lower(L: jax.Array, b: jax.Array) -> jax.Array:
    """L^-1 b for L (d, d, n) and b (d, ..., n)."""
    x: list[jax.Array] = []
    for a in range(L.shape[0]):
        rest = b[a]
        for k in range(a):
            rest = rest - L[a, k] * x[k]
        x.append(rest / L[a, a])
    return jnp.stack(x)


def solve_upper(L: jax.Array, b: jax.Array) -> jax.Array:
    """L^-T b for L (d, d, n) and b (d, ..., n)."""
    d = L.shape[0]
    x: list[jax.Array] = [b[0]] * d
    for a in reversed(range(d)):
        rest = b[a]
        for k in range(a + 1, d):
            rest = rest - L[k, a] * x[k]
        x[a] = rest / L[a, a]
    return jnp.stack(x)


def solve(L: jax.Array, b: jax.Array) -> jax.Array:
    """A^-1 b with A = L L'."""
    return solve_upper(L, solve_lower(L, b))


def times(a: jax.Array, b: jax.Array) -> jax.Array:
    """Products a b of (p, q, n) and (q, r, n)."""
    return jnp.sum(a[:, :, None] * b[None], axis=1)


def apply(a: jax.Array, x: jax.Array) -> jax.Array:
    """Products a x of (p, q, n) and vectors (q, n)."""
    return jnp.sum(a * x[None], axis=1)


def transpose(a: jax.Array) -> jax.Array:
    """Transposes of (p, q, n)."""
    return jnp.swapaxes(a, 0, 1)


def identity(d: int, n: int, columns: int | None = None) -> jax.Array:
    """Identity matrices, shape (d, columns or d, n)."""
    return jnp.broadcast_to(jnp.eye(d, columns)[:, :, None], (d, columns or d, n))
