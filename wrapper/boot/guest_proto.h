/*
 * What perfwrap and the init of its guests (guest/init.c) say to each other.
 *
 * The job goes in. Strings, each ended by a NUL, in any order, at most PW_JOB_BYTES in all:
 *
 *   WAIT               as the only one: look again until something else is there (snapshots)
 *   arg=WORD           the command, one a word; none: the guest's own `true`
 *   alt=WORD           the same command for an image that does not have the first word: split into
 *                      words instead of given to a shell
 *   env=NAME=VALUE     its environment, which has nothing else but PATH, HOME and TERM
 *   cwd=PATH           its working folder; default: /
 *   user=UID[:GID]     as whom; default: 0:0. Numbers only
 *   root=DEVICE        to be mounted as /, an ext4 file system, writable: "vda". None: the command
 *                      is one of the guest's own: `true`, `false`, `exit N`
 *   net=ADDRESS/BITS,GATEWAY[,NAMESERVER]   for the first network device, e.g.
 *                      10.0.2.15/24,10.0.2.2,10.0.2.3
 *   clock=NANOSECONDS  Unix time, to set the clock to, if its own is off by more than a second
 *   hold=1             after the command has ended: stay, idle, instead of ending the machine
 *
 * What a program expects is made where the image has nothing: /dev, /proc, /sys, tmpfs at /run and
 * /tmp, /etc/hosts and /etc/resolv.conf. The command's standard input is /dev/null, its output the
 * console.
 *
 * The job comes by the first of these ways that there is: fw_cfg file PW_JOB_FW_CFG (QEMU; port
 * I/O, no driver); the file PW_JOB_FILE of the initrd; `pw.job=BASE64` on the kernel's command
 * line.
 *
 * Marks come out: lines `PW NAME[ KEY=VALUE]...` on I/O port PW_MARK_PORT if a read of it gives
 * PW_MARK_PORT_READ (QEMU's isa-debugcon), else on the console, where an empty line may be in front
 * of each. Other lines are not marks. In this order, each once:
 *
 *   kernel     the kernel has started init
 *   modules    the modules of the initrd are loaded
 *   ready      only if the job is WAIT: a snapshot may be made now
 *   restore    only after WAIT: the job is there
 *   network    only if the job has net=
 *   rootfs     only if the job has root=
 *   exec code=N signal=S   the command has ended, by exit(N) or by signal S (the other one is 0)
 *   fault step=NAME errno=N text=...   instead: init could not go on; then it ends the machine
 *
 * Each also has uptime=SECONDS (CLOCK_BOOTTIME, three decimals), whose zero is not the monitor's
 * start. The end of the machine: the byte PW_EXIT_VALUE to I/O port PW_EXIT_PORT (QEMU's
 * isa-debug-exit, which makes the monitor's exit status PW_EXIT_STATUS), then reboot(2).
 *
 * Sources: QEMU, "QEMU Firmware Configuration Device" (docs/specs/fw_cfg); Linux,
 * Documentation/admin-guide/initrd.
 */
#ifndef PW_BOOT_GUEST_PROTO_H
#define PW_BOOT_GUEST_PROTO_H

#define PW_JOB_FW_CFG "opt/perfwrap/job"
#define PW_JOB_FILE "/pw/job"
#define PW_JOB_PARAMETER "pw.job="
#define PW_JOB_WAIT "WAIT"

enum {
    PW_JOB_BYTES = 1 << 20,
    PW_MARK_PORT = 0xe9, /* not 0x402: there SeaBIOS writes as well */
    PW_MARK_PORT_READ = 0xe9,
    PW_EXIT_PORT = 0xf4,
    PW_EXIT_VALUE = 0x2a,
    PW_EXIT_STATUS = PW_EXIT_VALUE << 1 | 1,
};

#endif
