"""`python -m directlane.core.cli` is the command `directlane`."""

from . import main

if __name__ == "__main__":
    main()
