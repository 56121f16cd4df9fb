"""Where clips come from: the field's data sets as they are released, and worlds whose correspondence is known."""

from ..lazy import lazy

# Where each public name lives; modules load when first used, as in the package itself.
HOMES = {
    "DAVIS": "davis",
    "YouTubeVOS": "youtube_vos",
    "Snippets": "sampling",
    "World": "world",
    "Photos": "photos",
    "Collage": "collage",
}
MODULES = ("collage", "davis", "download", "photos", "samples", "sampling", "track", "world", "youtube_vos")

__getattr__, __dir__, __all__ = lazy(__name__, HOMES, MODULES)
