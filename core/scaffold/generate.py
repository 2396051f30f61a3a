"""Makes a provider's distribution. copier does the work."""

from __future__ import annotations

from pathlib import Path

from ..errors import DirectlaneError
from ..version import __version__
from .names import Names

__all__ = ["TEMPLATES", "TemplateError", "make_provider"]

TEMPLATES = Path(__file__).resolve().parent
"""The folder of the templates: `copier copy` takes `TEMPLATES / "provider"` as well."""


class TemplateError(DirectlaneError):
    """The template cannot be used here. The text ends with the next step."""


def make_provider(names: Names, folder: Path, *, overwrite: bool = False) -> None:
    """Write the distribution of a new provider.

    Args:
        names: What it is called.
        folder: Where; made if it is not there.
        overwrite: Whether files of the same names are replaced; other files stay. Default: a folder that has anything
            in it but `.git` is refused.

    Raises:
        TemplateError: copier is not installed, the folder has something in it, or it cannot be written.
    """
    try:
        # Late, since it takes a third of a second, and only those who make a plug-in have it.
        from copier import run_copy
        from copier.errors import CopierError
    except ImportError as error:
        raise TemplateError(
            f"a new plug-in needs the package {error.name}\nNext: pip install 'directlane[new]'."
        ) from None
    try:
        if folder.exists() and not (folder.is_dir() and (overwrite or _is_empty(folder))):
            raise TemplateError(
                f"{folder} is there already\n"
                "Next: choose another folder with --to, or replace the template's files in it with --force."
            )
        folder.parent.mkdir(parents=True, exist_ok=True)
        run_copy(
            str(TEMPLATES / "provider"),
            folder,
            data={"name": names.kind, "directlane_version": __version__},
            defaults=True,
            overwrite=overwrite,
            quiet=True,
        )
    except OSError as error:
        raise TemplateError(
            f"{folder} cannot be written: {error.strerror}\nNext: choose a folder with --to."
        ) from error
    except CopierError as error:
        raise TemplateError(
            f"copier cannot use the template: {error}\nNext: pip install --upgrade 'directlane[new]'."
        ) from error


def _is_empty(folder: Path) -> bool:
    return all(entry.name == ".git" for entry in folder.iterdir())
