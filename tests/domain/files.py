"""DICOM files as bytes and as elements, well formed and hostile."""

from io import BytesIO

import pydicom
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from relais.domain.elements import (
    PIXELS,
    Element,
    Elements,
    Encoding,
    Item,
    Reader,
    encoding_of,
    make,
    read_beginning,
    read_elements,
    write,
)

IMPLICIT, EXPLICIT, BIG = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"


def file_of(instance: Dataset) -> bytes:
    """The file as pydicom writes it."""
    written = BytesIO()
    pydicom.dcmwrite(written, instance, enforce_file_format=True)
    return written.getvalue()


def elements_of(file: bytes | Dataset) -> Elements:
    """The elements before the pixels."""
    reader = Reader([file if isinstance(file, bytes) else file_of(file)])
    _, meta = read_beginning(reader)
    syntax = next(each for each in meta if each.keyword == "TransferSyntaxUID")
    return tuple(read_elements(reader, encoding_of(syntax.value.rstrip(b"\0").decode()), until=PIXELS))


def dataset_of(elements: Elements, syntax: str = EXPLICIT) -> Dataset:
    """The elements as pydicom reads them: an opinion other than ours."""
    encoding = encoding_of(syntax)
    return pydicom.filereader.read_dataset(BytesIO(write(elements)), encoding.implicit, encoding.little)


_TEXTS = [
    (0x00080070, "LO"),  # Manufacturer: stays
    (0x00081010, "SH"),  # StationName
    (0x00081030, "LO"),  # StudyDescription
    (0x00080090, "PN"),  # ReferringPhysicianName
    (0x00100010, "PN"),  # PatientName
    (0x00104000, "LT"),  # PatientComments
    (0x00110010, "LO"),  # a private creator
    (0x00111001, "LT"),  # what it owns
    (0x00090001, "UN"),  # private without an owner
    (0x0040A160, "UT"),  # TextValue
    (0x0018103F, "LO"),  # not in the dictionary
    (0x60004000, "LT"),  # OverlayComments
]
_SEQUENCES = [0x00081115, 0x00400275, 0x0040A730, 0x00111010, 0x04000561, 0x00082112]


def _sorted(elements: list[Element]) -> Elements:
    return tuple(sorted({each.tag: each for each in elements}.values(), key=lambda each: each.tag))


@st.composite
def hostile_elements(
    draw: st.DrawFn, texts: st.SearchStrategy[bytes], uids: st.SearchStrategy[str], encoding: Encoding, depth: int = 3
) -> Elements:
    """Elements at any depth, in sequences of every form, public, private, unknown, that hold these texts and UIDs."""
    found = [
        make(tag, vr, draw(texts), encoding)
        for tag, vr in draw(st.lists(st.sampled_from(_TEXTS), max_size=4, unique=True))
    ]
    if draw(st.booleans()):
        found.append(make(0x00081155, "UI", draw(uids).encode(), encoding))
    if depth:
        for tag in draw(st.lists(st.sampled_from(_SEQUENCES), max_size=2, unique=True)):
            inside = hostile_elements(texts, uids, encoding, depth=depth - 1)
            items = draw(st.lists(st.builds(Item, inside, st.just(encoding), st.booleans()), max_size=2))
            sequence = make(tag, "SQ", b"", encoding)
            if draw(st.booleans()):
                sequence = Element(tag, "SQ", sequence.head[:-4] + b"\xff" * 4, b"", encoding, undefined=True)
            found.append(sequence.with_items(items))
    return _sorted(found)
