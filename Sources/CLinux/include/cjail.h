// The jail's kernel calls: Landlock and seccomp, which glibc does not wrap, and the fork whose child may only run
// async-signal-safe C until it executes the command.
//
// Every function returns a result >= 0, or -errno. None of them allocates; none is meant for several threads at once.
#ifndef CJAIL_H
#define CJAIL_H

#include <asm/unistd.h>
#include <stdint.h>

// MARK: Landlock (linux/landlock.h; Debian 12's copy ends at ABI 3, so jail.c has its own structures)

// The ABI of the running kernel, at least 1; -ENOSYS without Landlock, -EOPNOTSUPP if it is not enabled at boot.
int cjail_landlock_abi(void);
// A new ruleset that handles these access rights and scopes: a close-on-exec descriptor.
int cjail_landlock_ruleset(uint64_t files, uint64_t network, uint64_t scopes);
// Grants rights beneath the file or folder that the descriptor `path` (O_PATH will do) is open on.
int cjail_landlock_grant_path(int ruleset, int path, uint64_t files);
// Puts the calling thread into a new domain, beneath its present one. Needs no_new_privs. There is no way back.
int cjail_landlock_enter(int ruleset);

// Opens a file or folder only to name it (O_PATH), close-on-exec.
int cjail_open_path(const char *path);
// The same of a path that no symbolic link is a part of: -ELOOP if one is (openat2, RESOLVE_NO_SYMLINKS).
int cjail_open_straight(const char *path);
// A folder beneath the folder that `root` is open on, as clinux_open_beneath; links on the way may be followed.
int cjail_open_folder_beneath(int root, const char *path);

// MARK: Signals

// Blocks all signals, gives SIGCHLD its default disposition (one inherited as ignored would hide every child's end),
// and returns a non-blocking, close-on-exec signalfd of all of them.
int cjail_take_signals(void);
// The next pending signal's number; 0 if there is none.
int cjail_next_signal(int signals);

// MARK: Processes

// Makes the calling process a janitor: closed to others of its user (not dumpable: /proc/self/environ, mem, fd), the
// heir of its descendants' orphans (subreaper), and without a way to more privilege (no_new_privs, which Landlock asks
// for where there is no CAP_SYS_ADMIN).
int cjail_become_janitor(void);
// Every child that has ended, one per call, without waiting: its pid, with its status in `*status`; 0 if none has
// ended; -ECHILD if there is no child any more, of whatever kind.
int cjail_reap(int *status);

// Forks a process of our own that does nothing until `*release` is closed, and then ends.
int cjail_witness(int *release);

// One BPF instruction, laid out as struct sock_filter.
struct cjail_instruction {
    uint16_t code;
    uint8_t jump_true;
    uint8_t jump_false;
    uint32_t operand;
};

// A resource limit is lowered to these values, never raised.
struct cjail_limit {
    int resource;
    uint64_t soft;
    uint64_t hard;
};

// Where a child may fail before its program runs. The order is that of the steps.
enum cjail_stage {
    CJAIL_STAGE_SESSION = 1,
    CJAIL_STAGE_TERMINAL,
    CJAIL_STAGE_LIMITS,
    CJAIL_STAGE_DIRECTORY,
    CJAIL_STAGE_PRIVILEGES,
    CJAIL_STAGE_LANDLOCK,
    CJAIL_STAGE_SECCOMP,
    CJAIL_STAGE_DESCRIPTORS,
    CJAIL_STAGE_EXECUTE,
};

// What the child sends through `failures` if it fails; written at once, so it is never seen in part.
struct cjail_failure {
    int32_t stage;
    int32_t code;
};

// Everything the child needs, ready-made: after the fork nothing is allocated.
struct cjail_child {
    char *const *candidates; // paths of the program, tried in order; ended by NULL
    char *const *arguments;
    char *const *environment;
    int directory; // open on the working directory
    int ruleset;   // Landlock
    int failures;  // the writing end of a close-on-exec pipe
    const struct cjail_limit *limits;
    int limit_count;
    const struct cjail_instruction *filter;
    int filter_count;
    int terminal; // of 0, 1 and 2, the one that becomes the controlling terminal; -1 if none
    int drops_capabilities; // of its permitted, effective, inheritable and ambient set, all
    int broker;             // a Unix socket that takes the filter's listener; -1 if the filter notifies nobody
};

// Starts a child that builds the jail around itself and executes the first candidate that can be. Returns its pid once
// it has executed one, or has ended.
int cjail_start(const struct cjail_child *child);

// The same in two steps. First a child that builds the jail around itself, without a command, and then waits at
// `socket` (cmessage.h) for one: it has the filter's listener sent to `child->broker`. Of `child`, what belongs to the
// command is not looked at: its words, folder and terminal. Returns the child's pid at once.
int cjail_prepare(const struct cjail_child *child, int socket);
// 0 as long as that child has neither ended nor been stopped.
int cjail_waits(int pid);
// Gives it the words and the folder of `child` and our 0, 1 and 2, without waiting: 0, or -errno, after which it has
// nothing of them. It cannot take a terminal.
int cjail_give(int socket, const struct cjail_child *child);

// MARK: Numbers of this architecture

#if defined(__x86_64__)
static const uint32_t cjail_architecture = 0xC000003E; // AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
static const uint32_t cjail_architecture = 0xC00000B7; // AUDIT_ARCH_AARCH64
#else
#error "the jail knows x86_64 and aarch64: check every call's argument order before adding another"
#endif

// Bit 30 marks an x32 call (asm/unistd.h): the same kernel entry with other numbers, never used by Debian.
static const uint32_t cjail_x32_bit = 0x40000000;

// Calls the rules refuse. The numbers come from the kernel's headers of the architecture that is compiled for.
enum {
    CJAIL_ACCT = __NR_acct,
    CJAIL_ADD_KEY = __NR_add_key,
    CJAIL_BIND = __NR_bind,
    CJAIL_BPF = __NR_bpf,
    CJAIL_CHROOT = __NR_chroot,
    CJAIL_CLOCK_ADJTIME = __NR_clock_adjtime,
    CJAIL_CLOCK_SETTIME = __NR_clock_settime,
    CJAIL_CLONE = __NR_clone,
    CJAIL_CLONE3 = __NR_clone3,
    CJAIL_CONNECT = __NR_connect,
    CJAIL_DELETE_MODULE = __NR_delete_module,
    CJAIL_FANOTIFY_INIT = __NR_fanotify_init,
    CJAIL_FILE_SETATTR = 469, // Linux 6.17
    CJAIL_FINIT_MODULE = __NR_finit_module,
    CJAIL_FSCONFIG = __NR_fsconfig,
    CJAIL_FSMOUNT = __NR_fsmount,
    CJAIL_FSOPEN = __NR_fsopen,
    CJAIL_FSPICK = __NR_fspick,
    CJAIL_INIT_MODULE = __NR_init_module,
    CJAIL_IOCTL = __NR_ioctl,
    CJAIL_IOPRIO_SET = __NR_ioprio_set,
    CJAIL_IO_URING_ENTER = __NR_io_uring_enter,
    CJAIL_IO_URING_REGISTER = __NR_io_uring_register,
    CJAIL_IO_URING_SETUP = __NR_io_uring_setup,
    CJAIL_KCMP = __NR_kcmp,
    CJAIL_KEXEC_LOAD = __NR_kexec_load,
    CJAIL_KEYCTL = __NR_keyctl,
    CJAIL_LISTEN = __NR_listen,
    CJAIL_MOUNT = __NR_mount,
    CJAIL_MOUNT_SETATTR = __NR_mount_setattr,
    CJAIL_MOVE_MOUNT = __NR_move_mount,
    CJAIL_MQ_OPEN = __NR_mq_open,
    CJAIL_MQ_UNLINK = __NR_mq_unlink,
    CJAIL_MSGCTL = __NR_msgctl,
    CJAIL_MSGGET = __NR_msgget,
    CJAIL_MSGRCV = __NR_msgrcv,
    CJAIL_MSGSND = __NR_msgsnd,
    CJAIL_OPEN_BY_HANDLE_AT = __NR_open_by_handle_at,
    CJAIL_OPEN_TREE = __NR_open_tree,
    CJAIL_OPEN_TREE_ATTR = 467, // Linux 6.15; the same on every architecture, as all numbers since 424
    CJAIL_PERF_EVENT_OPEN = __NR_perf_event_open,
    CJAIL_PIDFD_GETFD = __NR_pidfd_getfd,
    CJAIL_PIVOT_ROOT = __NR_pivot_root,
    CJAIL_PRCTL = __NR_prctl,
    CJAIL_PRLIMIT64 = __NR_prlimit64,
    CJAIL_PROCESS_MADVISE = __NR_process_madvise,
    CJAIL_QUOTACTL = __NR_quotactl,
    CJAIL_QUOTACTL_FD = __NR_quotactl_fd,
    CJAIL_REBOOT = __NR_reboot,
    CJAIL_REQUEST_KEY = __NR_request_key,
    CJAIL_SCHED_SETAFFINITY = __NR_sched_setaffinity,
    CJAIL_SCHED_SETATTR = __NR_sched_setattr,
    CJAIL_SCHED_SETPARAM = __NR_sched_setparam,
    CJAIL_SCHED_SETSCHEDULER = __NR_sched_setscheduler,
    CJAIL_SECCOMP = __NR_seccomp,
    CJAIL_SEMCTL = __NR_semctl,
    CJAIL_SEMGET = __NR_semget,
    CJAIL_SEMOP = __NR_semop,
    CJAIL_SEMTIMEDOP = __NR_semtimedop,
    CJAIL_SENDMMSG = __NR_sendmmsg,
    CJAIL_SENDMSG = __NR_sendmsg,
    CJAIL_SENDTO = __NR_sendto,
    CJAIL_SETDOMAINNAME = __NR_setdomainname,
    CJAIL_SETHOSTNAME = __NR_sethostname,
    CJAIL_SETNS = __NR_setns,
    CJAIL_SETPRIORITY = __NR_setpriority,
    CJAIL_SETSOCKOPT = __NR_setsockopt,
    CJAIL_SETTIMEOFDAY = __NR_settimeofday,
    CJAIL_SHMAT = __NR_shmat,
    CJAIL_SHMCTL = __NR_shmctl,
    CJAIL_SHMGET = __NR_shmget,
    CJAIL_SOCKET = __NR_socket,
    CJAIL_SOCKETPAIR = __NR_socketpair,
    CJAIL_SWAPOFF = __NR_swapoff,
    CJAIL_SWAPON = __NR_swapon,
    CJAIL_SYSLOG = __NR_syslog,
    CJAIL_UMOUNT2 = __NR_umount2,
    CJAIL_UNSHARE = __NR_unshare,
    CJAIL_USERFAULTFD = __NR_userfaultfd,
    CJAIL_VHANGUP = __NR_vhangup,
    CJAIL_WRITE = __NR_write,
#if defined(__x86_64__)
    CJAIL_IOPERM = __NR_ioperm,
    CJAIL_IOPL = __NR_iopl,
    CJAIL_KEXEC_FILE_LOAD = __NR_kexec_file_load,
#else
    // -1: this architecture has no such call, and the filter leaves it out.
    CJAIL_IOPERM = -1,
    CJAIL_IOPL = -1,
    CJAIL_KEXEC_FILE_LOAD = __NR_kexec_file_load,
#endif
};

#endif
