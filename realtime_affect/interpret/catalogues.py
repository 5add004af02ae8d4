"""Bring the catalogues of translations up to date with the sentences in ``words``.

    python -m realtime_affect.interpret.catalogues

takes the messages out of ``words.py``, merges them into ``locale/<language>/LC_MESSAGES/*.po``,
where translators work, and compiles those to the ``.mo`` files that are read at run time. Needs
Babel, a library of development.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Final

from realtime_affect.interpret.words import DOMAIN, LANGUAGES, LOCALES

_HEADER: Final = (
    'msgid ""\nmsgstr ""\n"Language: {language}\\n"\n'
    '"Content-Type: text/plain; charset=utf-8\\n"\n\n'
)
_SOURCE: Final = Path(__file__).with_name("words.py")


def messages() -> Any:
    """Return the catalogue of all messages, without translations."""
    from babel.messages.catalog import Catalog
    from babel.messages.extract import extract_from_file

    found = Catalog(domain=DOMAIN, project="realtime-affect", fuzzy=False)
    keywords = {"_": None, "_mark": None}
    for _, message, _, _ in extract_from_file("python", _SOURCE, keywords=keywords):
        found.add(message)
    return found


def catalogue(language: str) -> Any:
    """Return the translations of a language, merged with what `words` says now."""
    from babel.messages.pofile import read_po

    with _path(language, "po").open("rb") as file:
        known = read_po(file, locale=language, domain=DOMAIN)
    known.update(messages(), no_fuzzy_matching=True)
    return known


def main() -> int:
    """Write all catalogues; 1 where a message is not translated."""
    from babel.messages.mofile import write_mo
    from babel.messages.pofile import write_po

    missing = 0
    for language in LANGUAGES[1:]:
        merged = catalogue(language)
        missing += sum(1 for message in merged if message.id and not message.string)
        with _path(language, "po").open("wb") as file:
            file.write(_HEADER.format(language=language).encode())
            write_po(file, merged, width=100, no_location=True, omit_header=True)
        with _path(language, "mo").open("wb") as file:
            write_mo(file, merged)
    return 1 if missing else 0


def _path(language: str, ending: str) -> Path:
    return LOCALES / language / "LC_MESSAGES" / f"{DOMAIN}.{ending}"


if __name__ == "__main__":
    sys.exit(main())
