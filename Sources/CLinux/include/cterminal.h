// Terminals and streams that are not ours alone: calls that are variadic, or need numbers that Swift does not import.
// Same rules as in clinux.h: plain int types, results >= 0 or -errno.
#ifndef CTERMINAL_H
#define CTERMINAL_H

// A new pseudo-terminal, both ends close-on-exec and nobody's controlling terminal.
int clinux_terminal_open(int *controller, int *terminal);

// Rows and columns of a terminal: TIOCGWINSZ, and TIOCSWINSZ, which signals SIGWINCH to its foreground.
int clinux_window_get(int terminal, unsigned short *rows, unsigned short *columns);
int clinux_window_set(int terminal, unsigned short rows, unsigned short columns);

// Writes what the descriptor takes at once and returns how much: never waits, although the descriptor is set to block
// and may not be changed, because others share it. -EAGAIN if it takes nothing now. To be called when poll(2) says that
// it can be written.
long clinux_write_now(int descriptor, const void *bytes, unsigned long count);

// 1 if it is one end of a pipe.
int clinux_is_pipe(int descriptor);

// Moves what one pipe holds into another, as far as that goes at once, and returns how much; 0 at the source's end.
// -EAGAIN if the sink is full, or the source empty.
long clinux_move_now(int source, int sink, unsigned long count);

// How many bytes can be read.
int clinux_waiting_bytes(int descriptor);

// 1 if this signal is ignored, as nohup(1) and a shell's `&` leave it.
int clinux_is_ignored(int signal);

// Ends this process by the signal, as if it had never been caught. Returns only for PID 1, which the kernel spares.
void clinux_die_of(int signal);

#endif
