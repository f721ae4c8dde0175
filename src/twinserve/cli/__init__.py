"""Verbs, a file each; the only place that wires, prints and exits."""

from __future__ import annotations

import sys

import click

from twinserve import __version__
from twinserve.cli.lazy import LazyGroup
from twinserve.errors import TwinserveError

# Verb -> its one line of help. A verb's file is imported when the verb is called, so that
# `twinserve --help` and `generate` load neither plotting nor torch.
VERBS = {
    "up": "Run both deployments and the page that shows them side by side.",
    "compare": "Load both deployments and say which to choose.",
    "report": "Analyse a run again and write its report.",
    "load": "Write a workload for JMeter's or Locust's machines.",
    "import-jtl": "Compare two JMeter logs, with all checks and a report.",
    "cost": "Say what a run's sides would cost a month.",
    "simulate": "Sweep the traffic: what each side costs, how fast it is, where the two cross.",
    "calibrate": "Measure how a real deployment's times differ from a run's here.",
    "generate": "Make images with a model, without a server.",
    "models": "List, import, pull, export and evaluate models.",
    "train": "Train a Progressive GAN on a folder or zip of pictures.",
    "deployments": "List the deployments that may be run and compared.",
    "build": "Build a container image, or a function's source.",
    "deploy": "Send a deployment to Cloud Run, Cloud Functions, Knative or Kubernetes.",
    "doctor": "Say what this machine can run, enforce and measure.",
}
INTERRUPTED = 130  # 128 + SIGINT, as shells count


@click.group(
    cls=LazyGroup,
    verbs=VERBS,
    package=__name__,
    epilog="Example: twinserve compare --profile quick",
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, prog_name="twinserve")
def twinserve() -> None:
    """Run one model as a container service and as a serverless function, load both fairly, choose.

    Everything works on this machine: no account, no container engine, no network.
    """


def main() -> None:
    """Run the command line; errors of ours become one line and an exit code."""
    try:
        twinserve(standalone_mode=False)
    except click.exceptions.Exit as exit_:
        sys.exit(exit_.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("Interrupted.", err=True)
        sys.exit(INTERRUPTED)
    except TwinserveError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(error.exit_code)
