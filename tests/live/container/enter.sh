#!/bin/sh
# Becomes the container: `unshare` runs this as process 1 of new mount, process, host name and cgroup namespaces.
#   enter.sh [NAME=VALUE...] COMMAND...
# Told by the environment: LAYERS and LOWER (the image), ROOT (an empty folder), DISK (what lies at /parachute), HOSTS (a
# file for /etc/hosts), WORKDIR, CGROUPS (`name=folder` each, shown below /sys/fs/cgroup), CAPABILITIES.
set -eu

cd "$LAYERS"
mount -t overlay overlay -o "ro,lowerdir=$LOWER" "$ROOT"
cd "$ROOT"
mount --bind "$HOSTS" etc/hosts
mount --bind "$DISK" parachute
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -t tmpfs tmpfs sys/fs/cgroup
for group in $CGROUPS; do
    mkdir -p "sys/fs/cgroup/${group%%=*}"
    mount --bind -o ro "${group#*=}" "sys/fs/cgroup/${group%%=*}"
done
mount -t tmpfs -o mode=755,size=64k tmpfs dev
for device in null zero full random urandom tty; do
    : >"dev/$device"
    mount --bind "/dev/$device" "dev/$device"
done
mkdir dev/shm
mount -t tmpfs -o size=64m tmpfs dev/shm
ln -s /proc/self/fd dev/fd

# From here on nothing of the machine is in sight.
pivot_root . .
umount -l .
exec setpriv --bounding-set="-all,$CAPABILITIES" --inh-caps=-all -- env -i -C "$WORKDIR" "$@"
