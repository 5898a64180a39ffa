// What a process says with its last breath.
#ifndef CCRASH_H
#define CCRASH_H

// From now on SIGQUIT writes the stack of the main thread to stderr and changes nothing else; a fault (SIGSEGV, SIGBUS,
// SIGILL, SIGFPE, SIGTRAP, SIGABRT, SIGSYS) writes the stack of its thread and then ends the process as it would have
// without us. To be called once, on the main thread, before others are started.
void ccrash_install(const char *name);

#endif
