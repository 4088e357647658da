"""From a Matplotlib figure to a small SVG data URI; the same figure gives the same bytes."""

from __future__ import annotations

import base64
import io
import re
from urllib.parse import quote

from matplotlib.figure import Figure
from PIL import Image

RASTER_DPI, PALETTE_SIZE, PALETTE_FROM_BYTES = 120, 63, 12_000


def data_uri(figure: Figure) -> str:
    """Save as SVG without metadata and pack it as a data URI that needs no escaping between double quotes."""
    buffer = io.StringIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    figure.savefig(buffer, format="svg", dpi=RASTER_DPI, transparent=True, metadata=nothing)
    return "data:image/svg+xml," + quote(_compact(buffer.getvalue()), safe=" /=,;()+-.'!*$?@<>")


def _compact(svg: str) -> str:
    """Drop the prologue and white space, round coordinates to 1/100 pt, shrink pictures and ids of glyphs."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<!--.*?-->|<style.*?</style>", "", svg, flags=re.S)
    parts = re.split(r"(data:image/png;base64,[A-Za-z0-9+/=\s]+)", svg)
    parts[1::2] = [_palette_png(part) for part in parts[1::2]]
    parts[::2] = [_NUMBER.sub(_rounded, re.sub(r">\s+<", "><", part)) for part in parts[::2]]
    return re.sub(r"\s+", " ", "".join(parts)).replace('"', "'").replace("DejaVuSans-", "D-")


_NUMBER = re.compile(r"(?<![\w#.])-?\d+\.\d{3,}(?!\w)")


def _rounded(number: re.Match[str]) -> str:
    """Round to two decimals, but keep four digits of scale factors below 1."""
    value = float(number[0])
    return f"{value:.4g}" if abs(value) < 1 else f"{value:.2f}".rstrip("0").rstrip(".")


def _palette_png(uri: str) -> str:
    """Re-encode a large picture with a palette, one entry of it transparent; small ones keep every colour."""
    head, _, payload = uri.partition(",")
    content = base64.b64decode(payload)
    if len(content) < PALETTE_FROM_BYTES:
        return f"{head},{base64.b64encode(content).decode()}"
    image = Image.open(io.BytesIO(content)).convert("RGBA")
    small = image.convert("RGB").quantize(PALETTE_SIZE, method=Image.Quantize.MEDIANCUT)
    small.putpalette([*(small.getpalette() or [])[: 3 * PALETTE_SIZE], 255, 255, 255])
    small.paste(PALETTE_SIZE, mask=image.getchannel("A").point([255] * 128 + [0] * 128))
    buffer = io.BytesIO()
    small.save(buffer, format="PNG", compress_level=9, transparency=PALETTE_SIZE)
    return f"{head},{base64.b64encode(buffer.getvalue()).decode()}"
