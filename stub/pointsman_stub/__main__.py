"""`python -m pointsman_stub` is `pointsman-stub-provider`."""

from pointsman_stub.main import main

if __name__ == "__main__":
    main()
