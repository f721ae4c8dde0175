"""The simulation beside the published simulator ``simfaas``, on its own scenario.

Scale per request: an instance for each request that finds none idle, gone after so long without
one. Both simulate the same arrivals and service times in distribution, in turn, in one process on
one core; the measure is CPU time, which other work on the machine does not fill. Then the policies
with windows, against the same rate of ``simfaas``, which has none of them::

    python benchmarks/simulation.py --rate 0.9 --requests 20000 --pairs 5
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time

import numpy as np
from simfaas.ServerlessSimulator import ServerlessSimulator

from twinserve.analysis.simulation.model import Behaviour, Level, Model, constant, exponential
from twinserve.analysis.simulation.run import Result, simulate
from twinserve.deployment import Deployment, Kind
from twinserve.workload import Poisson

WARM_S, COLD_S, IDLE_S = 2.0, 2.2, 600.0
AT_LEAST, AIM, WINDOWED_AT_LEAST = 20.0, 50.0, 4.0
OURS_TIMES = 50  # as many requests as simfaas gets, so that a turn is long enough to be timed
Z = 3.0  # standard errors that two probabilities may lie apart


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=0.9, help="requests a second")
    parser.add_argument("--requests", type=int, default=20_000, help="of simfaas, a turn")
    parser.add_argument("--pairs", type=int, default=5, help="turns of both")
    options = parser.parse_args()
    simulate(model(), Poisson(rate_rps=1.0), 100.0)  # compiled before it is timed
    held = scale_per_request(options)
    for policy in ("cloud-run", "knative"):
        held = windowed(policy, options) and held
    print("The targets are met." if held else "A target is MISSED.")
    return 0 if held else 1


def scale_per_request(options: argparse.Namespace) -> bool:
    ratios, theirs = [], []
    for pair in range(options.pairs):
        their_cold, their_speed = their_turn(options, seed=pair)
        _, our_speed = our_turn(model(), options, seed=pair)
        theirs.append(their_cold)
        ratios.append(our_speed / their_speed)
        print(f"  turn {pair + 1}: {our_speed:,.0f}/s against {their_speed:,.0f}/s of simfaas")
    # Both begin without an instance, so only runs of one length have one probability.
    seconds = options.requests / options.rate
    ours = [
        simulate(model(), Poisson(rate_rps=options.rate), seconds, seed=seed).cold_share
        for seed in range(OURS_TIMES)
    ]
    ratio = statistics.median(ratios)
    a, b = statistics.mean(ours), statistics.mean(theirs)
    spread = statistics.variance(ours)  # that of one run; theirs has the same
    noise = spread / len(ours) + spread / options.pairs
    apart = abs(a - b) / max(noise**0.5, 1e-12)
    print(
        f"scale per request at {options.rate:g}/s: {ratio:.0f} times simfaas's requests a second "
        f"(at least {AT_LEAST:g}, aim {AIM:g})"
    )
    print(
        f"  probability of a cold start: {a:.5f}, simfaas {b:.5f}: {apart:.1f} standard errors "
        f"apart (at most {Z:g})"
    )
    return ratio >= AT_LEAST and apart <= Z


def windowed(policy: str, options: argparse.Namespace) -> bool:
    ratios = []
    for pair in range(options.pairs):
        _, their_speed = their_turn(options, seed=pair)
        _, our_speed = our_turn(model(policy), options, seed=pair)
        ratios.append(our_speed / their_speed)
    ratio = statistics.median(ratios)
    print(f"{policy}: {ratio:.0f} times (at least {WINDOWED_AT_LEAST:g})")
    return ratio >= WINDOWED_AT_LEAST


def model(policy: str = "cloud-functions-1st") -> Model:
    """A start takes no time and the first request on an instance takes longer, as simfaas has
    it; the newest idle instance gets the request."""
    deployment = Deployment(
        "scale", Kind.FUNCTION, "none", concurrency=1, idle_s=IDLE_S, max_instances=1000,
        policy=policy,
    )  # fmt: skip
    behaviour = Behaviour(
        [Level(1000, exponential(WARM_S))], constant(0.0), first_s=exponential(COLD_S),
        cpu_a_lane=1.0,
    )  # fmt: skip
    return Model(deployment, behaviour, newest_first=True)


def our_turn(model: Model, options: argparse.Namespace, seed: int) -> tuple[float, float]:
    seconds = options.requests * OURS_TIMES / options.rate
    began_s = time.process_time()
    result: Result = simulate(model, Poisson(rate_rps=options.rate), seconds, seed=seed)
    return result.cold_share, result.total("came") / (time.process_time() - began_s)


def their_turn(options: argparse.Namespace, seed: int) -> tuple[float, float]:
    np.random.seed(seed)
    theirs = ServerlessSimulator(
        arrival_rate=options.rate,
        warm_service_rate=1 / WARM_S,
        cold_service_rate=1 / COLD_S,
        expiration_threshold=IDLE_S,
        max_time=options.requests / options.rate,
    )
    began_s = time.process_time()
    theirs.generate_trace(debug_print=False, progress=False)
    took_s = time.process_time() - began_s
    return theirs.total_cold_count / theirs.total_req_count, theirs.total_req_count / took_s


if __name__ == "__main__":
    sys.exit(main())
