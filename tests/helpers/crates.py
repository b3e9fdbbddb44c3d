"""What roc-validator finds required and missing in a crate, without the network."""

import json
from importlib.resources import files
from io import BytesIO
from pathlib import Path

from requests import Response
from requests.adapters import BaseAdapter
from requests_cache import CachedSession
from rocrate_validator import models, services
from urllib3 import HTTPResponse

from approach.crate import RUN_CONTEXT

CRATE_CONTEXT = "https://w3id.org/ro/crate/1.1/context"


class Contexts(BaseAdapter):
    """Answers with the two contexts that a crate names.

    RO-Crate's own comes with the rocrate library; of the terms of Workflow Run Crate, a crate of ours uses one.
    """

    def send(self, request, **kwargs):
        """What the network would answer."""
        terms = {"@context": {"sha256": "https://w3id.org/ro/terms/workflow-run#sha256"}}
        texts = {
            CRATE_CONTEXT: files("rocrate.data").joinpath("ro-crate.jsonld").read_bytes(),
            RUN_CONTEXT: json.dumps(terms).encode(),
        }
        response = Response()
        response.request, response.url, response.status_code = request, request.url, 200
        response.headers["Content-Type"] = "application/ld+json"
        response.raw = HTTPResponse(BytesIO(texts[request.url]), status=200, preload_content=False)
        return response

    def close(self):
        """Nothing is open."""


def fill_cache(cache: Path) -> None:
    """Store the contexts where the validator looks for what it would fetch."""
    with CachedSession(str(cache)) as session:
        session.mount("https://", Contexts())
        for url in (CRATE_CONTEXT, RUN_CONTEXT):
            assert session.get(url).ok


def missing_in_crate(folder: Path, cache: Path) -> list[str]:
    """What the profile Workflow Run Crate, and those that it builds on, require and do not find."""
    settings = services.ValidationSettings(
        rocrate_uri=str(folder),
        profile_identifier="workflow-run-crate",
        requirement_severity=models.Severity.REQUIRED,
        offline=True,
        cache_path=cache,
    )
    result = services.validate(settings)
    assert len(result.executed_checks) > 50
    return [issue.message for issue in result.get_issues()]
