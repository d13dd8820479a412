"""Bodies of events: from HTML to plain text, back, and to the preview."""

import html
import re

# What has no end hides all the rest, as in browsers. (A head may do without one, and ends where the body begins.)
_HIDDEN = re.compile(r"<(script|style|head)\b.*?(?:</\1\s*>|(?=<body\b)|\Z)", re.IGNORECASE | re.DOTALL)
_BREAK = re.compile(r"<\s*(?:br|/p|/div|/li|/tr|/h[1-6])\b[^<>]*>", re.IGNORECASE)
_TAG = re.compile(r"<[^<>]*>")
PREVIEW_LENGTH = 255


def to_text(markup: str) -> str:
    return html.unescape(_TAG.sub("", _BREAK.sub("\r\n", _HIDDEN.sub("", markup)))).strip()


def to_html(text: str) -> str:
    if not text:
        return ""
    lines = html.escape(text, quote=False).replace("\r\n", "\n").replace("\n", "<br>\r\n")
    return f"<html><head></head><body>{lines}</body></html>"


def preview(body: dict[str, str]) -> str:
    text = to_text(body["content"]) if body["contentType"] == "html" else body["content"]
    return text[:PREVIEW_LENGTH]
