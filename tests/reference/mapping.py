"""Maps between spaces, written from the papers one word at a time: slow, and with nothing shared with the package."""

from __future__ import annotations

import numpy as np


def unit(rows: np.ndarray) -> np.ndarray:
    return np.array([row / np.sqrt(sum(value * value for value in row)) if row.any() else row for row in rows])


def normalized(rows: np.ndarray) -> np.ndarray:
    rows = unit(rows.astype(np.float64))
    return unit(rows - sum(rows) / len(rows))


def csls(x: np.ndarray, y: np.ndarray, k: int = 10) -> np.ndarray:
    """Conneau et al. 2018, equation 3, for rows of unit length."""
    cosines = x @ y.T
    r_x = [sum(sorted(row)[-k:]) / min(k, len(row)) for row in cosines]
    r_y = [sum(sorted(column)[-k:]) / min(k, len(column)) for column in cosines.T]
    return np.array([[2 * cosines[i, j] - r_x[i] - r_y[j] for j in range(len(y))] for i in range(len(x))])


def procrustes(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The polar factor of xᵀy, by Newton's iteration for it (Higham 1986) instead of a singular value decomposition."""
    factor = x.T @ y
    for _ in range(200):
        factor = (factor + np.linalg.inv(factor).T) / 2
    return factor


def refine(x: np.ndarray, y: np.ndarray, matrix: np.ndarray, rounds: int = 5) -> np.ndarray:
    """Conneau et al. 2018, section 2.2: Procrustes on mutual nearest neighbours."""
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
    """A power of a symmetric positive matrix."""
    values, vectors = np.linalg.eig(matrix)
    return (vectors @ np.diag(values.real**exponent) @ np.linalg.inv(vectors)).real


def vecmap(x: np.ndarray, y: np.ndarray, all_x: np.ndarray, all_y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Artetxe et al., AAAI 2018, table 1: S1 whitening, S2 orthogonal map, S3 re-weighting, S4 de-whitening."""
    white_x, white_y = power(x.T @ x, -0.5), power(y.T @ y, -0.5)
    u, s, vt = np.linalg.svd((x @ white_x).T @ (y @ white_y))
    mapped_x = all_x @ white_x @ u @ np.diag(s**0.5)
    mapped_y = all_y @ white_y @ vt.T @ np.diag(s**0.5)
    return mapped_x @ u.T @ power(x.T @ x, 0.5) @ u, mapped_y @ vt @ power(y.T @ y, 0.5) @ vt.T


def rcsls_loss(matrix: np.ndarray, x: np.ndarray, y: np.ndarray, source: np.ndarray, target: np.ndarray) -> float:
    """Joulin et al. 2018, equation 6."""
    total = 0.0
    turned = source @ matrix
    for left, right in zip(x @ matrix, y, strict=True):
        near = sorted((float(left @ row) for row in target), reverse=True)[:10]
        far = sorted((float(right @ row) for row in turned), reverse=True)[:10]
        total += -2 * float(left @ right) + sum(near) / 10 + sum(far) / 10
    return total / len(x)


def rcsls(x: np.ndarray, y: np.ndarray, source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Projected subgradient descent of Joulin et al. 2018: 20 epochs, steps of 1, halved when the loss grows."""
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
    """The nearest target row of each mapped row by cosine."""
    return [int(np.argmax([row @ other for other in unit(target)])) for row in unit(mapped)]
