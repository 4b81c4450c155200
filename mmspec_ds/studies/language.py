"""The pretrained language model that the cells of a study read, in a folder that the user names.

A link to it, OUT/language_model, is what run files of cells name: a folder of studies can be moved, and has one
language model.
"""

from functools import lru_cache
from pathlib import Path

from mmspec_ds.errors import DataError
from mmspec_ds.language.model_folder import identity_of

LANGUAGE_MODEL = "language_model"


def language_identity(folder: Path) -> str:
    """A checksum of a model's weights, configuration and tokenizer.

    Raises:
        DataError: the folder holds no language model.
    """
    resolved = folder.resolve()
    if not resolved.is_dir():
        raise DataError("no such folder of a language model", path=folder)
    stats = ((one.name, one.stat()) for one in sorted(resolved.iterdir()))
    return _identity(resolved, tuple((name, stat.st_size, stat.st_mtime_ns) for name, stat in stats))


@lru_cache(maxsize=8)
def _identity(folder: Path, files: tuple[tuple[str, int, int], ...]) -> str:
    """Remembered as long as the files are the same: to read them takes a second."""
    return identity_of(folder)


def link_language(out: Path, folder: Path) -> None:
    """Make OUT/language_model a link to a folder, unless it leads to the same model.

    Raises:
        DataError: it leads to another model, or the folder holds none.
    """
    link, wanted = out / LANGUAGE_MODEL, language_identity(folder)
    if link.exists():
        if language_identity(link) != wanted:
            raise DataError(
                f"is another language model than {folder}: take another --out, or move the link away", path=link
            )
        return
    try:
        link.unlink(missing_ok=True)  # to a folder that is gone
        link.symlink_to(folder.resolve(), target_is_directory=True)
    except OSError as error:
        raise DataError(f"cannot be written: {error.strerror}", path=link) from None
