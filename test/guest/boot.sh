# Boots the guest in which it runs once more, by systemd, with exported files in their places, and ends well as soon as
# all ADDRESSes answer. It prints what the programs said.
#   boot.sh PACKAGES FILES PEER UNIT ADDRESS...
# PACKAGES has the program that reads the files, as unpacked. FILES is laid over the root. PEER is a script that brings up
# the host at the other end of eth2. UNIT is what an operator enables; "-" if the program's package does all of it.
set -eu
grep -q rootfstype=hostfs /proc/cmdline || { echo "not in a guest"; exit 2; }
packages=$1 files=$2 peer=$3 unit=$4
shift 4

# Of the machine's own units only targets stay, and what a unit asks for.
rm -rf /etc/systemd/system/*.wants /lib/systemd/system/*.target.wants /lib/systemd/system-generators/*
[ ! -d "$packages/usr" ] || mount -t overlay none -o "lowerdir=$packages/usr:/usr" /usr
[ ! -d "$packages/etc" ] || cp -a "$packages/etc/." /etc
cp -a "$files/." /
ip netns add peer
ip link add eth2 type veth peer name eth2 netns peer
ip -n peer link set eth2 up
ip netns exec peer bash "$peer"

[ "$unit" = - ] || SYSTEMD_OFFLINE=1 systemctl enable "$unit"
mkdir -p /etc/systemd/system/service.d
printf '[Service]\nStandardOutput=append:/run/boot.log\nStandardError=append:/run/boot.log\n%s\n' \
  Environment=SYSTEMD_LOG_TARGET=console >/etc/systemd/system/service.d/log.conf
mount -t cgroup2 cgroups /sys/fs/cgroup
# networkd does not wait for udev, which the guest has not, if it cannot write there.
mount -o remount,ro /sys

container=guest unshare --pid --fork --mount-proc --kill-child /lib/systemd/systemd --unit=multi-user.target \
  --show-status=true --log-target=console --log-level=info --default-standard-output=null &
answers() {
  for address; do ping -c 1 -W 1 "$address" >/dev/null 2>&1 || return 1; done
}
until answers "$@"; do
  [ "$(cut -d. -f1 /proc/uptime)" -lt 60 ] || { cat /run/boot.log; ip -d link; exit 1; }
done
cat /run/boot.log
