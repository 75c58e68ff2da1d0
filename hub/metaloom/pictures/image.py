"""An image tensor as a picture inside a page: a data URI of a PNG."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING

from PIL import Image

if TYPE_CHECKING:
    import torch


def image_uri(image: torch.Tensor) -> str:
    """image: float [1, h, w] or [h, w] in [0, 1], ink high; drawn as dark ink on white."""
    pixels = image.detach().cpu().reshape(image.shape[-2], image.shape[-1])
    grey = (255 - pixels.clamp(0, 1) * 255).round().byte().numpy()
    buffer = io.BytesIO()
    Image.fromarray(grey, mode="L").save(buffer, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
