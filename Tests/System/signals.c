// Counts signals: `signals NUMBER COUNT` says "ready", takes COUNT signals of that number as they are queued, and exits
// with 7; on SIGTERM it prints how many have come and exits with 8.
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

int main(int count, char **arguments) {
    if (count < 3) return 3;
    int number = atoi(arguments[1]), wanted = atoi(arguments[2]), got = 0;
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, number);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    puts("ready");
    fflush(stdout);
    while (got < wanted) {
        int taken = sigwaitinfo(&set, NULL);
        if (taken == number) got++;
        if (taken == SIGTERM) {
            printf("%d of %d\n", got, wanted);
            return 8;
        }
    }
    return 7;
}
