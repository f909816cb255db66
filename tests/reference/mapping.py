"""Slow mapping methods, written from the papers one word at a time, independent of the package."""

from __future__ import annotations

import numpy as np


def unit(rows: np.ndarray) -> np.ndarray:
    return np.array([row / np.sqrt(sum(value * value for value in row)) if row.any() else row for row in rows])


def normalized(rows: np.ndarray) -> np.ndarray:
    rows = unit(rows.astype(np.float64))
    return unit(rows - sum(rows) / len(rows))


def csls(x: np.ndarray, y: np.ndarray, k: int = 10) -> np.ndarray:
    """Return CSLS scores by equation 3 of Conneau et al. 2018, for rows of unit length."""
    cosines = x @ y.T
    r_x = [sum(sorted(row)[-k:]) / min(k, len(row)) for row in cosines]
    r_y = [sum(sorted(column)[-k:]) / min(k, len(column)) for column in cosines.T]
    return np.array([[2 * cosines[i, j] - r_x[i] - r_y[j] for j in range(len(y))] for i in range(len(x))])


def procrustes(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the polar factor of xᵀy by Newton's iteration (Higham 1986) instead of a singular value decomposition."""
    factor = x.T @ y
    for _ in range(200):
        factor = (factor + np.linalg.inv(factor).T) / 2
    return factor


def refine(x: np.ndarray, y: np.ndarray, matrix: np.ndarray, rounds: int = 5) -> np.ndarray:
    """Refine by Procrustes on mutual nearest neighbors (Conneau et al. 2018, section 2.2)."""
    best, best_score = matrix, -np.inf
    for _ in range(rounds + 1):
        scores = csls(x @ matrix, y)
        score = np.mean([max(row) for row in scores])
        if score > best_score:
            best, best_score = matrix, score
        ahead = [int(np.argmax(row)) for row in scores]
        behind = [int(np.argmax(column)) for column in scores.T]
        pairs = [(i, j) for i, j in enumerate(ahead) if behind[j] == i]
        matrix = procrustes(x[[i for i, _ in pairs]], y[[j for _, j in pairs]])
    return best


def power(matrix: np.ndarray, exponent: float) -> np.ndarray:
    """Return a power of a symmetric positive matrix."""
    values, vectors = np.linalg.eig(matrix)
    return (vectors @ np.diag(values.real**exponent) @ np.linalg.inv(vectors)).real


def vecmap(x: np.ndarray, y: np.ndarray, all_x: np.ndarray, all_y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Apply the steps of table 1 of Artetxe et al., AAAI 2018: whitening, rotation, re-weighting, de-whitening."""
    white_x, white_y = power(x.T @ x, -0.5), power(y.T @ y, -0.5)
    u, s, vt = np.linalg.svd((x @ white_x).T @ (y @ white_y))
    mapped_x = all_x @ white_x @ u @ np.diag(s**0.5)
    mapped_y = all_y @ white_y @ vt.T @ np.diag(s**0.5)
    return mapped_x @ u.T @ power(x.T @ x, 0.5) @ u, mapped_y @ vt @ power(y.T @ y, 0.5) @ vt.T


def rcsls_loss(matrix: np.ndarray, x: np.ndarray, y: np.ndarray, source: np.ndarray, target: np.ndarray) -> float:
    """Return the loss of equation 6 of Joulin et al. 2018."""
    total = 0.0
    turned = source @ matrix
    for left, right in zip(x @ matrix, y, strict=True):
        near = sorted((float(left @ row) for row in target), reverse=True)[:10]
        far = sorted((float(right @ row) for row in turned), reverse=True)[:10]
        total += -2 * float(left @ right) + sum(near) / 10 + sum(far) / 10
    return total / len(x)


def rcsls(x: np.ndarray, y: np.ndarray, source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Run the projected subgradient descent of Joulin et al. 2018: 20 epochs, step 1, halved when the loss grows."""
    matrix, step = procrustes(x, y), 1.0
    least = rcsls_loss(matrix, x, y, source, target)
    for _ in range(20):
        slope = np.zeros_like(matrix)
        turned = source @ matrix
        for left, right in zip(x, y, strict=True):
            near = np.argsort(-(target @ (left @ matrix)))[:10]
            far = np.argsort(-(turned @ right))[:10]
            slope += -2 * np.outer(left, right) + np.outer(left, target[near].mean(axis=0))
            slope += np.outer(source[far].mean(axis=0), right)
        u, scales, vt = np.linalg.svd(matrix - step * slope / len(x))
        moved = u @ np.diag(np.minimum(scales, 1)) @ vt
        loss = rcsls_loss(moved, x, y, source, target)
        if loss < least:
            matrix, least = moved, loss
        else:
            step /= 2
    return matrix


def translations(mapped: np.ndarray, target: np.ndarray) -> list[int]:
    """Return the nearest target row of each mapped row by cosine."""
    return [int(np.argmax([row @ other for other in unit(target)])) for row in unit(mapped)]


def least_squares(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Solve the normal equations; the gradient descent of Mikolov et al. 2013 converges to the same matrix."""
    return np.linalg.inv(x.T @ x) @ x.T @ y


def induced(
    x: np.ndarray, y: np.ndarray, keep: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, float]:
    """Induce a dictionary by CSLS in both directions with random dropout (Artetxe et al., ACL 2018, section 3.3)."""
    cosines = x @ y.T
    r_x, r_y = np.sort(cosines, axis=1)[:, -10:].mean(axis=1), np.sort(cosines, axis=0)[-10:].mean(axis=0)
    ahead = drawn(2 * cosines - r_x[:, None] - r_y, keep, rng)
    behind = drawn((2 * cosines - r_x[:, None] - r_y).T, keep, rng)
    near, far = cosines[np.arange(len(x)), ahead], cosines[behind, np.arange(len(y))]
    pairs = np.append(np.arange(len(x)), behind), np.append(ahead, np.arange(len(y)))
    return *pairs, float(near.mean() + far.mean()) / 2


def drawn(scores: np.ndarray, keep: float, rng: np.random.Generator) -> np.ndarray:
    kept = np.where(rng.random(scores.shape) <= keep, scores, -np.inf)
    return np.where(np.isfinite(kept).any(axis=1), kept.argmax(axis=1), scores.argmax(axis=1))


def self_learn(x: np.ndarray, y: np.ndarray, matrix: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Run the self-learning loop of that paper, then the supervised map with its final dictionary."""
    rng, keep, best, since = np.random.default_rng(seed), 0.1, -np.inf, 0
    while True:
        i, j, objective = induced(x @ matrix, y, keep, rng)
        matrix = procrustes(x[i], y[j])
        since = 0 if objective > best + 1e-6 else since + 1
        best = max(best, objective)
        if since == 10 and keep == 1:
            return vecmap(x[i], y[j], x, y)
        if since == 10:
            keep, since = min(1, 2 * keep), 0


def signatures(rows: np.ndarray) -> np.ndarray:
    """Return the sorted, normalized rows of the square root of the similarity matrix (section 3.2 of that paper)."""
    values, vectors = np.linalg.eigh(rows @ rows.T)
    root = vectors @ np.diag(np.sqrt(values.clip(min=0))) @ vectors.T
    return normalized(np.array([sorted(row) for row in root]))
