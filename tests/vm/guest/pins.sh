#!/bin/sh
# Gives this computer the pins of a Raspberry Pi, before anything else starts.
set -e
modprobe pi
modprobe gpio-sim "persist=$(sed -n 's/.*vm\.persist=\([YN]\).*/\1/p' /proc/cmdline)"
mountpoint -q /sys/kernel/config || mount -t configfs configfs /sys/kernel/config
mkdir -p /sys/kernel/config/gpio-sim/pi/header
cd /sys/kernel/config/gpio-sim/pi
echo 28 >header/num_lines
echo pinctrl-sim >header/label
echo 1 >live
