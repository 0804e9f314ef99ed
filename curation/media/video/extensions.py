"""What a recipe names that is not part of the package: looked for before hours of work, loaded by those who need it."""

from __future__ import annotations

from importlib.util import find_spec

from curation.errors import RecipeError


def check_extensions(features: str | None, text_finder: str | None) -> None:
    """Raises RecipeError where an image encoder or a text finder needs a package that is not installed here."""
    if features is not None and features.startswith("transformers:"):
        _check("clips.split.features", features, ("torch", "transformers"), "pip install 'curation[models]'")
    if text_finder == "rapidocr":
        _check("scores.text_finder", text_finder, ("rapidocr", "onnxruntime"), "pip install rapidocr onnxruntime")
    elif text_finder is not None:
        _check("scores.text_finder", text_finder, (text_finder.partition(":")[0],), "install its package")


def _check(field: str, name: str, modules: tuple[str, ...], how: str) -> None:
    for module in modules:
        try:
            found = find_spec(module) is not None
        except ImportError:  # of a package that it is part of
            found = False
        if not found:
            raise RecipeError(f"{field}: {name} needs {module}, which is not installed: {how}, here and on all workers")
