"""Links of the documents that lead out of docs/, in the site (a hook of mkdocs.yml).

On GitHub they lead to files of the repository. The site has none of those: with
`repo_url` in mkdocs.yml they lead there, without it only their words stay.
"""

import re
from typing import Any

_OUTWARD = re.compile(r"\[(?P<words>[^\]]+)\]\(\.\./(?P<place>[^)]+)\)")


def on_page_markdown(markdown: str, *, page: Any, config: Any, **_: Any) -> str:
    """Returns a page's Markdown with such links replaced; MkDocs calls it."""
    if "/" in page.file.src_uri:
        return markdown  # from a folder of docs/, ../ leads to docs/
    repository = config.repo_url

    def replace(link: re.Match[str]) -> str:
        if not repository:
            return link["words"]
        return f"[{link['words']}]({repository.rstrip('/')}/blob/main/{link['place']})"

    return _OUTWARD.sub(replace, markdown)
