"""Makes the beginning of a plug-in's distribution from a template.

`provider/` holds a [copier](https://copier.readthedocs.io) template: `copier.yml` and, in `template/`, the files. All
files that are code end with `.jinja`, so that no tool takes them for code of this package. Needs the extra `new`.
"""

from .generate import TEMPLATES, TemplateError, make_provider
from .names import Names, names_of

__all__ = ["TEMPLATES", "Names", "TemplateError", "make_provider", "names_of"]
