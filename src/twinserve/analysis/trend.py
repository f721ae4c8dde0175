"""Does a series of times change along its length? Robust to outliers and to autocorrelation: pure.

Sources: Geyer, "Practical Markov chain Monte Carlo" (1992), the initial monotone sequence; Kendall,
"Note on bias in the estimation of autocorrelation" (1954); batch means (Law & Kelton); Durlauf &
Phillips, "Trends versus random walks in time series analysis" (1988).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

Floats = NDArray[np.float64]

POWER = 0.95
ALARM = 0.98  # of Student's t on either side: METHOD's alarms 3-6 % of the time where none is due
FEWEST_BATCHES = 5
MOST_BATCHES = 20
RAW_PER_BATCH = 5  # independent rows that a batch must be worth
CLIP = 3 * 1.4826  # median absolute deviations: three standard deviations of normal rows
# The R squared of a line along a random walk, which has no trend at all, is below this in 98 % of
# cases, whatever its length (simulated, 8,000 to 20,000 walks of 25 to 1,000 steps).
RANDOM_WALK_R_SQUARED = 0.925
FEWEST_ROWS = 20
ROUNDING = 1e-9  # relative; what is smaller comes from adding up floats
LEAST_MS = 0.5  # JMeter writes 0 for a time below it


@dataclass(frozen=True)
class Line:
    """The least-squares line along a series whose outliers are clipped.

    ``slope`` is from one value to the next, ``first`` and ``last`` are the line's ends.
    """

    slope: float
    r_squared: float
    first: float
    last: float


@dataclass(frozen=True)
class Trend:
    """A tested trend; ``size`` is the relative change from the first row to the last one.

    ``detectable`` is the change that a share POWER of such series would have shown, None where the
    test was the random walk's; ``basis`` says in words what the test rests on.
    """

    size: float
    is_significant: bool
    basis: str
    detectable: float | None


def trend(values: Floats) -> Trend | None:
    """Test a series of positive values, in the order in which they began, for a trend.

    Clipped to their median +- 3 robust standard deviations of their logarithm, cut into
    min(20, ESS/5) batches whose means are regressed on their number. The scale, plain or
    logarithmic, is the one on which a straight line fits better: a leak adds the same to each
    request, and its curve on the logarithm would pass for autocorrelation.

    A series that is worth fewer than 5 batches still shows a trend where its rows lie so close to
    the line that not even a random walk would. Else: None, undetermined.
    """
    scale = _scale(values)
    batches = min(MOST_BATCHES, math.floor(_worth(scale) / RAW_PER_BATCH))
    if batches >= FEWEST_BATCHES:
        return _by_batches(scale, batches)
    along = _along(scale.values)
    if values.size < FEWEST_ROWS or along.r_squared < RANDOM_WALK_R_SQUARED:
        return None
    return Trend(
        size=scale.change(float(scale.values.mean()), along.last - along.first),
        is_significant=True,
        basis=f"closer to a line than a random walk comes in 98 % of cases: "
        f"R\N{SUPERSCRIPT TWO} {along.r_squared:.2f} against {RANDOM_WALK_R_SQUARED}",
        detectable=None,
    )


def effective_size(values: Floats) -> float:
    """How many independent rows a series of positive values is worth, its trend taken off."""
    return _worth(_scale(values))


def line(values: Floats) -> Line:
    """The straight line along a series of positive values, outliers clipped; two values needed."""
    return _along(np.exp(_clipped_logs(values)))


@dataclass(frozen=True)
class _Scale:
    """Clipped values on the scale where a straight line fits, and what that line leaves over."""

    values: Floats
    residuals: Floats
    logarithmic: bool

    def change(self, middle: float, difference: float) -> float:
        """A difference between both ends as a share of the beginning."""
        if self.logarithmic:
            return math.expm1(difference)
        first = middle - difference / 2
        return difference / first if first > 0 else math.inf


def _by_batches(scale: _Scale, batches: int) -> Trend:
    means = np.array([part.mean() for part in np.array_split(scale.values, batches)])
    x = np.arange(batches) - (batches - 1) / 2
    slope = float(x @ means) / float(x @ x)
    residuals = means - means.mean() - slope * x
    degrees = batches - 2
    error = math.sqrt(float(residuals @ residuals) / degrees / float(x @ x))
    if abs(slope) * batches < ROUNDING * max(1.0, abs(float(means.mean()))):
        slope = error = 0.0
    t = slope / error if error else math.copysign(math.inf, slope) if slope else 0.0
    alarm = float(special.stdtrit(degrees, ALARM))
    middle, needed = float(means.mean()), alarm + float(special.stdtrit(degrees, POWER))
    return Trend(
        size=scale.change(middle, slope * batches),
        is_significant=abs(t) > alarm,
        basis=f"t = {t:.1f} with {degrees} degrees of freedom",
        detectable=scale.change(middle, needed * error * batches),
    )


def _along(y: Floats) -> Line:
    x = np.arange(y.size, dtype=float)
    slope, offset = _fit(x, y)
    left = y - offset - slope * x
    total = float(((y - y.mean()) ** 2).sum())
    return Line(
        slope=slope,
        r_squared=1 - float(left @ left) / total if total else 0.0,
        first=offset,
        last=offset + slope * (y.size - 1),
    )


def _clipped_logs(values: Floats) -> Floats:
    logs: Floats = np.log(np.maximum(values, LEAST_MS))
    middle = float(np.median(logs))
    spread = CLIP * float(np.median(np.abs(logs - middle)))
    return np.clip(logs, middle - spread, middle + spread) if spread else logs


def _scale(values: Floats) -> _Scale:
    logs = _clipped_logs(values)
    plain = np.exp(logs)
    candidates = [_Scale(y, _off_line(y), name) for y, name in ((logs, True), (plain, False))]
    return max(candidates, key=lambda scale: 1 - _share_left(scale))


def _share_left(scale: _Scale) -> float:
    total = float(scale.values.var())
    return float(scale.residuals.var()) / total if total else 0.0


def _off_line(y: Floats) -> Floats:
    x = np.arange(y.size, dtype=float)
    slope, offset = _fit(x, y)
    off: Floats = y - offset - slope * x
    off[np.abs(off) < ROUNDING * max(1.0, float(np.abs(y).max()))] = 0
    return off


def _fit(x: Floats, y: Floats) -> tuple[float, float]:
    """Least squares: slope and offset."""
    centred = x - x.mean()
    squares = float(centred @ centred)
    slope = float(centred @ y) / squares if squares else 0.0
    return slope, float(y.mean()) - slope * float(x.mean())


def _worth(scale: _Scale) -> float:
    """The effective sample size: the smaller one of AR(1)'s and of Geyer's."""
    residuals = scale.residuals
    n = residuals.size
    squares = float(residuals @ residuals)
    if n < 6 or not squares:
        return float(n)
    first = float(residuals[1:] @ residuals[:-1]) / squares
    phi = min(max((n * first + 2) / (n - 4), 0.0), 0.99)
    return min(n * (1 - phi) / (1 + phi), n / _geyer(residuals))


def _geyer(residuals: Floats) -> float:
    """The integrated autocorrelation time (1 for independent rows) by the sum of pairs of
    autocorrelations up to the first one below zero, each no larger than the one before."""
    n = residuals.size
    spectrum = np.fft.rfft(residuals, 2 * n)
    rho = np.fft.irfft(spectrum * np.conj(spectrum))[:n]
    rho = rho / rho[0]
    pairs = rho[: n - n % 2].reshape(-1, 2).sum(axis=1)
    ends = np.flatnonzero(pairs <= 0)
    kept = pairs[: ends[0]] if ends.size else pairs
    return max(1.0, 2 * float(np.minimum.accumulate(kept).sum()) - 1 if kept.size else 1.0)
