// What this kernel and container let us do, tried in a child process that ends with the trial: most of it cannot be
// undone. Used by `agent-init doctor`.
#ifndef CPROBE_H
#define CPROBE_H

enum clinux_trial {
    CLINUX_TRY_USER_NAMESPACE,
    CLINUX_TRY_NO_NEW_PRIVILEGES,
    CLINUX_TRY_FILTER,          // a seccomp filter
    CLINUX_TRY_LISTENER,        // one that asks another process (SECCOMP_RET_USER_NOTIF)
    CLINUX_TRY_FILES,           // Landlock: a file that was not granted cannot be opened
    CLINUX_TRY_REFER,           // Landlock takes the rules of ABI 2, 3, 5 and 9 …
    CLINUX_TRY_TRUNCATE,
    CLINUX_TRY_DEVICE_CONTROL,
    CLINUX_TRY_SOCKET_PATHS,
    CLINUX_TRY_TCP,             // Landlock: a port that was not granted cannot be connected to
    CLINUX_TRY_SIGNALS,         // Landlock: a process outside cannot be signalled
};

// 0 if it does what it promises; -errno of the call that was refused, or -ENOTSUP if all calls went well and nothing
// was enforced.
int clinux_try(enum clinux_trial trial);

#endif
