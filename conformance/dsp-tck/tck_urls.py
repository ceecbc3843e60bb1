"""A node's addresses and the two at which the kit asks it to act as a consumer."""

from __future__ import annotations

import json

from django.http import HttpRequest, JsonResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from tck_participant import NAME

from wantong.border.exchange import services, terms
from wantong.ground.actors import Actor
from wantong.node.urls import urlpatterns as node

OFFICER = Actor("user:officer", "Officer", frozenset({"approver", "declarer"}))


@csrf_exempt
def negotiate(request: HttpRequest) -> JsonResponse:
    asked = json.loads(request.body)
    process = services.negotiate(OFFICER, NAME, asked["datasetId"], terms.offer(asked["offerId"]))
    return JsonResponse({"pid": process.pid})


@csrf_exempt
def request_transfer(request: HttpRequest) -> JsonResponse:
    asked = json.loads(request.body)
    return JsonResponse({"pid": services.request_transfer(OFFICER, asked["agreementId"]).pid})


urlpatterns = [path("kit/negotiations", negotiate), path("kit/transfers", request_transfer), *node]
