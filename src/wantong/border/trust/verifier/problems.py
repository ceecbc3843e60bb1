"""What can be wrong with an inquiry."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from wantong.ground.problems import Problem


class UnknownInquiry(Problem):
    """There is no such inquiry, or nothing to see of it for whoever asks."""

    slug = "unknown-inquiry"
    status = 404


class BadQuestion(Problem):
    """What is asked is no question: ``reason`` says which part of it, a member of DCQL by its name."""

    slug = "bad-question"
    status = 422
    CODES: ClassVar[Mapping[str, str]] = {"reason": "verifier.bad-question"}


class InquiryOver(Problem):
    """The inquiry has been answered, or its time is over."""

    slug = "inquiry-over"
    status = 410


class BadAnswer(Problem):
    """What came is no answer to an inquiry: ``reason``, in the words of what is wrong with a presentation."""

    slug = "bad-answer"
    status = 400
    CODES: ClassVar[Mapping[str, str]] = {"reason": "credentials.why"}
