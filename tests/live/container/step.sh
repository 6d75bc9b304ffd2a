#!/bin/sh
# One step of the build, in a mount and process namespace of its own: whatever happens, no mount outlives it.
#   step.sh run COMMAND           runs COMMAND by a shell inside the root
#   step.sh copy FROM TO          copies a path of $SOURCE to a path of the root
# Told by the environment, with folders relative to the current one: ROOT (mount point), LOWER (layers so far, topmost
# first), UPPER (the new layer), WORK (scratch), SOURCE (mount point or folder), SOURCE_LOWER (layers to mount there),
# WORKDIR (in the root), AUTHORITIES (certificates that this machine trusts).
set -eu

mount -t overlay overlay -o "lowerdir=$LOWER,upperdir=$UPPER,workdir=$WORK" "$ROOT"
if [ -n "${SOURCE_LOWER:-}" ]; then
    mount -t overlay overlay -o "lowerdir=$SOURCE_LOWER" "$SOURCE"
fi
mkdir -p "$ROOT$WORKDIR"

case $1 in
run)
    mount -t proc proc "$ROOT/proc"
    mount --rbind /dev "$ROOT/dev"
    mount -t tmpfs tmpfs "$ROOT/run"
    cp "$AUTHORITIES" "$ROOT/run/authorities.crt"
    mount --bind /etc/resolv.conf "$ROOT/etc/resolv.conf"
    exec chroot "$ROOT" /bin/sh -c "cd '$WORKDIR' && $2"
    ;;
copy)
    case $3 in
    */) mkdir -p "$ROOT$3" ;;
    *) mkdir -p "$(dirname "$ROOT$3")" ;;
    esac
    from=$SOURCE$2
    if [ -d "$from" ]; then
        mkdir -p "$ROOT$3"
        from=$from/.
    fi
    exec cp -a "$from" "$ROOT$3"
    ;;
esac
