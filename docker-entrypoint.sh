#!/bin/sh
# Makes the mounted disk ours and runs the given command as uid 1000. Started as another user, it changes no owner.
# `docker-entrypoint.sh healthcheck` succeeds when the hub answers. With PARACHUTE_ROLE=host and PARACHUTE_MODULE=vault
# the same command runs one module for a hub on another machine, and answers probes at PARACHUTE_PROBE_PORT.
set -eu

home=${PARACHUTE_HOME:-/parachute}
owner=1000
if [ "${PARACHUTE_ROLE:-hub}" = host ]; then
    export PARACHUTE_PROBE_PORT="${PARACHUTE_PROBE_PORT:-1938}"
    asked=$PARACHUTE_PROBE_PORT
else
    asked=${PORT:-1939}
fi
export HOME="$home" TMPDIR="${TMPDIR:-$home/tmp}"

say() {
    echo "parachute: $*" >&2
}

if [ "${1:-}" = healthcheck ]; then
    exec python3 -I -c '
import http.client, sys
connection = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=4)
connection.request("GET", "/health")
sys.exit(connection.getresponse().status != 200)' "$asked"
fi

if [ "$(id -u)" = 0 ]; then
    # A new disk is root's, a restored one may be anybody's. Looking is cheap; only a stranger's file makes us write.
    # chown -R walks by file descriptor, so that a module of an older container cannot lead it elsewhere by a symlink.
    mkdir -p -- "$home"
    stranger=$(find "$home" -xdev -ignore_readdir_race \( ! -uid "$owner" -o ! -gid "$owner" \) -print -quit) || true
    if [ -n "$stranger" ]; then
        say "giving $home to uid $owner"
        chown -R -h -P -- "$owner:$owner" "$home" || say "some files in $home keep their owner; the hub may not read them"
    fi
    exec setpriv --reuid="$owner" --regid="$owner" --clear-groups --no-new-privs -- "$0" "$@"
fi

mkdir -p -- "$TMPDIR" "$home/modules/bin" || say "cannot create folders in $home: is the disk full, or another user's?"
exec "$@"
