"""Hide passwords and tokens before a source is shown, logged or written.

:func:`redact` takes a source as the user typed it, or a whole message that may hold one. It hides
rather too much than too little: a user name goes with its password, and text that only looks like
a token goes too.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, unquote

HIDDEN: Final = "***"
"""What stands in the place of a secret."""

# Every repetition has a limit: from each place in a long text, matching must end soon.
_SCHEME: Final = r"[A-Za-z][A-Za-z0-9+.-]{0,30}://"
_SPEC = re.compile(_SCHEME)
# A URL inside a message ends at a quote or white space. What precedes its last "@" may hold white
# space all the same, as passwords do, up to the end of the line or the next URL.
_URL = re.compile(
    rf"(?P<scheme>{_SCHEME})(?P<user>(?:(?![\s'\"(,<]{_SCHEME})[^\n])+@(?=[\w\[]))?(?P<rest>[^\s'\"<>]*)"
)
_WITHOUT_SCHEME = re.compile(
    r"(?<![\w/])[^\s:/@'\"]{1,256}+:(?!//)[^\s@]{0,256}@(?=\d+(?:\.\d+){3}\b|\[|[\w.-]+[:/])"
)
_HEADER = re.compile(
    r"(?i)((?:(?:proxy-)?authorization|(?:set-)?cookie2?)\s*[:=]\s*"
    r"|x-[\w-]{0,40}(?:key|token|auth)[\w-]{0,40}:\s*)[^\r\n]+"
)
_OPTION = re.compile(r"(?i)\b(headers|cookies)=.+", re.DOTALL)
_CREDENTIAL = re.compile(r"(?i)\b(bearer|basic|digest)\s+(?=[^\s'\"]*[\d=+/._-])[^\s'\"]{6,}")
_VALUE = re.compile(
    r"""(?P<key>[\w.%-]{1,64}+)(?P<is>=)(?P<value>"[^"]*"|'[^']*'|[^\s&;,/?#'"]*)""", re.ASCII
)
_PART = re.compile(r"([/?&#;,])")
_SECRET_PARTS: Final = (
    "pass", "pwd", "secret", "token", "auth", "credential", "signature", "apikey", "session",
    "jwt", "cookie", "streamid",
)  # fmt: skip
_SECRET_WORDS: Final = frozenset({"key", "pw", "pin", "sig", "sid", "sas", "psk", "nonce"})
_MEDIA = re.compile(r"\.(?:m3u8|mpd|mp4|mkv|avi|mov|webm|ts|flv|sdp|mjpe?g|jpe?g|png|cgi|php)$")
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_HEX = re.compile(r"(?=.*\d)(?=.*[a-fA-F])[0-9a-fA-F]{16,}")
_GROUPS = re.compile(r"(?=.*\d)(?=.*[a-zA-Z])[0-9a-zA-Z]{4}(?:-[0-9a-zA-Z]{4}){3,}")
_OPAQUE = re.compile(r"(?=(?:.*\d){2})(?=(?:.*[a-zA-Z]){2})[\w.~+=-]{16,}", re.ASCII)
_STREAM_KEY = re.compile(r"(?=.*\d)[\w-]{8,}", re.ASCII)


def redact(text: str) -> str:
    """Return `text` without the secrets of the sources and options in it.

    Hidden are: all before the last ``@`` of a URL, whatever characters a password has; values of
    keys such as ``token=`` or ``user-pw=``, in a URL's path and query, in options and in GStreamer
    pipelines; parts of a path or query that look like tokens; ``Authorization``, cookies and all
    other headers of an option. Applied twice it changes nothing more.

    Parameters
    ----------
    text : str
        A source (``rtsp://me:secret@10.0.0.2/live``), an FFmpeg option, a pipeline, a message.
    """
    text = _OPTION.sub(rf"\1={HIDDEN}", text)
    text = _HEADER.sub(rf"\1{HIDDEN}", text)
    text = _CREDENTIAL.sub(rf"\1 {HIDDEN}", text)
    spec = _SPEC.match(text)
    if spec is not None:  # the whole text is a URL: nothing in it ends the password but the last @
        user, _, rest = text[spec.end() :].rpartition("@")
        text = f"{spec[0]}{HIDDEN}@{rest}" if user else text
    text = _URL.sub(_hide_in_url, text)
    text = _WITHOUT_SCHEME.sub(f"{HIDDEN}@", text)
    return _VALUE.sub(_hide_value, text)


def redact_source(source: str | Path) -> str:
    """Return the name of a source without secrets; a file's path stays as it is."""
    text = str(source)
    return text if isinstance(source, Path) or os.path.lexists(text) else redact(text)


def redact_values(value: Any) -> Any:
    """Return mappings, lists and tuples of plain values with every text in them redacted."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, Mapping):
        return {
            key: HIDDEN if item and isinstance(item, str) and _is_secret(str(key))
            else redact_values(item) for key, item in value.items()
        }  # fmt: skip
    if isinstance(value, list | tuple):
        return type(value)(redact_values(item) for item in value)
    return value


class HideSecrets(logging.Filter):
    """Redact every record that passes, its arguments and traceback included.

    For handlers, ours and those of programs that embed this library.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Change `record` and let it pass."""
        record.msg, record.args = redact(record.getMessage()), None
        if record.exc_info and not record.exc_text:
            record.exc_text = logging.Formatter().formatException(record.exc_info)
        if record.exc_text:
            record.exc_text = redact(record.exc_text)
        return True


def safe_cause(error: BaseException | None) -> BaseException | None:
    """Return `error`, or None where its own text holds a secret that a traceback would print."""
    return None if error is not None and redact(str(error)) != str(error) else error


def _hide_in_url(url: re.Match[str]) -> str:
    user = f"{HIDDEN}@" if url["user"] else ""
    host, slash, path = url["rest"].partition("/")
    if not slash:
        host, slash, path = url["rest"].partition("?")
    pieces = _PART.split(path)
    stream_key = url["scheme"].lower().startswith("rtmp") and len(pieces) > 1
    after_secret = False  # as in /token/abc
    for n in range(0, len(pieces), 2):
        piece = pieces[n]
        key, is_, value = piece.partition("=")
        if after_secret and piece:
            pieces[n] = HIDDEN
        elif is_:
            pieces[n] = f"{key}={_hide_query(key, value)}"
        elif _is_token(piece) or (
            stream_key and n == len(pieces) - 1 and _STREAM_KEY.fullmatch(piece)
        ):
            pieces[n] = HIDDEN
        after_secret = not is_ and _is_secret(piece) and n + 1 < len(pieces)
    return f"{url['scheme']}{user}{host}{slash}{''.join(pieces)}"


def _hide_query(key: str, value: str) -> str:
    """Return the value of one ``key=value`` of a URL; a URL inside it keeps what is no secret."""
    if value and (_is_secret(unquote(key)) or _is_token(unquote(value))):
        return HIDDEN
    plain = unquote(value)
    if "://" in plain and "%" in value:
        shown = redact(plain)
        return value if shown == plain else quote(shown, safe=":/*@")
    return value


def _hide_value(found: re.Match[str]) -> str:
    key, value = unquote(found["key"]), found["value"]
    # "key=value" is how messages speak of options in general.
    secret = _is_token(value) if key.lower().endswith(".key") or key == "key" else _is_secret(key)
    if not value or not secret:
        return found[0]
    return f"{found['key']}={HIDDEN}"


def _is_secret(key: str) -> bool:
    """Whether what `key` names should not be shown."""
    lower = key.lower()
    words = re.split(r"[^a-z0-9]+", lower)
    return any(part in lower for part in _SECRET_PARTS) or not _SECRET_WORDS.isdisjoint(words)


def _is_token(text: str) -> bool:
    """Whether a part of a path or a value looks random; names of media files do not."""
    stem = _MEDIA.sub("", text)
    if _UUID.fullmatch(stem) or _HEX.fullmatch(stem) or _GROUPS.fullmatch(stem):
        return True
    if stem.startswith("eyJ") and len(stem) > 20:  # a JSON web token: base64 of {"
        return True
    return stem == text and _OPAQUE.fullmatch(text) is not None
