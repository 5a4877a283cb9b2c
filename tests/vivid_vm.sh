#!/usr/bin/env bash
# Runs the camera contract on a real /dev/video0, the kernel's test driver vivid, in a virtual machine: Debian's kernel,
# emulated, on this machine's own files, which it cannot change. For machines that have no V4L2 camera; minutes.
# As root on Debian: tests/vivid_vm.sh [COMMAND]; by default the tests, with .venv's Python.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
command=${*:-.venv/bin/python -m pytest -v -p no:cacheprovider tests/test_camera_contract.py -k v4l2}
apt-get install -y -qq --no-install-recommends busybox-static cpio kmod qemu-system-x86 v4l-utils > /dev/null
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

kernel=$(apt-cache depends linux-image-amd64 | awk '/Depends/ {print $2; exit}')
chmod 777 . && apt-get download -qq "$kernel" && dpkg -x "$kernel"_*.deb kernel
version=$(ls kernel/lib/modules)
depmod -b kernel "$version"
mkdir -p initrd/{bin,modules,proc,sys,dev,host,new,sysroot}
cp "$(command -v busybox)" initrd/bin/
number=100
for name in 9p 9pnet_virtio virtio_pci overlay vivid; do modprobe -d kernel -S "$version" --show-depends "$name"; done |
    awk '/insmod/ && !seen[$2]++ {print $2}' | while read -r module; do
        cp "$module" "initrd/modules/$((number += 1))-$(basename "$module")"
    done

cat > initrd/init << END
#!/bin/busybox sh
/bin/busybox mount -t proc proc /proc
export PATH=/bin
/bin/busybox --install -s /bin
mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
for module in /modules/*; do
    case \$module in *vivid.ko) options="n_devs=1 node_types=0x1 num_inputs=1 input_types=0x0";; *) options=;; esac
    insmod \$module \$options
done
mount -t 9p -o trans=virtio,version=9p2000.L,msize=262144,cache=loose,ro host /host
mount -t tmpfs new /new; mkdir /new/upper /new/work
mount -t overlay -o lowerdir=/host,upperdir=/new/upper,workdir=/new/work overlay /sysroot
for place in proc sys dev; do mount --bind /\$place /sysroot/\$place; done
mkdir -p /dev/shm; mount -t tmpfs shm /dev/shm
ifconfig lo 127.0.0.1 up
cd /sysroot
chroot /sysroot /bin/bash -c 'export HOME=/root PATH=/usr/bin:/bin:/usr/sbin:/sbin PYTHONUNBUFFERED=1
    cd $root && $command; echo "exit status \$?"' < /dev/null > /dev/ttyS0 2>&1
poweroff -f
END
chmod +x initrd/init
(cd initrd && find . | cpio -o -H newc 2> /dev/null | gzip -1) > initrd.gz

timeout 1800 qemu-system-x86_64 -accel tcg,thread=multi -cpu max -smp 2 -m 3072 -nographic -no-reboot \
    -kernel kernel/boot/vmlinuz-* -initrd initrd.gz -append "console=ttyS0 quiet panic=-1" \
    -virtfs local,path=/,mount_tag=host,security_model=none,readonly=on,multidevs=remap | tee console.log
tail -n 3 console.log | grep -q "exit status 0"
