#!/usr/bin/env bash
# Makes a fresh Debian or Raspberry Pi OS machine ready to build, test and demonstrate Tidegate.
# Safe to run again and again: it prints one line for each thing it does, and nothing when all is there.
# It starts no service and leaves a RabbitMQ that runs alone.
# With --bench also for `npm run bench`, which puts Mosquitto beside Tidegate.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly NODE_MINIMUM=20.19
readonly POLICY=/usr/sbin/policy-rc.d
# Another apt run (unattended-upgrades on a fresh Pi) may hold the lock for minutes.
readonly APT_LOCK_WAIT_S=300
policy_is_ours=false
for_bench=false
if [[ ${1:-} == --bench ]]; then for_bench=true; fi
readonly for_bench

say() { echo "setup: $*"; }
fail() { echo "setup: $*" >&2; exit 1; }

check_node() {
  local hint="Tidegate needs Node.js $NODE_MINIMUM or newer with npm"
  command -v node > /dev/null || fail "$hint, but there is no 'node'. Install it from nodejs.org or NodeSource."
  local version
  version=$(node -p process.versions.node)
  [[ $(printf '%s\n' "$NODE_MINIMUM" "$version" | sort -V | head -n 1) == "$NODE_MINIMUM" ]] ||
    fail "$hint, but this is $version ($(command -v node)). Install a newer one from nodejs.org or NodeSource."
  command -v npm > /dev/null || fail "$hint, but there is no 'npm'. Debian has it as the package 'npm'."
}

install_node_modules() {
  local installed=node_modules/.package-lock.json
  if [[ ! -e $installed || package-lock.json -nt $installed ]]; then
    say "installing the npm packages (npm ci)"
    npm ci --no-audit --no-fund --loglevel=error
  fi
}

missing_debian_packages() {
  [[ -x /usr/lib/rabbitmq/bin/rabbitmq-server ]] || echo rabbitmq-server
  command -v mosquitto_pub > /dev/null || echo mosquitto-clients
  command -v strace > /dev/null || echo strace
  command -v faketime > /dev/null || echo faketime
  if $for_bench && [[ ! -x /usr/sbin/mosquitto ]]; then echo mosquitto; fi
}

as_root() { if [[ $EUID -eq 0 ]]; then "$@"; else sudo "$@"; fi; }

remove_policy() { if $policy_is_ours; then as_root rm -f "$POLICY"; fi; }

# Debian packages start their services on installation unless this file says no (exit 101).
forbid_service_start() {
  if [[ -e $POLICY ]]; then return; fi
  policy_is_ours=true
  trap remove_policy EXIT
  printf '#!/bin/sh\nexit 101\n' | as_root tee "$POLICY" > /dev/null
  as_root chmod 755 "$POLICY"
}

install_debian_packages() {
  local missing
  missing=$(missing_debian_packages | paste -sd ' ')
  if [[ -z $missing ]]; then return; fi
  command -v apt-get > /dev/null ||
    fail "these Debian packages are missing: $missing. There is no apt-get here: install them by other means, RabbitMQ so that /usr/lib/rabbitmq/bin/rabbitmq-server exists."
  if [[ $EUID -ne 0 ]] && ! { command -v sudo > /dev/null && sudo -v; }; then
    fail "these Debian packages are missing: $missing. Run as root: apt-get update && apt-get install --no-install-recommends $missing"
  fi
  say "installing the Debian packages $missing (no service is started)"
  forbid_service_start
  local log
  log=$(mktemp)
  local apt=(env DEBIAN_FRONTEND=noninteractive apt-get -qq -o "DPkg::Lock::Timeout=$APT_LOCK_WAIT_S")
  # An update that fails for one source of several may still have brought what is needed.
  as_root "${apt[@]}" update > "$log" 2>&1 || say "apt-get update had errors, going on"
  # shellcheck disable=SC2086  # a list of names
  if ! as_root "${apt[@]}" install -y --no-install-recommends $missing >> "$log" 2>&1; then
    tail -n 30 "$log" >&2
    fail "apt-get could not install $missing; all it said is in $log"
  fi
  rm -f "$log"
  missing=$(missing_debian_packages | paste -sd ' ')
  [[ -z $missing ]] || fail "still missing after the installation: $missing"
}

# The stamp is made only by a build that succeeded, and carries the time at which that build began.
build() {
  local stamp=dist/.built
  if [[ -e $stamp && -e dist/main.js ]] &&
    [[ -z $(find src tsconfig*.json -newer "$stamp" ! -name '*.test.ts' ! -type d -print -quit) ]]; then
    return
  fi
  say "building dist (npm run build)"
  local begun
  begun=$(mktemp)
  npm run --silent build
  mv "$begun" "$stamp"
}

check_node
install_node_modules
install_debian_packages
build
