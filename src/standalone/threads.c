/* vsa_threads: a few threads that take jobs from a counter, for as long as one call lasts. */
#if !defined(_WIN32) && !defined(_POSIX_C_SOURCE)
#  define _POSIX_C_SOURCE 200809L
#endif

#include "standalone.h"

#ifdef _WIN32
#  define WIN32_LEAN_AND_MEAN
#  include <windows.h>
typedef HANDLE thread;
#else
#  include <pthread.h>
typedef pthread_t thread;
#endif

#define MAX_THREADS 64u

typedef struct work {
    atomic_uint next;
    uint32_t    count;
    void      (*job)(void *data, uint32_t index);
    void       *data;
} work;

static void take_jobs(work *w)
{
    for (uint32_t i = atomic_fetch_add(&w->next, 1); i < w->count;
         i = atomic_fetch_add(&w->next, 1)) {
        w->job(w->data, i);
    }
}

#ifdef _WIN32
static DWORD WINAPI thread_main(void *argument)
{
    take_jobs(argument);
    return 0;
}

static int thread_start(thread *out_thread, work *w)
{
    *out_thread = CreateThread(NULL, 0, thread_main, w, 0, NULL);
    return *out_thread != NULL;
}

static void thread_join(thread t)
{
    WaitForSingleObject(t, INFINITE);
    CloseHandle(t);
}
#else
static void *thread_main(void *argument)
{
    take_jobs(argument);
    return NULL;
}

static int thread_start(thread *out_thread, work *w)
{
    return pthread_create(out_thread, NULL, thread_main, w) == 0;
}

static void thread_join(thread t)
{
    pthread_join(t, NULL);
}
#endif

static void run(void *user, uint32_t count, void (*job)(void *data, uint32_t index), void *data)
{
    const uint32_t wanted = (uint32_t)(uintptr_t)user;
    work w = {.count = count, .job = job, .data = data};
    thread threads[MAX_THREADS];
    uint32_t started = 0;

    atomic_init(&w.next, 0);
    while (started + 1 < wanted && started + 1 < count && started < MAX_THREADS &&
           thread_start(&threads[started], &w)) {
        ++started;
    }
    take_jobs(&w);
    while (started > 0) {
        thread_join(threads[--started]);
    }
}

vsa_parallel vsa_threads(uint32_t thread_count)
{
    return thread_count > 1 ? (vsa_parallel){.run = run, .user = (void *)(uintptr_t)thread_count}
                            : (vsa_parallel){0};
}
