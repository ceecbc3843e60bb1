"""``wantong mask``: a copy of a file with personal data masked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from wantong.cli.errors import language
from wantong.ground.i18n import LANGUAGES, t
from wantong.ground.plain import json_text, shown
from wantong.ground.problems import Problem


@click.command("mask")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option(
    "--profile",
    "profile_file",
    required=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="YAML: what is done to which column or kind of data (“*”: any kind found).",
)
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="The new file, of the same format.",
)
@click.option(
    "--key-file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Key of tokens: 16 to 64 bytes, best 32 random ones.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@click.option(
    "--lang",
    type=click.Choice(LANGUAGES),
    default=language,
    show_default="your locale's",
    help="Language of the texts.",
)
def command(
    file: Path, profile_file: Path, out: Path, key_file: Path | None, as_json: bool, lang: str
) -> None:
    """Write FILE anew with values masked as the profile says, and report what was done.

    The copy is scanned again before it gets its name. Exit status 1, and no file, if it cannot be masked as asked.
    """
    from wantong.border.gate.classification.masking import mask

    try:
        report = mask(file, out, _profiles(profile_file), key=key_file.read_bytes() if key_file else None)
    except Problem as problem:
        words = problem.explain(lang)
        raise click.ClickException(shown(f"{words['title']}. {words['detail']} {words['next']}")) from None
    told = report.to_dict(lang)
    if as_json:
        click.echo(json_text(told))
        return
    for column in told["columns"]:
        place = shown(column["column"] or "—")
        kinds = ", ".join(f"{kind} {count}" for kind, count in column["kinds"].items())
        click.echo(
            f"{place}: {', '.join(column['profiles'])}, {column['cells_changed']}"
            + (f" ({kinds})" if kinds else "")
        )
    for remark in told["remarks"]:
        click.echo(shown(f"! {remark}"))
    cells = sum(column["cells_changed"] for column in told["columns"])
    click.echo(
        t(
            "mask.cli.written",
            lang,
            target=shown(str(out)),
            rows=told["rows_out"],
            columns=len(told["columns"]),
            cells=cells,
        )
    )
    if {"tokenise", "partial"} & {name for column in told["columns"] for name in column["profiles"]}:
        click.echo(t("mask.cli.pseudonyms", lang))


def _profiles(path: Path) -> dict[str, str]:
    import yaml

    from wantong.ground import yamlfile

    try:
        found: Any = yamlfile.load(path)
    except yaml.YAMLError as error:
        raise click.ClickException(f"{path}: {error}") from None
    if not isinstance(found, dict) or not found:
        raise click.ClickException(f"{path}: not a mapping of columns or kinds to masks")
    return {str(name): str(profile) for name, profile in found.items()}
