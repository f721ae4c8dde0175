"""The columns of a JMeter log (JTL) under all their names: in CSV, in XML, and as others rename
them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

# JMeter 5's own order of CSV columns (CSVSaveService.printableFieldNamesToString).
ORDER = (
    "timeStamp",
    "elapsed",
    "label",
    "responseCode",
    "responseMessage",
    "threadName",
    "dataType",
    "success",
    "failureMessage",
    "bytes",
    "sentBytes",
    "grpThreads",
    "allThreads",
    "URL",
    "Filename",
    "Latency",
    "Encoding",
    "SampleCount",
    "ErrorCount",
    "Hostname",
    "IdleTime",
    "Connect",
)
NEEDED = ("timeStamp", "elapsed")

# What files without a header line hold by default, newest JMeter first; told apart by how many.
_NOT_BY_DEFAULT = {"Filename", "Encoding", "SampleCount", "ErrorCount", "Hostname"}
JMETER_5 = tuple(name for name in ORDER if name not in _NOT_BY_DEFAULT)
_DEFAULT_4 = tuple(name for name in JMETER_5 if name != "URL")
_DEFAULT_3 = tuple(name for name in _DEFAULT_4 if name != "sentBytes")
_NOT_IN_2 = {"failureMessage", "sentBytes", "URL", "IdleTime", "Connect"}
_DEFAULT_2_THREADS = tuple(name for name in JMETER_5 if name not in _NOT_IN_2)
_DEFAULT_2 = tuple(name for name in _DEFAULT_2_THREADS if not name.endswith("Threads"))
HEADERLESS = {
    len(columns): columns
    for columns in (JMETER_5, _DEFAULT_4, _DEFAULT_3, _DEFAULT_2_THREADS, _DEFAULT_2)
}

# Other names, in lower case without anything but letters and digits; JMeter's XML attributes among
# them (JTL format 2.1 and up, user's manual "Listeners").
_OTHER_NAMES = {
    "timeStamp": "ts time_stamp start startTime starttimems datetime date epoch epochms",
    "elapsed": "t time response_time responsetimems elapsedms elapsedtime duration durationms "
    "loadTime sampletime sampletimems took",
    "label": "lb sampler samplerlabel requestname",
    "responseCode": "rc code status statuscode httpstatus httpcode",
    "responseMessage": "rm message",
    "threadName": "tn thread",
    "dataType": "dt",
    "success": "s succeeded ok successful",
    "failureMessage": "failure error errormessage assertionfailure",
    "bytes": "by receivedbytes size",
    "sentBytes": "sby sentsize",
    "grpThreads": "ng groupthreads",
    "allThreads": "na activethreads threads users",
    "URL": "uri",
    "Latency": "lt latencyms ttfb timetofirstbyte firstbyte firstbytems",
    "SampleCount": "sc",
    "ErrorCount": "ec",
    "Hostname": "hn host",
    "IdleTime": "it",
    "Connect": "ct connecttime connectms connecttimems",
}


def known_name(name: str) -> str | None:
    """JMeter's CSV name of a column that goes by any of its names, or None."""
    return _BY_NAME.get(_plain(name))


def match(names: Sequence[str], renamed: Mapping[str, str]) -> dict[str, int]:
    """Where each known column stands among ``names``; the first one of a name counts.

    ``renamed`` gives JMeter's name -> the name in the file, for names that nobody can guess.
    """
    theirs = {_plain(name): place for place, name in reversed(list(enumerate(names)))}
    found: dict[str, int] = {}
    for place, name in enumerate(names):
        known = known_name(name)
        # JMeter's own name wins over another name of the same thing, wherever it stands.
        if known and (known not in found or name == known):
            found[known] = place
    return found | {
        ours: theirs[_plain(name)] for ours, name in renamed.items() if _plain(name) in theirs
    }


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


_BY_NAME = {_plain(name): name for name in ORDER}
_BY_NAME |= {_plain(other): ours for ours, text in _OTHER_NAMES.items() for other in text.split()}
