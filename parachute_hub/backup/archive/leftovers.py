"""Aborts uploads to a bucket that a killed worker left unfinished: they cost money, and no list of objects shows them.

The library for buckets cannot list them, so these two requests are signed here (Amazon S3 API Reference, "Signature
Calculations for the Authorization Header", ListMultipartUploads and AbortMultipartUpload).
"""

import hashlib
import hmac
import re
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from datetime import datetime
from html import unescape
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from parachute_hub.backup.archive.layout import parse_name

_WAIT_SECONDS = 20.0
_ANSWER_BYTES = 4 * 1024 * 1024
_NOTHING = hashlib.sha256(b"").hexdigest()


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A redirect could carry the signed request to another host."""

    def redirect_request(self, *_: Any) -> None:
        return None


_OPENER = urllib.request.build_opener(_NoRedirects)


def abort_unfinished(told: Mapping[str, Any], hub_id: str, before: float) -> int:
    """Abort this hub's uploads that began before a time in epoch seconds: how many. `told` describes the bucket.

    Blocks. Raises OSError or ValueError; what cannot be aborted is left to the bucket's own rules.
    """
    prefix = str(told.get("prefix") or "").strip("/")
    beginning = f"{prefix}/" if prefix else ""
    found = _ask(told, "GET", "", {"uploads": "", "prefix": f"{beginning}parachute-{hub_id}-"})
    leftovers = unfinished(found, beginning, before)
    for key, upload_id in leftovers:
        _ask(told, "DELETE", key, {"uploadId": upload_id})
    return len(leftovers)


def unfinished(xml: str, beginning: str, before: float) -> list[tuple[str, str]]:
    """The keys and upload ids of archives below `beginning` whose upload began before a time in epoch seconds.

    >>> name = "parachute-0123abcd-19700101T000000Z.tar.zst.age"
    >>> one = "<Upload><Key>{}</Key><UploadId>{}</UploadId><Initiated>{}</Initiated></Upload>"
    >>> old, new = "1970-01-01T00:00:10.000Z", "1970-01-01T01:00:00.000Z"
    >>> xml = one.format(f"a/{name}", "1", old) + one.format(f"a/{name}", "2", new) + one.format("a/photo", "3", old)
    >>> unfinished(xml, "a/", 60.0) == [(f"a/{name}", "1")]
    True
    """
    found = []
    for upload in re.findall(r"<Upload>(.*?)</Upload>", xml, re.DOTALL):
        key, upload_id, began = (_text(upload, name) for name in ("Key", "UploadId", "Initiated"))
        if parse_name(key.removeprefix(beginning)) and datetime.fromisoformat(began).timestamp() < before:
            found.append((key, upload_id))
    return found


def _text(xml: str, name: str) -> str:
    found = re.search(rf"<{name}>(.*?)</{name}>", xml, re.DOTALL)
    if found is None:
        raise ValueError(f"an upload without {name}")
    return unescape(found[1])


def _ask(told: Mapping[str, Any], method: str, key: str, query: Mapping[str, str]) -> str:
    endpoint = urlsplit(str(told["endpoint"]))
    path = "/".join([endpoint.path.rstrip("/"), quote(str(told["bucket"]), safe="")] + ([quote(key)] if key else []))
    words = urlencode(sorted(query.items()), quote_via=quote, safe="")
    headers = sign(told, method, endpoint.netloc, path, words, time.gmtime())
    url = f"{endpoint.scheme}://{endpoint.netloc}{path}?{words}"
    request = urllib.request.Request(url, method=method, headers=headers)  # noqa: S310
    with _OPENER.open(request, timeout=_WAIT_SECONDS) as answer:
        content: bytes = answer.read(_ANSWER_BYTES)
    return content.decode("utf-8", "replace")


def sign(
    told: Mapping[str, Any], method: str, host: str, path: str, query: str, now: time.struct_time
) -> dict[str, str]:
    """The headers of a signed request without a body."""
    moment, day = time.strftime("%Y%m%dT%H%M%SZ", now), time.strftime("%Y%m%d", now)
    scope = f"{day}/{told.get('region') or 'auto'}/s3/aws4_request"
    signed = {"host": host, "x-amz-content-sha256": _NOTHING, "x-amz-date": moment}
    lines = [method, path, query, *(f"{name}:{value}" for name, value in signed.items()), ""]
    canonical = "\n".join([*lines, ";".join(signed), _NOTHING])
    wanted = "\n".join(["AWS4-HMAC-SHA256", moment, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = f"AWS4{told['secret']}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, wanted.encode(), "sha256").hex()
    credential = f"Credential={told['key_id']}/{scope}, SignedHeaders={';'.join(signed)}, Signature={signature}"
    return {**signed, "Authorization": f"AWS4-HMAC-SHA256 {credential}"}
