"""Going to another system to sign in, and coming back."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from wantong.border.trust.identity.accounts import presence
from wantong.border.trust.identity.accounts.linking import pages as linking
from wantong.border.trust.identity.accounts.models import Away
from wantong.border.trust.identity.accounts.pages import language, next_of
from wantong.border.trust.identity.accounts.sources import services
from wantong.ground.http import limits


@never_cache
@require_POST
def begin(request: HttpRequest, name: str) -> HttpResponse:
    """``POST /<lang>/identity/sources/<name>``: away to another system."""
    limits.spend(limits.SIGN_IN, request.META.get("REMOTE_ADDR", ""))
    link = request.POST.get("purpose") == Away.Purpose.LINK
    url = services.begin(
        request,
        name,
        purpose=Away.Purpose.LINK if link else Away.Purpose.SIGN_IN,
        next=next_of(request, reverse("accounts:link-new" if link else "accounts:home")),
        lang=language(),
        fresh=bool(request.POST.get("fresh")),
    )
    return HttpResponseRedirect(url)


@never_cache
@require_safe
def back(request: HttpRequest, name: str) -> HttpResponse:
    """``GET /identity/return/<name>``: and back again. Without a language: systems know one address."""
    found = services.finish(request, name, request.GET.dict())
    how = {"amr": found.amr, "aal": found.levels.aal, "fal": found.levels.fal, "source": found.source.name}
    if found.purpose == Away.Purpose.LINK:
        linking.arrived(request, found.account, **how)
    else:
        presence.begin(request, found.account, **how)
    return HttpResponseRedirect(found.next)
