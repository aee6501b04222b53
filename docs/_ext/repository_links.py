"""Links of pages to files of the repository that are no page of the site: their text, and where the file is."""

from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.transforms.post_transforms import SphinxPostTransform

ROOT = Path(__file__).resolve().parents[2]


class RepositoryLinks(SphinxPostTransform):
    """`[how](../benchmarks/README.md)` is a link in the repository; on the site it reads "how (benchmarks/README.md)".

    A link to a notebook leads to its page.
    """

    default_priority = 1

    def run(self, **_: Any) -> None:
        """Replace each such link of a page."""
        here = Path(self.env.doc2path(self.env.docname)).parent
        candidates = [
            *self.document.findall(addnodes.download_reference),
            *self.document.findall(addnodes.pending_xref),
        ]
        for node in candidates:
            path = str(node.get("reftarget", "")).partition("#")[0]
            target = (here / path).resolve()
            if not target.exists():  # a link to a page loses its suffix on the way
                page = target.with_name(f"{target.name}.ipynb")
                target = page if page.exists() else target.with_name(f"{target.name}.md")
            if not path or not target.exists() or not target.is_relative_to(ROOT):
                continue
            words = nodes.inline("", "", *[child.deepcopy() for child in node.children])
            if target.parent == ROOT / "notebooks":
                link = nodes.reference("", "", internal=True)
                page = f"notebooks/{target.stem}"
                link["refuri"] = self.app.builder.get_relative_uri(self.env.docname, page)
                link += words
                node.replace_self(link)
                continue
            if target.is_relative_to(ROOT / "docs") and target.suffix in (".md", ".ipynb"):
                continue
            told = target.relative_to(ROOT).as_posix()
            if told not in words.astext():
                words += [nodes.Text(" ("), nodes.literal(told, told), nodes.Text(")")]
            node.replace_self(words)


def setup(app: Any) -> dict[str, Any]:
    """Register the transform."""
    app.add_post_transform(RepositoryLinks)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
