"""Pictures that look like dental X-rays, drawn from soft shapes. Nobody's teeth."""

import numpy as np
from numpy.typing import NDArray

from tests.servers.dicom import Image

Grey = NDArray[np.float64]


class Film:
    """A dark picture that shapes are exposed on; positions and sizes are fractions of its height."""

    def __init__(self, rows: int, columns: int, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self._y, self._x = np.mgrid[0:rows, 0:columns] / rows
        self._light: Grey = 0.08 + 0.05 * self._y

    def expose(
        self,
        at: tuple[float, float],
        size: tuple[float, float],
        *,
        angle: float = 0.0,
        light: float = 0.5,
        square: float = 3.0,
        soft: float = 6.0,
    ) -> None:
        """Lay a superellipse on the film: `square` 2 is an ellipse, more is boxier; `soft` is its edge's slope."""
        x, y = self._x - at[0], self._y - at[1]
        along = (x * np.cos(angle) + y * np.sin(angle)) / size[0]
        across = (y * np.cos(angle) - x * np.sin(angle)) / size[1]
        distance = np.abs(along) ** square + np.abs(across) ** square
        self._light += light / (1 + np.exp(np.clip(soft * (distance - 1), -40, 40)))

    def tooth(self, at: tuple[float, float], width: float, *, up: bool, angle: float = 0.0) -> None:
        """Draw a crown with enamel and pulp, and two roots below it, or above for an upper tooth."""
        way = -1.0 if up else 1.0
        lean = np.array([-np.sin(angle), np.cos(angle)]) * way
        crown = np.array(at)
        for side in (-0.24, 0.24):
            root = crown + lean * width * 1.25 + np.array([np.cos(angle), np.sin(angle)]) * side * width
            self.expose(tuple(root), (width * 0.17, width * 0.85), angle=angle, light=0.24, square=2.2)
        self.expose(tuple(crown), (width * 0.46, width * 0.52), angle=angle, light=0.34, square=4)
        self.expose(tuple(crown - lean * width * 0.22), (width * 0.42, width * 0.26), angle=angle, light=0.2)
        self.expose(tuple(crown + lean * width * 0.1), (width * 0.11, width * 0.26), angle=angle, light=-0.22)
        if self.random.random() < 0.2:
            self.expose(tuple(crown - lean * width * 0.2), (width * 0.2, width * 0.14), light=0.6, soft=14)

    def develop(self) -> Image:
        """Return the picture, with the grain of a detector."""
        grain = self.random.normal(0, 0.012, self._light.shape)
        pixels = (np.clip(self._light + grain, 0, 1) ** 0.9 * 255).astype(np.uint8)
        rows, columns = pixels.shape
        return Image(rows=rows, columns=columns, pixels=pixels.tobytes())


def panoramic(seed: int) -> Image:
    """Both jaws from ear to ear."""
    film = Film(480, 960, seed)
    film.expose((1.0, 0.55), (0.86, 0.42), light=0.16, square=2.6)
    film.expose((1.0, 0.87), (0.55, 0.07), light=0.16, square=2.4)
    for side in (-1, 1):
        film.expose((1.0 + side * 0.8, 0.5), (0.07, 0.33), angle=-side * 0.2, light=0.25, square=2.4)
    for number in range(-7, 7):
        place = (number + 0.5) / 7
        width = 0.088 + 0.03 * abs(place)
        x = 1.0 + place * 0.68
        smile = 0.1 * (1 - place**2)
        film.tooth((x, 0.43 + smile), width, up=True, angle=place * 0.18)
        film.tooth((x, 0.54 + smile), width, up=False, angle=-place * 0.18)
    return film.develop()


def intra_oral(seed: int) -> Image:
    """Three or four teeth of one side, in their bone."""
    film = Film(400, 300, seed)
    up = bool(seed % 2)
    film.expose((0.375, 0.25 if up else 0.75), (0.6, 0.42), light=0.17, square=4)
    teeth = 3 + seed % 2
    for number in range(teeth):
        x = 0.75 * (number + 0.5) / teeth
        film.tooth((x, 0.66 if up else 0.34), 0.7 / teeth, up=up, angle=film.random.normal(0, 0.05))
    return film.develop()


def cone_beam(seed: int, height: float) -> Image:
    """One slice across the jaw; `height` goes from 0, below the roots, to 1, the crowns."""
    film = Film(256, 256, seed)
    film.expose((0.5, 0.52), (0.42, 0.44), light=0.18, square=2.3, soft=20)
    film.expose((0.5, 0.95), (0.12, 0.1), light=0.4, square=2)
    for turn in np.linspace(-1.15, 1.15, 14):
        x, y = 0.5 + 0.29 * np.sin(turn), 0.62 - 0.4 * np.cos(turn)
        film.expose((x, y), (0.055, 0.06), angle=turn, light=0.22, square=2)
        film.expose((x, y), (0.016 + 0.016 * height, 0.022 + 0.018 * height), angle=turn, light=0.5, soft=10)
        film.expose((x, y), (0.007, 0.01), angle=turn, light=-0.4 * (1 - height))
    return film.develop()
