"""Make the fonts of the dossier: Noto Sans CJK cut down to the characters the dossier can print.

    python tools/dossier_fonts.py NotoSansCJK-Regular.ttc NotoSansCJK-Bold.ttc

Debian's ``fonts-noto-cjk`` holds the two collections (SIL OFL 1.1). Kept: every character of the texts of the rule
base and the dossier, Latin, punctuation, and in the regular weight level 1 of GB 2312. The dossier prints nothing else:
a test fails when a text holds a character that the fonts lack; then run this again. One font serves both scripts: its
``locl`` feature picks the letterforms of Hong Kong.
Needs ``fonttools`` and ``brotli``.
"""

from __future__ import annotations

import sys
from pathlib import Path

from fontTools import subset
from fontTools.ttLib import TTCollection, TTFont

PACKAGE = Path(__file__).resolve().parent.parent / "src/wantong/border/gate/rules"
NAME = "Wantong Sans"


def repertoire(weight: str) -> set[int]:
    characters = {
        *map(chr, range(0x20, 0x7F)),
        *map(chr, range(0xA0, 0x180)),
        *"–—‘’“”…→·☐☑〔〕（）《》，。：；！？、　「」％",
    }
    for file in [
        *PACKAGE.glob("data/texts/*.yaml"),
        *(PACKAGE / "data/messages" / f"{name}.yaml" for name in ("dossier", "texts")),
    ]:
        characters.update(file.read_text("utf-8"))
    if weight == "Regular":
        characters.update(
            bytes((a, b)).decode("gb2312", "ignore") for a in range(0xB0, 0xD8) for b in range(0xA1, 0xFF)
        )
    return {ord(c) for c in characters if c >= " "}


def cut(collection: Path, weight: str) -> None:
    fonts: list[TTFont] = TTCollection(str(collection)).fonts
    font = next(f for f in fonts if f["name"].getDebugName(1) == "Noto Sans CJK SC")
    options = subset.Options(
        layout_features=["locl", "kern", "palt", "halt", "chws"], hinting=False, desubroutinize=True
    )
    options.name_IDs = [0, 1, 2, 3, 4, 5, 6, 13, 14, 16, 17]
    cutter = subset.Subsetter(options)
    cutter.populate(unicodes=repertoire(weight))
    cutter.subset(font)
    names = font["name"]
    for record in list(names.names):
        if record.nameID in (1, 16):
            names.setName(NAME, record.nameID, record.platformID, record.platEncID, record.langID)
        elif record.nameID == 4:
            names.setName(f"{NAME} {weight}", 4, record.platformID, record.platEncID, record.langID)
        elif record.nameID in (3, 6):
            text = f"{NAME.replace(' ', '')}-{weight}"
            names.setName(text, record.nameID, record.platformID, record.platEncID, record.langID)
    top = font["CFF "].cff
    top.fontNames[0] = f"{NAME.replace(' ', '')}-{weight}"
    font["head"].modified = font["head"].created  # the same input gives the same file
    target = PACKAGE.parents[2] / "ground/data/fonts" / f"{NAME.replace(' ', '')}-{weight}.otf"
    target.parent.mkdir(exist_ok=True)
    font.recalcTimestamp = False
    font.save(target)
    sys.stdout.write(f"{target.name}: {len(font.getGlyphOrder())} glyphs, {target.stat().st_size:,} bytes\n")


if __name__ == "__main__":
    for path in map(Path, sys.argv[1:]):
        cut(path, "Bold" if "Bold" in path.name else "Regular")
