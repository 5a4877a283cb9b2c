#!/bin/bash
# image.sh SUITE ARCH FOLDER - a Debian disk image that stands in for 64-bit Raspberry Pi OS: bookworm or trixie;
# arm64 for qemu, or this machine's own ARCH for containers, which need no kernel.
#
# Leaves in FOLDER: base.ext4 (sparse), vmlinuz and initrd.img (arm64), id_ed25519, host_keys, packages.txt, and key: the hash of
# this script and its settings. When it matches, the image is kept and the script ends at once.
#
# mmdebstrap unpacks the packages; their configure scripts run under qemu-user. The kernel is NOT configured in there
# (its initramfs hook alone takes minutes under emulation): it is unpacked and depmod'ed outside, and the initrd is a
# dozen modules and busybox. mke2fs -d then fills the ext4: no loop mount.
set -euo pipefail
suite=$1 arch=$2 out=$3
mirror=$(bash "$(dirname "$0")/mirror.sh")
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
size=3G
packages=systemd,systemd-sysv,dbus,udev,kmod,iproute2,openssh-server,sudo,rsync,python3,v4l-utils,procps,busybox-static,usr-is-merged
die() { echo "error: $*" >&2; exit 1; }
say() { printf '%s %s\n' "$(date +%T)" "$*" >&2; }

key=$( (cat "$0"; echo "$suite $arch") | sha256sum | cut -c1-16)
[ "$(cat "$out/key" 2>/dev/null)" != "$key" ] || exit 0
[ "$(id -u)" = 0 ] || die "making the image needs root (chroot and file owners): sudo --preserve-env=BOARD_CACHE make board"
[ -e "$keyring" ] || die "$keyring: missing; sudo apt install debian-archive-keyring"
mkdir -p "$out"
work=$(mktemp -d "$out/build.XXXXXX"); root=$work/root
trap 'rm -rf "$work"' EXIT
start=$SECONDS

if [ "$arch" = arm64 ] && [ "$(dpkg --print-architecture)" != arm64 ]; then
    # `update-binfmts --enable` without a name would register three dozen formats.
    [ -e /proc/sys/fs/binfmt_misc/register ] || mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc
    [ -e /proc/sys/fs/binfmt_misc/qemu-aarch64 ] || update-binfmts --enable qemu-aarch64
    arch-test arm64 > /dev/null || die "arm64 programs do not run here; is qemu-user-static installed?"
fi

# Keys are made here, so that the host key is known before the first boot.
mkdir -p "$work/keys"
for kind in ed25519 ecdsa rsa; do ssh-keygen -q -t $kind -N '' -C root@board -f "$work/keys/ssh_host_${kind}_key"; done
ssh-keygen -q -t ed25519 -N '' -C board-test -f "$work/keys/id_ed25519"
cat "$work/keys"/ssh_host_*_key.pub > "$work/keys/host_keys"

say "unpacking and configuring $suite $arch"
# No certificates: configuring them takes a minute of emulated forks, and the board has no network.
mmdebstrap --quiet --mode=root --arch="$arch" --variant=minbase --keyring="$keyring" \
    --hook-dir=/usr/share/mmdebstrap/hooks/maybe-merged-usr --include=$packages \
    --dpkgopt='path-exclude=/usr/share/ca-certificates/*' --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt=force-unsafe-io \
    --essential-hook='mkdir -p "$1/etc/ssh"' \
    --essential-hook="install -m600 '$work'/keys/ssh_host_*_key '$work'/keys/ssh_host_*_key.pub \"\$1/etc/ssh/\"" \
    "$suite" "$root" "$mirror" > "$out/mmdebstrap.log" 2>&1 \
    || { tail -n 30 "$out/mmdebstrap.log" >&2; die "mmdebstrap failed: $out/mmdebstrap.log"; }
rm -f "$root/etc/dpkg/dpkg.cfg.d/99mmdebstrap"      # the exclusions were for the build only

kernel() {
# The kernel, by this machine's own apt and dpkg-deb. Not -cloud-: that one has no media drivers (no vivid).
mkdir -p "$work/apt/lists/partial" "$work/apt/cache/archives/partial" "$work/kernel"
echo "deb [arch=$arch signed-by=$keyring] $mirror $suite main" > "$work/apt/sources.list"
apt=(-o Dir::State::lists="$work/apt/lists" -o Dir::Cache="$work/apt/cache" -o Dir::State::status=/dev/null
     -o Dir::Etc::sourcelist="$work/apt/sources.list" -o Dir::Etc::sourceparts=/dev/null
     -o APT::Architecture="$arch" -o APT::Architectures="$arch" -o APT::Sandbox::User=root)
apt-get "${apt[@]}" -qq update
package=$(apt-cache "${apt[@]}" depends "linux-image-$arch" | awk '/Depends: linux-image-/{print $2; exit}')
(cd "$work/kernel" && apt-get "${apt[@]}" -qq download "$package" && dpkg-deb -x ./*.deb x)
for modules in "$work"/kernel/x/usr/lib/modules/* "$work"/kernel/x/lib/modules/*; do   # usr/ from Debian 13 on
    [ ! -d "$modules" ] || break
done
version=$(basename "$modules")
mkdir -p "$root/lib/modules"
cp -a "$modules" "$root/lib/modules/"
# Drivers that a virtual board can never meet are two thirds of the size.
(cd "$root/lib/modules/$version/kernel" && rm -rf sound drivers/gpu drivers/net/ethernet drivers/net/wireless \
    drivers/infiniband drivers/scsi drivers/iio drivers/staging drivers/ata drivers/hwmon drivers/target drivers/isdn)
depmod -b "$root" "$version"
cp "$work/kernel/x/boot/vmlinuz-$version" "$work/vmlinuz"

# The initrd: busybox, the modules for the disk and ext4, one script.
initrd=$work/initrd; mkdir -p "$initrd"/{bin,dev,proc,sys,sysroot,m}
cp "$root/bin/busybox" "$initrd/bin/"
for module in virtio_pci virtio_blk ext4 virtio_rng; do
    modprobe -d "$root" -S "$version" --show-depends "$module"
done | awk '$1 == "insmod" && !seen[$2]++ {print $2}' > "$work/modules"
while read -r module; do                       # .ko.xz in Debian 13, which busybox's insmod does not read
    case $module in
    *.xz) name=$(basename "${module%.xz}"); xz -dc "$module" > "$initrd/m/$name";;
    *) name=$(basename "$module"); cp "$module" "$initrd/m/";;
    esac
    echo "/m/$name"
done < "$work/modules" > "$initrd/m/order"
cat > "$initrd/init" <<'INIT'
#!/bin/busybox sh
b=/bin/busybox
$b mount -t proc proc /proc; $b mount -t sysfs sysfs /sys; $b mount -t devtmpfs dev /dev
for m in $($b cat /m/order); do $b insmod $m || echo "initrd: $m did not load"; done
n=0; until [ -b /dev/vda ]; do $b usleep 50000; n=$((n+1)); [ $n -gt 200 ] && { echo "initrd: no /dev/vda"; exec $b sh; }; done
$b mount -t ext4 -o ro /dev/vda /sysroot || exec $b sh
$b umount /proc /sys; $b mount --move /dev /sysroot/dev
exec $b switch_root /sysroot /sbin/init
INIT
chmod 755 "$initrd/init"
(cd "$initrd" && find . -print0 | LC_ALL=C sort -z | cpio --quiet -0 -o -H newc) > "$work/initrd.img"
}
[ "$arch" != arm64 ] || kernel

# Settings as on Raspberry Pi OS: pi is 1000, may sudo, is in video (cameras) and may read the journal.
chroot "$root" useradd -m -u 1000 -s /bin/bash -G sudo,video,adm,systemd-journal pi
install -m440 /dev/stdin "$root/etc/sudoers.d/010_pi-nopasswd" <<< 'pi ALL=(ALL) NOPASSWD: ALL'
install -d -m700 -o 1000 -g 1000 "$root/home/pi/.ssh"
install -m600 -o 1000 -g 1000 "$work/keys/id_ed25519.pub" "$root/home/pi/.ssh/authorized_keys"
echo raspberrypi > "$root/etc/hostname"
printf '127.0.0.1 localhost\n127.0.1.1 raspberrypi\n' > "$root/etc/hosts"
echo '/dev/vda / ext4 defaults,noatime,errors=remount-ro 0 1' > "$root/etc/fstab"
tr -d - < /proc/sys/kernel/random/uuid > "$root/etc/machine-id"    # else every boot counts as the first
printf '[Match]\nName=en* eth*\n[Network]\nDHCP=ipv4\nLinkLocalAddressing=no\nIPv6AcceptRA=no\n' \
    > "$root/etc/systemd/network/10-eth.network"
printf 'UseDNS no\nPasswordAuthentication no\n' > "$root/etc/ssh/sshd_config.d/board.conf"
if [ "$suite" = bookworm ]; then   # the journal is in memory there, and a reboot loses it
    mkdir -p "$root/usr/lib/systemd/journald.conf.d"
    printf '[Journal]\nStorage=volatile\n' > "$root/usr/lib/systemd/journald.conf.d/40-rpi-volatile-storage.conf"
fi
ln -sf /lib/systemd/system/systemd-networkd.service "$root/etc/systemd/system/multi-user.target.wants/"
for unit in apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer fstrim.timer \
            e2scrub_reap.service systemd-pstore.service systemd-timesyncd.service getty@tty1.service; do
    ln -sf /dev/null "$root/etc/systemd/system/$unit"
done
chroot "$root" dpkg-query -W > "$work/packages.txt"

truncate -s $size "$work/base.ext4"
mke2fs -q -t ext4 -L rootfs -d "$root" "$work/base.ext4"
chmod 444 "$work/base.ext4"
mv "$work"/{base.ext4,packages.txt} "$work"/keys/{id_ed25519,host_keys} "$out/"
[ "$arch" != arm64 ] || mv "$work"/{vmlinuz,initrd.img} "$out/"
echo "$key" > "$out/key"
say "$suite $arch: image made in $((SECONDS - start)) s, $(du -h "$out/base.ext4" | cut -f1) of $size used"
