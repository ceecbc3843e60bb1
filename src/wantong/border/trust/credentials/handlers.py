"""What is done later: letting go of what was kept for answers that got lost."""

from django.utils import timezone

from wantong.border.trust.credentials import issuing
from wantong.ground.outbox import services as outbox
from wantong.ground.outbox.models import Event


@outbox.handler(issuing.FORGET, together=True, timer=True)
def forget(event: Event) -> None:
    """See :func:`.issuing.forget`."""
    issuing.forget(timezone.now())
