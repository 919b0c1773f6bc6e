#!/usr/bin/env bash
# Installs dynalite, which the benchmarks are measured against, into DIR and prints the path of its program: what CHATCONF_DYNALITE is for.
# Needs node and npm. The lock file names no registry: it is the one that npm is set to.
set -euo pipefail
if [ $# -ne 1 ]; then
  echo "usage: $0 DIR" >&2
  exit 2
fi
mkdir -p "$1"
cp "$(dirname "$0")/package.json" "$(dirname "$0")/package-lock.json" "$1"
cd "$1"
npm ci --no-audit --no-fund >&2
echo "$PWD/node_modules/.bin/dynalite"
