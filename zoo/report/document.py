"""What pages have in common: the frame around their sections, and how numbers are written."""

from collections.abc import Iterable
from html import escape
from typing import Any

from zoo.report.style import STYLE

NO_NUMBER = "-"


def document(title: str, sections: Iterable[str]) -> str:
    """A page of sections of HTML, empty ones left out; the title is escaped here."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head>\n<body>\n"
        f"{chr(10).join(filter(None, sections))}\n</body></html>\n"
    )


def percent(share: Any) -> str:
    """`61.2 %`; a dash where there is no number."""
    return f"{100 * share:.1f} %" if isinstance(share, int | float) else NO_NUMBER
