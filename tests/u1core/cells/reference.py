"""Every measure of docs/method.md once more: plain, slow, float64 numpy, image by image and pixel by pixel.

Written from docs/method.md, 'In the image plane', 'In activation space' and 'Memory-based classification',
not from the library. One image's activations A have shape (N, H, W); E is its energy map (H, W).
"""

import math

import numpy as np
from scipy.linalg import polar
from scipy.optimize import brentq
from scipy.spatial.distance import cdist


def pixels(height, width):
    """Yield (p, q, x, y) of every pixel: half images, x right, y up."""
    for p in range(height):
        for q in range(width):
            yield p, q, (2 * q + 1) / width - 1, 1 - (2 * p + 1) / height


# -- in the image plane -----------------------------------------------------------------------------------


def energy(A):
    """E(x,y) = sum over channels of A^2."""
    E = np.zeros(A.shape[1:])
    for channel in A.astype(np.float64):
        E += channel**2
    return E


def dipole(E):
    """The energy centroid as a complex number."""
    return sum(E[p, q] * complex(x, y) for p, q, x, y in pixels(*E.shape)) / E.sum()


def quadrupole(E):
    """Real and imaginary part of the sum of E (x+iy)^2 over the sum of E r^2; None at 1 x 1, where r = 0."""
    if E.size == 1:
        return None, None
    top = sum(E[p, q] * complex(x, y) ** 2 for p, q, x, y in pixels(*E.shape))
    ratio = top / sum(E[p, q] * (x * x + y * y) for p, q, x, y in pixels(*E.shape))
    return ratio.real, ratio.imag


def _corner_area(a, b, r):
    """Area of the disc of radius r about the origin inside [0, a] x [0, b]; odd in a and in b."""
    sign, a, b = math.copysign(1, a) * math.copysign(1, b), min(abs(a), r), min(abs(b), r)
    if a * a + b * b <= r * r:
        return sign * a * b
    # Below y = b up to where the circle leaves that line, then below the circle.
    left = math.sqrt(r * r - b * b)

    def under_circle(x):
        return (x * math.sqrt(max(r * r - x * x, 0)) + r * r * math.asin(min(x / r, 1))) / 2

    return sign * (left * b + under_circle(a) - under_circle(left))


def encircled(E, r):
    """Share of the energy inside radius r: each pixel a square of uniform energy, its overlap exact."""
    height, width = E.shape
    inside = 0.0
    for p, q, x, y in pixels(height, width):
        x0, x1, y0, y1 = x - 1 / width, x + 1 / width, y - 1 / height, y + 1 / height
        area = _corner_area(x1, y1, r) - _corner_area(x0, y1, r)
        area -= _corner_area(x1, y0, r) - _corner_area(x0, y0, r)
        inside += E[p, q] * area / ((x1 - x0) * (y1 - y0))
    return inside / E.sum()


def encircling_radius(E, share):
    """Radius that encircles a share of the energy."""
    return brentq(lambda r: encircled(E, r) - share, 1e-9, math.sqrt(2))


def centre_density_ratio(E):
    """EE(1/2) over the share of the area of that disc."""
    return encircled(E, 0.5) / (math.pi / 16)


def rings(E):
    """Values of E by exact radius: {r^2: [values]}."""
    found = {}
    for p, q, x, y in pixels(*E.shape):
        found.setdefault(round(x * x + y * y, 9), []).append(E[p, q])
    return found


def anisotropy(E):
    """Sum of squares within rings over the total sum of squares; None for a constant map."""
    total = sum((value - E.mean()) ** 2 for value in E.ravel())
    within = sum((value - np.mean(ring)) ** 2 for ring in rings(E).values() for value in ring)
    return within / total if total > 1e-24 * (E**2).sum() else None


def sombrero(E):
    """a, b, c of E(r) = a - b r^2 + c r^4 over all pixels; None below three distinct radii."""
    if len(rings(E)) < 3:
        return None
    r2, values = zip(*[(x * x + y * y, E[p, q]) for p, q, x, y in pixels(*E.shape)], strict=True)
    c, minus_b, a = np.polyfit(r2, values, 2)
    return a, -minus_b, c


# -- in activation space ----------------------------------------------------------------------------------


def pooled(A):
    """Mean of A over (x,y)."""
    return np.array([channel.mean() for channel in A.astype(np.float64)])


def axial(p):
    """<p, u> with u = (1,...,1)/sqrt(N)."""
    return float(p @ np.full(len(p), 1 / math.sqrt(len(p))))


def perpendicular(p):
    """P - <p,u> u."""
    return p - axial(p) * np.full(len(p), 1 / math.sqrt(len(p)))


def polar_angle(p):
    """The opening from the principal ray."""
    return math.atan2(np.linalg.norm(perpendicular(p)), axial(p))


def chroma(p):
    """The perpendicular part of p over |p|."""
    return perpendicular(p) / np.linalg.norm(p)


class Frame:
    """What the memory split fixes: means, K, Q; labels are not an argument."""

    def __init__(self, chromas, dipoles):
        self.mean_dipole = sum(dipoles) / len(dipoles)
        self.mean_chroma = sum(chromas) / len(chromas)
        K = np.zeros((len(chromas[0]), 2))
        for h, d in zip(chromas, dipoles, strict=True):
            offset = d - self.mean_dipole
            K += np.outer(h - self.mean_chroma, [offset.real, offset.imag]) / len(chromas)
        self.couplings = np.sqrt(np.linalg.eigvalsh(K.T @ K)[::-1])
        # The orthonormal factor of K's polar decomposition is the orthonormal matrix nearest to it.
        self.Q = polar(K)[0]

    def image(self, d):
        """d - mean d: its argument is theta_image, its modulus the strength."""
        return d - self.mean_dipole

    def feature(self, h):
        """z_1 + i z_2: its argument is theta_feature, its modulus the strength."""
        return complex(*(self.Q.T @ (h - self.mean_chroma)))


# -- memory -----------------------------------------------------------------------------------------------


def cosines(queries, memory):
    """Cosine similarity of every query (row) with every memory vector (column); 0 for a zero vector."""
    return np.nan_to_num(1 - cdist(np.asarray(queries), np.asarray(memory), "cosine"))


def cosines_by_place(queries, memory):
    """The same at each place (p, q) apart, of maps (N, H, W): {(p, q): similarities}."""
    height, width = queries[0].shape[1:]
    return {
        (p, q): cosines([A[:, p, q] for A in queries], [A[:, p, q] for A in memory])
        for p, q, _, _ in pixels(height, width)
    }
