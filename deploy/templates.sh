#!/usr/bin/env bash
# Checks template.yml and s.yaml with the tools that deploy them. Nothing leaves the machine.
set -euo pipefail
cd "$(dirname "$0")/.."
home=$(mktemp -d) # both tools keep files in one
trap 'rm -rf "$home"' EXIT
export HOME=$home

.venv/bin/cfn-lint template.yml
SAM_CLI_TELEMETRY=0 AWS_DEFAULT_REGION=us-east-1 .venv/bin/sam validate --lint --template template.yml

# Serverless Devs takes the components' schemas from their registry; here it parses, extends and fills in what parameters.env holds.
set -a
. deploy/fc/parameters.env
set +a
deploy/fc/node_modules/.bin/s preview --template s.yaml --output-format json >"$home/s.json" || { cat "$home/s.json"; exit 1; }
got=$(grep -c '"component": "fc3"' "$home/s.json") want=$(find functions -mindepth 2 -maxdepth 2 -name main.go | wc -l)
if [ "$got" -ne "$want" ] || grep -q '\${' "$home/s.json"; then
	echo "s.yaml: $got functions where there are $want, or a variable without a value:"
	cat "$home/s.json"
	exit 1
fi
echo "s.yaml: $got functions"

# The ceilings are numbers. Without the triggers of single actions, those of api, webhook, manage-access-keys and reseal are left.
ACTION_URLS=false deploy/fc/node_modules/.bin/s preview --template s.yaml --output-format json >"$home/few.json"
.venv/bin/python - "$home/s.json" "$home/few.json" <<'END'
import json, os, sys

def triggers(path):
    with open(path) as f:
        text = f.read()
    resources = json.loads(text[text.index("{"):])["resources"]
    for name, r in resources.items():
        ceiling = r["props"].get("concurrencyConfig", {}).get("reservedConcurrency")
        if any(t["triggerType"] == "http" for t in r["props"]["triggers"]):
            if type(ceiling) is not int or ceiling < 1:
                sys.exit(f"s.yaml: {name} may be called by anybody and has the ceiling {ceiling!r}")
            yield name

every, few = sorted(triggers(sys.argv[1])), sorted(triggers(sys.argv[2]))
folders = [f for f in os.listdir("functions") if os.path.exists(f"functions/{f}/main.go")]
want = sorted(set(folders) - {"dispatch-command", "redrive-commands"})
if every != want or few != ["api", "manage-access-keys", "reseal", "webhook"]:
    sys.exit(f"s.yaml: HTTP triggers of {every}, and with ACTION_URLS=false of {few}")
END
