"""JMeter logs as XML, read as a stream; nothing outside the file is ever resolved."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast
from xml.parsers import expat  # only its error numbers; defusedxml does the reading

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser, ParseError

from twinserve.records.jtl_columns import NEEDED, known_name
from twinserve.records.jtl_row import JtlRow, JtlSeen, refuse
from twinserve.records.jtl_times import Reader
from twinserve.records.jtl_values import READ, BadValue, row_reader

ROOT = "testResults"
SAMPLES = {"httpSample", "sample", "sampleResult"}  # the last one of JMeter 2.0 and before
CHUNK_BYTES = 1 << 16
KEPT = {"failureMessage", "java.net.URL"}  # elements whose text is kept
MOST_TEXT = 1 << 17  # characters of it
CUT_OFF = {
    expat.errors.codes[message]
    for message in (
        expat.errors.XML_ERROR_NO_ELEMENTS,
        expat.errors.XML_ERROR_UNCLOSED_TOKEN,
        expat.errors.XML_ERROR_PARTIAL_CHAR,
        expat.errors.XML_ERROR_UNCLOSED_CDATA_SECTION,
    )
}


def xml_columns(path: Path) -> tuple[tuple[str, ...], str]:
    """JMeter's names of what the first sample tells, and its timeStamp.

    Raises:
        RecordError: the file is not a JMeter log, or holds no sample.
    """
    for sample in _samples(path, JtlSeen()):
        texts = sample.texts
        # `failureMessage` and `URL` are elements, which a first sample need not have.
        columns = {*texts, "failureMessage", "URL"}
        return tuple(columns), texts.get(NEEDED[0], "")
    raise refuse(path, None, "it holds no whole sample; there is nothing to compare.")


def xml_rows(path: Path, moment: Reader, extra: tuple[str, ...], seen: JtlSeen) -> Iterator[JtlRow]:
    """Every outermost sample; ``extra`` names attributes or elements to keep.

    Raises:
        RecordError: a sample cannot be read, the XML is damaged, or it defines entities.
    """
    read = row_reader(moment)
    for sample in _samples(path, seen):
        texts = [sample.texts.get(name, "") for name in READ]
        try:
            row = read(texts, tuple(sample.others.get(name, "") for name in extra))
        except BadValue as error:
            raise refuse(path, sample.line, str(error)) from None
        yield row


class _Sample:
    """An outermost sample: its attributes by JMeter's CSV names, and what its elements say."""

    def __init__(self, attributes: dict[str, str], line: int) -> None:
        self.line = line
        self.others = attributes
        self.texts = {known: text for key, text in attributes.items() if (known := known_name(key))}


class _Target:
    """What expat calls: keeps outermost samples as they close, and nothing else."""

    def __init__(self, path: Path, seen: JtlSeen) -> None:
        self._path = path
        self._seen = seen
        self._open: list[str] = []
        self._nested = 0
        self._sample: _Sample | None = None
        self._text: list[str] = []
        self.line: Callable[[], int] = lambda: 0
        self.done: deque[_Sample] = deque()

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        if not self._open and tag != ROOT:
            raise refuse(
                self._path,
                self.line(),
                f"the outermost element is {tag!r}; that of a JMeter log is {ROOT!r}.",
            )
        self._open.append(tag)
        self._text.clear()
        if tag in SAMPLES:
            if self._sample is None:
                self._sample = _Sample(attributes, self.line())
            else:
                self._nested += 1
                self._seen.nested += 1

    def end(self, tag: str) -> None:
        self._open.pop()
        if self._sample is None:
            return
        if tag in SAMPLES:
            if self._nested:
                self._nested -= 1
            else:
                self.done.append(self._sample)
                self._sample = None
        elif not self._nested:
            _note(self._sample.texts, tag, "".join(self._text).strip())
        self._text.clear()

    def data(self, text: str) -> None:
        if self._sample is not None and not self._nested and self._open[-1] in KEPT:
            self._text = ["".join([*self._text, text])[:MOST_TEXT]]

    def close(self) -> None: ...


def _note(texts: dict[str, str], tag: str, text: str) -> None:
    """What an element inside the outermost sample says; several failures are joined."""
    if tag == "failureMessage" and text:
        before = texts.get(tag)
        texts[tag] = f"{before}; {text}" if before else text
    elif tag == "java.net.URL":
        texts["URL"] = text


def _samples(path: Path, seen: JtlSeen) -> Iterator[_Sample]:
    """Outermost samples in the order of the file, up to where it may be cut off."""
    target = _Target(path, seen)
    parser = cast(Any, DefusedXMLParser)(target=target, forbid_dtd=True)
    target.line = lambda: int(parser.parser.CurrentLineNumber)
    try:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                parser.feed(chunk)
                while target.done:
                    yield target.done.popleft()
            parser.close()
    except ParseError as error:
        yield from target.done
        if error.code not in CUT_OFF:
            raise refuse(path, error.position[0], f"the XML is damaged ({error}).") from None
        seen.cut_off = True
    except DefusedXmlException:
        raise refuse(
            path,
            target.line(),
            "it defines a document type or entities, which JMeter never does; nothing of it is "
            "resolved.",
        ) from None
    except (LookupError, ValueError) as error:  # an encoding that nobody knows
        raise refuse(path, target.line(), f"the XML cannot be decoded ({error}).") from None
