"""``python -m wantong`` is the ``wantong`` command."""

from wantong.cli import main

main()
