"""Find the JMeter that is installed, and how it is started."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from twinserve.errors import UsageError

MAIN = "org.apache.jmeter.NewDriver"
JAR = Path("bin") / "ApacheJMeter.jar"
OLDEST = (3, 1)  # the first one whose logs hold what is read here by default
ANSWER_WITHIN_S = 60.0
WAY_OUT = "name its folder with --jmeter or JMETER_HOME"


@dataclass(frozen=True)
class JMeter:
    """An installed JMeter: the command that starts it, without arguments, and its version."""

    command: tuple[str, ...]
    version: str


def find_jmeter(where: str | None = None, environment: Mapping[str, str] | None = None) -> JMeter:
    """The JMeter at ``where`` (its folder, or its program), in JMETER_HOME, or on the PATH.

    It is started once to learn its version, so it works.

    Raises:
        UsageError: there is none, it does not start, it is too old, or Java is missing.
    """
    found = os.environ if environment is None else environment
    command = _command(_place(where, found), found)
    version = _version(command)
    if tuple(map(int, version.split(".")[:2])) < OLDEST:
        raise UsageError(
            f"JMeter is {version}; at least {'.'.join(map(str, OLDEST))} is needed; {WAY_OUT}."
        )
    return JMeter(command, version)


def _place(where: str | None, environment: Mapping[str, str]) -> Path:
    """The folder or program that was named, else what the environment names."""
    for name, told in (("--jmeter", where), ("JMETER_HOME", environment.get("JMETER_HOME"))):
        if told:
            path = Path(told)
            if not path.exists():
                raise UsageError(f"{name} is {told}, which does not exist; {WAY_OUT}.")
            return path
    program = shutil.which("jmeter", path=environment.get("PATH"))
    if program is None:
        raise UsageError(f"No JMeter was found; install Apache JMeter 5, or {WAY_OUT}.")
    return Path(program)


def _command(place: Path, environment: Mapping[str, str]) -> tuple[str, ...]:
    """Java itself where the home is known, so that no shell stands between; else the program."""
    home = place if place.is_dir() else place.resolve().parent.parent
    if (home / JAR).is_file():
        classes = os.pathsep.join([str(home / JAR), str(home / "lib" / "*")])
        java = _java(environment)
        return (java, "-cp", classes, f"-Djmeter.home={home}", "-Djava.awt.headless=true", MAIN)
    if place.is_dir():
        raise UsageError(f"{place} holds no {JAR}; it is not the folder of a JMeter: {WAY_OUT}.")
    return (str(place),)


def _java(environment: Mapping[str, str]) -> str:
    home = environment.get("JAVA_HOME")
    java = shutil.which("java", path=str(Path(home) / "bin") if home else environment.get("PATH"))
    if java is None:
        place = f"in JAVA_HOME ({home})" if home else "on the PATH"
        raise UsageError(
            f"JMeter needs Java, and there is none {place}; install Java 8 or newer (Debian: "
            "openjdk-17-jre-headless)."
        )
    return java


def _version(command: tuple[str, ...]) -> str:
    try:
        done = subprocess.run(
            [*command, "--version", "-j", os.devnull],  # else it leaves a jmeter.log here
            capture_output=True,
            text=True,
            errors="replace",
            timeout=ANSWER_WITHIN_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UsageError(f"{command[0]} does not start ({error}); {WAY_OUT}.") from error
    said = done.stdout + done.stderr
    found = re.search(r"(?<![\d.])(\d+\.\d+(?:\.\d+)?)\s*$", done.stdout, re.MULTILINE)
    if done.returncode or not found:
        last = (said.strip().splitlines() or ["it said nothing"])[-1][:200]
        raise UsageError(f"JMeter does not start: {last}; {WAY_OUT}.")
    return found[1]
