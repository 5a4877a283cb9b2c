"""The board's state, from trees of files as three boards have them, and from a vcgencmd on the PATH."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from device.health import Health, HealthMonitor, HealthReader, throttling, throttling_between

# As `cat` shows them on each board; paths under /sys and /proc.
PI_4 = {
    "sys/class/thermal/thermal_zone0/type": "cpu-thermal",
    "sys/class/thermal/thermal_zone0/temp": "61834",
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq": "600000",
    "sys/devices/system/cpu/cpu1/cpufreq/scaling_cur_freq": "1500000",
    "sys/devices/platform/soc/soc:firmware/get_throttled": "50005",
    "proc/loadavg": "1.37 1.10 0.90 2/180 4242",
    "proc/self/statm": "60000 20000 9000 1 0 30000 0",
}
PI_5 = {
    "sys/class/thermal/thermal_zone0/type": "cpu-thermal",
    "sys/class/thermal/thermal_zone0/temp": "48500",
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq": "2400000",
    "proc/loadavg": "0.10 0.10 0.10 1/180 4242",
}
NANO = {
    "sys/class/thermal/thermal_zone0/type": "AO-therm",
    "sys/class/thermal/thermal_zone0/temp": "39000",
    "sys/class/thermal/thermal_zone1/type": "CPU-therm",
    "sys/class/thermal/thermal_zone1/temp": "33500",
    "sys/class/thermal/thermal_zone4/type": "PMIC-Die",
    "sys/class/thermal/thermal_zone4/temp": "100000",
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq": "1479000",
    "sys/bus/i2c/drivers/ina3221x/6-0040/iio:device0/rail_name_0": "POM_5V_IN",
    "sys/bus/i2c/drivers/ina3221x/6-0040/iio:device0/in_power0_input": "2893",
    "sys/bus/i2c/drivers/ina3221x/6-0040/iio:device0/rail_name_1": "POM_5V_GPU",
    "sys/bus/i2c/drivers/ina3221x/6-0040/iio:device0/in_power1_input": "40",
    "sys/bus/i2c/drivers/ina3221x/6-0040/iio:device0/rail_name_2": "POM_5V_CPU",
    "sys/bus/i2c/drivers/ina3221x/6-0040/iio:device0/in_power2_input": "681",
}
ORIN = {
    "sys/bus/i2c/drivers/ina3221/1-0040/hwmon/hwmon1/in1_label": "VDD_IN",
    "sys/bus/i2c/drivers/ina3221/1-0040/hwmon/hwmon1/in1_input": "5008",
    "sys/bus/i2c/drivers/ina3221/1-0040/hwmon/hwmon1/curr1_input": "800",
    "sys/bus/i2c/drivers/ina3221/1-0040/hwmon/hwmon1/in2_label": "VDD_CPU_GPU_CV",
    "sys/bus/i2c/drivers/ina3221/1-0040/hwmon/hwmon1/in2_input": "5008",
    "sys/bus/i2c/drivers/ina3221/1-0040/hwmon/hwmon1/curr2_input": "88",
}
PI_5_VCGENCMD = """
case "$1" in
get_throttled) echo "throttled=0x80008" ;;
pmic_read_adc) cat <<'END'
 3V7_WL_SW_A current(0)=0.10000000A
   VDD_CORE_A current(7)=2.00000000A
 3V7_WL_SW_V volt(8)=3.70000000V
   VDD_CORE_V volt(15)=0.75000000V
     EXT5V_V volt(24)=5.12000000V
END
;;
esac
"""


def tree(root: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content + "\n")
    return root


def read(root: Path, files: dict[str, str]) -> Health:
    return HealthReader(tree(root, files), root, clock=lambda: 42).read()


@pytest.fixture(autouse=True)
def no_vcgencmd(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A PATH with nothing on it but what a test puts there."""
    programs = tmp_path / "programs"
    programs.mkdir()
    monkeypatch.setenv("PATH", str(programs))
    return programs


def vcgencmd(programs: Path, script: str) -> None:
    program = programs / "vcgencmd"
    program.write_text(f"#!/bin/sh\nPATH=/usr/bin:/bin\n{script}")
    program.chmod(0o755)


def test_a_raspberry_pi_4(tmp_path: Path):
    health = read(tmp_path, PI_4)
    assert (health.at_ns, health.temperature_c, health.clock_hz) == (42, 61.834, 1_500_000_000)
    assert (health.throttled_bits, health.load_1m, health.watts) == (0x50005, 1.37, None)
    assert health.rss_bytes == 20000 * os.sysconf("SC_PAGE_SIZE")
    assert 0 < health.free_disk_bytes <= os.statvfs(tmp_path).f_blocks * os.statvfs(tmp_path).f_frsize
    assert throttling(health) == ["under-voltage", "throttled"]


def test_a_raspberry_pi_5_tells_through_vcgencmd(tmp_path: Path, no_vcgencmd: Path):
    vcgencmd(no_vcgencmd, PI_5_VCGENCMD)
    health = read(tmp_path, PI_5)
    assert (health.temperature_c, health.clock_hz, health.throttled_bits) == (48.5, 2_400_000_000, 0x80008)
    assert health.watts == pytest.approx(3.7 * 0.1 + 0.75 * 2)  # EXT5V has a voltage only
    assert throttling(health) == ["soft temperature limit"]


def test_a_jetson_nano_tells_the_rail_that_feeds_all_others(tmp_path: Path):
    health = read(tmp_path, NANO)
    assert (health.temperature_c, health.watts, health.throttled_bits) == (33.5, 2.893, None)
    assert throttling(health) == []


def test_a_later_jetson(tmp_path: Path):
    assert read(tmp_path, ORIN).watts == pytest.approx(5.008 * 0.8)


def test_what_a_machine_does_not_tell_is_none_and_never_0(tmp_path: Path):
    assert read(tmp_path / "empty", {}) == Health(at_ns=42)


@pytest.mark.parametrize(
    "script",
    ["exit 1", "echo VCHI initialization failed; exit 255", "echo nonsense", "printf '\\377\\376'", "exec sleep 30"],
)
def test_a_vcgencmd_that_fails_or_hangs_is_unknown(
    script: str, tmp_path: Path, no_vcgencmd: Path, monkeypatch: pytest.MonkeyPatch
):
    """Such as for a user who is not in the group `video`."""
    monkeypatch.setattr("device.health._VCGENCMD_TIMEOUT_S", 0.3)
    vcgencmd(no_vcgencmd, script + "\n")
    health = read(tmp_path, PI_5)
    assert (health.throttled_bits, health.watts, health.temperature_c) == (None, None, 48.5)


def test_files_full_of_nonsense_are_unknown(tmp_path: Path):
    files = dict.fromkeys({**PI_4, **NANO, **ORIN}, "\x00\x7fn/a")
    health = read(tmp_path, files)
    assert (health.temperature_c, health.clock_hz, health.throttled_bits, health.load_1m) == (None, None, None, None)
    assert (health.rss_bytes, health.watts) == (None, None)


def test_this_machine_can_be_read():
    """Whatever it is: its own memory and load at least."""
    health = HealthReader().read()
    assert health.rss_bytes > 1e6
    assert health.load_1m is not None


@pytest.mark.parametrize(
    ("bits", "names"),
    [
        ([], []),
        ([None, None], []),
        ([0, 0], []),
        ([0, 4, 0], ["throttled"]),
        ([0x50000, 0x50000], []),  # long before
        ([0, 0x50000], ["under-voltage", "throttled"]),  # between two readings
        ([0x40000, None, 0x50000], ["under-voltage"]),
    ],
)
def test_what_happened_between_two_readings_is_not_missed(bits: list[int | None], names: list[str]):
    assert throttling_between([Health(number, throttled_bits=value) for number, value in enumerate(bits)]) == names


def test_the_monitor_reads_again_and_again_in_its_own_thread(tmp_path: Path):
    readings: list[tuple[Health, int]] = []
    reader = HealthReader(tree(tmp_path, PI_4), tmp_path)
    with HealthMonitor(reader, 0.01, lambda reading: readings.append((reading, threading.get_ident()))) as monitor:
        deadline = time.monotonic() + 20
        while len(readings) < 3 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert monitor().temperature_c == 61.834
    monitor.close()
    count = len(readings)
    assert count >= 3
    assert {thread for _, thread in readings}.isdisjoint({threading.get_ident()})
    time.sleep(0.05)
    assert len(readings) == count
