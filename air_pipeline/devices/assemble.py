"""An answer made a poll: what the transport says and what the document says, put together.

Belongs here: pure assembly. Does not: the exchange (`client`), the reading of a document (`document`), the time of it
(`collection`).
"""

from types import MappingProxyType

from air_pipeline.devices.answers import Answer
from air_pipeline.devices.document import Document, read_document
from air_pipeline.devices.polls import Outcome, Poll
from air_pipeline.settings import Device

MAX_KEPT_BODY_BYTES = 2048
"""How much of a rejected document is kept for people to look at."""


def make_poll(
    device: Device, slot_ms: int, answer: Answer, duration_ms: float, bound_to: str = ""
) -> tuple[Poll, Document | None]:
    """The poll that an answer amounts to.

    Args:
        device: who was asked.
        slot_ms: the slot, in ms since 1970 UTC.
        answer: what came.
        duration_ms: from the slot to the end of the answer, in ms; kept whole.
        bound_to: which device it was before, by its own word; another one is rejected.

    Returns:
        The poll, and the document if one was read. A rejected poll always has its `body`: whether it differs from
        the last one rejected is the caller's to decide.
    """
    document = read_document(answer.body, device, bound_to) if answer.outcome is None else None
    poll = Poll(
        device=device.id,
        observed_at=slot_ms,
        outcome=_outcome(answer, document),
        duration_ms=float(round(duration_ms)),
        interval_s=device.interval_ms / 1000,
        http_status=answer.status,
        values=MappingProxyType(document.values if document and not document.rejection else {}),
        problems=document.problems if document else (),
        body=_kept(answer.body) if document and document.rejection else None,
        cycle=(document.cycle or None) if document and not document.rejection else None,
    )
    return poll, document


def _outcome(answer: Answer, document: Document | None) -> Outcome:
    if answer.outcome is not None:
        return answer.outcome
    return document.outcome if document else Outcome.REJECTED


def _kept(body: bytes) -> str:
    return body[:MAX_KEPT_BODY_BYTES].decode("utf-8", "replace").replace("\0", "\ufffd")
