r"""Mathematics in Markdown as GitHub, GitLab and Pandoc read it without touching it: $`...`$ and ```math blocks.

Between plain dollars Markdown comes first: of `w \, x` it leaves `w , x`, of `a\_b` `a_b`, and underscores become
emphasis. The templates write plain dollars, which are easier to read there.
"""

from __future__ import annotations

import re

_FENCE = "```"
_INLINE = re.compile(r"\$([^$`]+)\$")


def github_math(text: str) -> str:
    """The text with its dollars in the notation that stays as it is; code blocks are left alone."""
    found: list[str] = []
    fenced = False
    for line in text.split("\n"):
        fenced ^= line.startswith(_FENCE)
        if fenced:
            found.append(line)
        elif line.startswith("$$") and line.endswith("$$") and len(line) > 4:
            found += [f"{_FENCE}math", line[2:-2].strip(), _FENCE]
        else:
            found.append(_INLINE.sub(lambda match: f"$`{match.group(1).strip()}`$", line))
    return "\n".join(found)


__all__ = ["github_math"]
