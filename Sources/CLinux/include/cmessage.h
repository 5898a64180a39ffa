// Messages with descriptors between two processes of ours, over a socketpair(2) of type SOCK_SEQPACKET: a message is
// taken whole or not at all, and the end of one side is the end of file of the other.
#ifndef CMESSAGE_H
#define CMESSAGE_H

// The most descriptors that a message carries.
#define CMESSAGE_DESCRIPTORS 8

// Both ends, close-on-exec. 0 or -errno.
int cmessage_pair(int ends[2]);

// Sends without waiting: 0, or -errno (EAGAIN or EMSGSIZE: too long for the socket's buffer; EPIPE: nobody there).
// No SIGPIPE.
int cmessage_send(int socket, const void *bytes, int size, const int *descriptors, int count);

// Receives a message, waiting for it. The descriptors are close-on-exec; `count` says how many came, at most
// CMESSAGE_DESCRIPTORS. Returns its size, 0 at the end of file, or -errno; EMSGSIZE if it did not fit, after which no
// descriptor is left open.
int cmessage_receive(int socket, void *bytes, int capacity, int descriptors[CMESSAGE_DESCRIPTORS], int *count);

#endif
