"""Goes through Microsoft's sign-in pages by HTTP, as a browser would: pick an account, answer the consent page."""

import html
import re
from typing import Literal
from urllib.parse import parse_qsl, urlsplit

import httpx2

_ACCOUNT = re.compile(r'<button class="account"[^>]* value="([^"]+)".*?</button>', re.DOTALL)


Answer = Literal["accept", "cancel", "return"]


async def give_consent(authorize_url: str, username: str, answer: Answer = "accept") -> dict[str, str]:
    """Signs in as `username` and accepts on the consent page if it comes, or cancels; returns the redirect's query parameters.

    `return`: goes back from the page which says that only an administrator can approve.

    Raises LookupError when the picker doesn't offer that account, AssertionError when a page is not the expected one.
    """
    async with httpx2.AsyncClient(timeout=20) as browser:
        picker = await browser.get(httpx2.URL(authorize_url).copy_merge_params({"find": username}))
        assert picker.status_code == 200, f"{picker.status_code} instead of the picker: {picker.text[:500]}"
        if answer == "cancel":  # both pages have the button
            return _way_back(await browser.post(authorize_url, data={"answer": answer}))
        account = _account(picker.text, username)
        page = await browser.post(authorize_url, data={"account": account})
        if page.status_code == 200:
            assert ("admin" if answer == "return" else "Permissions requested") in page.text, page.text[:500]
            page = await browser.post(authorize_url, data={"account": account, "answer": answer})
        return _way_back(page)


def _way_back(page: httpx2.Response) -> dict[str, str]:
    assert page.is_redirect, f"{page.status_code} instead of the way back: {page.text[:500]}"
    return dict(parse_qsl(urlsplit(page.headers["location"]).query, keep_blank_values=True))


def _account(picker: str, username: str) -> str:
    for button in _ACCOUNT.finditer(picker):
        if f">{username.casefold()}<" in html.unescape(button[0]).casefold():
            return button[1]
    raise LookupError(f"the picker does not offer {username}")
