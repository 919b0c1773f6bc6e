"""What the programs of this folder have in common. Each connects to the gateway of a chat platform
through the platform's official client, and answers messages: "one" with "echo one". A message that
begins with "fail" is handled only when it comes again. The gateway's URL is in GATEWAY_URL, and the
settings of the app, as JSON, in GATEWAY_SETTINGS. The program ends with its input."""

import json
import os
import sys
import threading

url = os.environ["GATEWAY_URL"]
settings = json.loads(os.environ["GATEWAY_SETTINGS"])
_failed = set()


def echo(text):
    return "echo " + text


def fails(text):
    """Reports whether a message is not to be handled this time."""
    if not text.startswith("fail") or text in _failed:
        return False
    _failed.add(text)
    return True


def _end():
    sys.stdin.read()
    os._exit(0)


threading.Thread(target=_end, daemon=True).start()
