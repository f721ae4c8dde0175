"""Upload a function's source to the signed address that Google gave."""

from __future__ import annotations

import urllib.error
import urllib.request
from pathlib import Path

from twinserve.cloud.patience import Patience
from twinserve.errors import CloudError

HEADERS = {"Content-Type": "application/zip"}  # and no credentials: the address is signed
UPLOAD_S = 600.0
REPEATED = (429, 500, 502, 503, 504)


def upload(url: str, source: Path, patience: Patience) -> None:
    """PUT the zip; a broken connection or a busy server is tried again.

    The address itself is a secret for as long as it is valid, so no message holds it.

    Raises:
        CloudError: it did not arrive.
    """
    said = ""
    for pause_s in patience.pauses():
        patience.pause(pause_s)
        said, final = _put(url, source)
        if not said:
            return
        if final:
            break
    raise CloudError(f"The source ({source.stat().st_size / 1e6:.1f} MB) was not taken: {said}.")


def _put(url: str, source: Path) -> tuple[str, bool]:
    """What went wrong, or nothing; and whether another try is of no use."""
    request = urllib.request.Request(  # noqa: S310 - Google's own address
        url, source.read_bytes(), HEADERS, method="PUT"
    )
    try:
        with urllib.request.urlopen(request, timeout=UPLOAD_S):  # noqa: S310
            return "", True
    except urllib.error.HTTPError as error:
        with error:
            return f"the storage answered {error.code} {error.reason}", error.code not in REPEATED
    except OSError as error:
        return f"the connection failed ({getattr(error, 'reason', error)})", False
