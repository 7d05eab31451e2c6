"""Says by its exit status whether a part is healthy: `health.py URL [PART]`."""

import json
import sys
from urllib.error import URLError
from urllib.request import urlopen


def main(url: str, part: str | None = None) -> int:
    """Gives 0 when the address answers and, with a part, when its answer calls the part healthy; else 1."""
    try:
        answer = urlopen(url, timeout=8).read()
    except (URLError, OSError) as error:
        print(f"{url}: {error}", file=sys.stderr)
        return 1
    if part is None:
        return 0
    status = json.loads(answer).get(part, {}).get("status")
    print(f"{part}: {status}")
    return 0 if status == "healthy" else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
