"""Read models: a dataset as the Action API, DCAT and the pages tell it."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from wantong.border.exchange.opendata import dcat
from wantong.border.exchange.opendata.codes import codes
from wantong.border.exchange.opendata.models import OpenDataset, Resource
from wantong.border.exchange.opendata.quality import Quality, quality
from wantong.border.exchange.opendata.searching import tags
from wantong.ground import clock, config, i18n
from wantong.ground.i18n import LANGUAGES

_SPACE = uuid.UUID(
    "6b1f1a8e-5c0c-5d0e-9f3c-2f6f6a7e4c11"
)  # names of organisations, tags and groups become ids in it


def address() -> dcat.Address:
    """Where this node tells of its open data."""
    return dcat.Address(config.current().url)


def download_url(row: OpenDataset, resource: Resource) -> str:
    """Where a file is had: at our data plane, or elsewhere."""
    if not resource.filename:
        return resource.url
    return f"{config.current().data_url}/open/{row.name}/{row.version}/{resource.filename}"


def described(row: OpenDataset, resources: Iterable[Resource]) -> dict[str, Any]:
    """As :func:`.dcat.dataset` takes it."""
    iri = address().dataset(row.name)
    return {
        **row.record,
        "name": row.name,
        "issued": _moment(row.created_at),
        "modified": _moment(row.modified_at),
        "version": row.version,
        "identifier": iri,
        "landing_page": f"{address().base}/en/open-data/{row.name}",
        "upstream": row.upstream_url,
        "removed": row.removed_at,
        "distributions": [
            {
                "id": str(resource.id),
                "url": download_url(row, resource),
                "download_url": download_url(row, resource) if resource.filename else "",
                "title": resource.title,
                "format": resource.format,
                "media_type": resource.media_type,
                "size": resource.size,
                "sha256": resource.sha256,
                "issued": _moment(resource.issued_at),
            }
            for resource in resources
        ],
    }


def quality_of(row: OpenDataset, resources: Sequence[Resource]) -> Quality:
    """The quality score today."""
    return quality(
        row.record,
        filled=row.filled,
        columns=[column["name"] for column in row.columns],
        newest=row.newest,
        formats=[resource.format for resource in resources],
        on=clock.today(),
    )


def package(row: OpenDataset, resources: Sequence[Resource]) -> dict[str, Any]:
    """The dataset as CKAN tells a package; titles in all languages stand in ``title_translated`` as ckanext-fluent has it."""
    said = row.record
    licence = codes("licences")[said["licence"]]
    keywords = tags(said)
    extras = {
        "identifier": address().dataset(row.name),
        "frequency": said["cycle"],
        "quality_score": quality_of(row, resources).score,
        "source_url": said["source_url"],
        "temporal_start": said["temporal"].get("start", ""),
        "temporal_end": said["temporal"].get("end", ""),
        "spatial_text": ", ".join(codes("places")[place]["name"]["en"] for place in said["places"]),
        "harvest_source": row.source_id or "",
        "harvest_upstream": row.upstream_url,
        "harvest_upstream_modified": row.upstream_modified,
        "removed_upstream": _naive(row.removed_at) if row.removed_at else "",
    }
    return {
        "id": str(row.id),
        "name": row.name,
        "title": plain(said["title"]),
        "title_translated": _translated(said["title"]),
        "notes": plain(said["description"]),
        "notes_translated": _translated(said["description"]),
        "type": "dataset",
        "state": "deleted" if row.withdrawn_at else "active",
        "private": False,
        "isopen": licence["open"],
        "license_id": said["licence"],
        "license_title": plain(licence["name"]),
        "license_url": licence["url"],
        "author": plain(said["publisher"]["name"]),
        "author_email": "",
        "maintainer": "",
        "maintainer_email": "",
        "url": said["source_url"],
        "version": str(row.version),
        "metadata_created": _naive(row.created_at),
        "metadata_modified": _naive(row.modified_at),
        "owner_org": organization_id(row.organization),
        "organization": organization(row.organization, said["publisher"]),
        "groups": [group(theme) for theme in said["themes"]],
        "tags": [tag(text) for text in keywords],
        "num_tags": len(keywords),
        "resources": [resource_dict(row, resource) for resource in resources],
        "num_resources": len(resources),
        "extras": [
            {"key": key, "value": str(value)} for key, value in extras.items() if value not in ("", None)
        ],
        "relationships_as_subject": [],
        "relationships_as_object": [],
        "creator_user_id": None,
    }


def resource_dict(row: OpenDataset, resource: Resource) -> dict[str, Any]:
    """A resource as CKAN tells it."""
    return {
        "id": str(resource.id),
        "package_id": str(row.id),
        "position": resource.position,
        "name": plain(resource.title),
        "name_translated": _translated(resource.title),
        "description": "",
        "format": resource.format,
        "mimetype": resource.media_type or None,
        "url": download_url(row, resource),
        "url_type": "upload" if resource.filename else None,
        "resource_type": "file",
        "size": resource.size,
        "hash": f"sha256:{resource.sha256}" if resource.sha256 else "",
        "state": "active",
        "created": _naive(row.created_at),
        "last_modified": _naive(resource.issued_at),
        "metadata_modified": _naive(resource.issued_at),
        "datastore_active": has_table(row, resource),
        "cache_url": None,
    }


def has_table(row: OpenDataset, resource: Resource) -> bool:
    """Whether questions can be put to it."""
    return bool(resource.filename) and row.rows is not None


def organization_id(name: str) -> str:
    return str(uuid.uuid5(_SPACE, f"organization:{name}"))


def organization(name: str, said: Mapping[str, Any]) -> dict[str, Any]:
    """A publisher as CKAN tells an organisation."""
    return {
        "id": organization_id(name),
        "name": name,
        "title": plain(said["name"]),
        "title_translated": _translated(said["name"]),
        "display_name": plain(said["name"]),
        "description": "",
        "image_url": "",
        "type": "organization",
        "is_organization": True,
        "approval_status": "approved",
        "state": "active",
    }


def group(theme: str) -> dict[str, Any]:
    """A subject as CKAN tells a group."""
    name = codes("themes")[theme]["name"]
    return {
        "id": str(uuid.uuid5(_SPACE, f"group:{theme}")),
        "name": theme,
        "title": plain(name),
        "title_translated": _translated(name),
        "display_name": plain(name),
        "description": "",
        "image_display_url": "",
    }


def tag(text: str) -> dict[str, Any]:
    return {
        "id": str(uuid.uuid5(_SPACE, f"tag:{text}")),
        "name": text,
        "display_name": text,
        "state": "active",
        "vocabulary_id": None,
    }


def plain(texts: Mapping[str, str]) -> str:
    """A text for programs that know of one language only: English where there is any."""
    return i18n.pick(texts, "en").text


def _translated(texts: Mapping[str, str]) -> dict[str, str]:
    return {i18n.LANG_ATTRIBUTE[lang]: texts[lang] for lang in LANGUAGES if texts.get(lang)}


def _moment(value: datetime) -> str:
    return value.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _naive(value: datetime) -> str:
    """CKAN's moments: UTC, not said."""
    return value.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds")
