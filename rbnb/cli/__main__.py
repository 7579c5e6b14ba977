"""The command line as a module: `python -m rbnb.cli`."""

from rbnb.cli import main

if __name__ == "__main__":
    main()
