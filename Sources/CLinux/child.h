// What the child of a fork does to become the command: its steps, for the one that is started with its command and for
// the one that waits for it. All of it is async-signal-safe, and none of it returns after a failure.
#ifndef CHILD_H
#define CHILD_H

#include "cjail.h"
#include <sys/types.h>

// Tells the janitor at which step it ended, and why.
__attribute__((noreturn)) void child_fail(int failures, enum cjail_stage stage, int code);

// The steps that do not need the command, in their order: a session without a terminal, the end with the janitor, and
// limits; then, in `child_confine`, privileges and Landlock; then signals and the filter, after which only what the
// jail allows can be done.
void child_take_session(const struct cjail_child *child, pid_t janitor);
void child_confine(const struct cjail_child *child);
void child_filter(const struct cjail_child *child);

// The step that needs it.
__attribute__((noreturn)) void child_execute(const struct cjail_child *child);

#endif
