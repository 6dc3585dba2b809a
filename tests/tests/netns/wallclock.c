/* A wall clock that runs ahead of the machine's by the number of seconds in a file. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t clock, struct timespec *now) {
    int result = syscall(SYS_clock_gettime, clock, now);
    const char *path = getenv("WALLCLOCK_AHEAD");
    long seconds = 0;
    FILE *file;
    if (result == 0 && clock == CLOCK_REALTIME && path && (file = fopen(path, "r"))) {
        if (fscanf(file, "%ld", &seconds) == 1)
            now->tv_sec += seconds;
        fclose(file);
    }
    return result;
}
