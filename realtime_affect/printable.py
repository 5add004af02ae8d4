"""Show text of others on a terminal or in a log without letting it act there.

Names of files, URLs, titles of streams and what libraries say of them may hold any character. Sent
to a terminal, some move its cursor, change its title or answer for its user; a line end begins what
looks like another message; others turn the direction of what follows.
"""

from __future__ import annotations

import re
from typing import Final

_CONTROLS: Final = (
    "\x00-\x1f\x7f-\x9f"  # C0 and C1, escape and line end among them
    "\u2028\u2029"  # line and paragraph separators
    "\u202a-\u202e\u2066-\u2069"  # overrides of the direction
    "\ud800-\udfff"  # how bytes of a name that are no text are held; they cannot be encoded
)
_ANY = re.compile(f"[{_CONTROLS}]")
_BUT_LAYOUT = re.compile(f"(?![\n\t])[{_CONTROLS}]")


def printable(text: object, *, lines: bool = False) -> str:
    r"""Return `text` with every character that acts on a terminal written out, as ``\x1b``.

    Parameters
    ----------
    text : object
        Taken as ``str`` makes it.
    lines : bool
        Leave line ends and tabs: for text of our own layout, such as a traceback.
    """
    return (_BUT_LAYOUT if lines else _ANY).sub(_written_out, str(text))


def _written_out(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode("ascii")
