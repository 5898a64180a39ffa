#define _GNU_SOURCE
#include "cbroker.h"

#include <errno.h>
#include <stddef.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <unistd.h>

// semctl(2): the caller defines it.
union semun {
    int value;
    struct semid_ds *status;
    unsigned short *array;
};

int cbroker_ipc_make(enum cbroker_ipc kind, uint64_t size, int mode) {
    int flags = IPC_CREAT | IPC_EXCL | (mode & 0777);
    int id = -1;
    switch (kind) {
    case CBROKER_MEMORY: id = shmget(IPC_PRIVATE, (size_t)size, flags); break;
    case CBROKER_SEMAPHORES: id = semget(IPC_PRIVATE, (int)size, flags); break;
    case CBROKER_MESSAGES: id = msgget(IPC_PRIVATE, flags); break;
    }
    return id < 0 ? -errno : id;
}

int cbroker_ipc_exists(enum cbroker_ipc kind, int id) {
    struct shmid_ds memory = {0};
    struct semid_ds semaphores = {0};
    struct msqid_ds messages = {0};
    int result = -1;
    switch (kind) {
    case CBROKER_MEMORY: result = shmctl(id, IPC_STAT, &memory); break;
    case CBROKER_SEMAPHORES: result = semctl(id, 0, IPC_STAT, (union semun){.status = &semaphores}); break;
    case CBROKER_MESSAGES: result = msgctl(id, IPC_STAT, &messages); break;
    }
    // One that may not be looked at any more (IPC_SET takes every right away) is there all the same.
    if (result < 0) return errno == EACCES;
    if (kind == CBROKER_MEMORY && memory.shm_cpid != getpid()) return 0;
    return memory.shm_perm.mode & SHM_DEST ? 2 : 1;
}

int cbroker_ipc_remove(enum cbroker_ipc kind, int id) {
    int result = -1;
    switch (kind) {
    case CBROKER_MEMORY: result = shmctl(id, IPC_RMID, NULL); break;
    case CBROKER_SEMAPHORES: result = semctl(id, 0, IPC_RMID); break;
    case CBROKER_MESSAGES: result = msgctl(id, IPC_RMID, NULL); break;
    }
    return result < 0 ? -errno : 0;
}
