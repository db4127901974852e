"""``python -m consilience``: the command line without the installed script."""

from consilience.cli import main

if __name__ == "__main__":
    main(prog_name="consilience")
