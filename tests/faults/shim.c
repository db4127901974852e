// Stands before the file calls of the C library: those below one folder are counted, and the k-th
// of a kind dies, before or after it took effect, or fails. The counter is shared with every child.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

enum { WRITE = 1, SYNC = 2, RENAME = 4, READ = 8, REMOVE = 16 };
enum { COUNT = 0, DIE_BEFORE = 1, DIE_AFTER = 2, FAIL = 3 };

static struct {
  char folder[4096];
  int kinds, action, error, lasting;
  long at;
  _Atomic long* seen;  // in a file, so that parent and children count together
  int trace;
} plan = {.trace = -1};

static void arm_from_environment(void) {
  const char *folder = getenv("FAULTS_FOLDER"), *counter = getenv("FAULTS_COUNTER");
  plan.seen = NULL;
  if (folder == NULL || counter == NULL) return;
  snprintf(plan.folder, sizeof plan.folder, "%s", folder);
  plan.kinds = atoi(getenv("FAULTS_KINDS"));
  plan.action = atoi(getenv("FAULTS_ACTION"));
  plan.error = atoi(getenv("FAULTS_ERROR"));
  plan.lasting = atoi(getenv("FAULTS_LASTING"));
  plan.at = atol(getenv("FAULTS_AT"));
  const char* trace = getenv("FAULTS_TRACE");
  plan.trace = trace ? open(trace, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : -1;
  int file = open(counter, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0 || ftruncate(file, sizeof(long)) != 0) abort();
  void* shared = mmap(NULL, sizeof(long), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  close(file);
  if (shared == MAP_FAILED) abort();
  plan.seen = shared;
}

// Called again by a forked child, whose environment is its own.
void faults_arm(void) { arm_from_environment(); }
__attribute__((constructor)) static void start(void) { arm_from_environment(); }

static void note(const char* what, const char* path, const char* to) {
  if (plan.trace >= 0) dprintf(plan.trace, "%s\t%s\t%s\n", what, path, to);
}

static void die(void) {
  kill(0, SIGKILL);  // the whole group: a parent and its children
  for (;;) pause();
}

static int below(const char* path) {
  size_t length = strlen(plan.folder);
  return strncmp(path, plan.folder, length) == 0 && (path[length] == '/' || path[length] == 0);
}

static int name_of(int file, char* path, size_t size) {
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  ssize_t length = readlink(link, path, size - 1);
  path[length < 0 ? 0 : length] = 0;
  return length > 0 && below(path);
}

// Returns what the call must do: nothing special, die after it, or fail.
static int judge(int kind, const char* what, const char* path, const char* to) {
  note(what, path, to);
  if (!(plan.kinds & kind)) return COUNT;
  long number = atomic_fetch_add(plan.seen, 1);
  if (number != plan.at && !(plan.lasting && number > plan.at)) return COUNT;
  if (plan.action == DIE_BEFORE) die();
  return plan.action;
}

static int judge_file(int kind, const char* what, int file) {
  char path[4096];
  if (plan.seen == NULL || !name_of(file, path, sizeof path)) return COUNT;
  return judge(kind, what, path, "");
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define FINISH(judged, call)                            \
  do {                                                  \
    int verdict = (judged);                             \
    if (verdict == FAIL) return errno = plan.error, -1; \
    __typeof__(call) result = (call);                   \
    if (verdict == DIE_AFTER) die();                    \
    return result;                                      \
  } while (0)

ssize_t write(int file, const void* data, size_t size) {
  FINISH(judge_file(WRITE, "write", file), REAL(write)(file, data, size));
}
ssize_t pwrite64(int file, const void* data, size_t size, off64_t at) {
  FINISH(judge_file(WRITE, "write", file), REAL(pwrite64)(file, data, size, at));
}
ssize_t writev(int file, const struct iovec* parts, int count) {
  FINISH(judge_file(WRITE, "write", file), REAL(writev)(file, parts, count));
}
int ftruncate64(int file, off64_t size) {
  FINISH(judge_file(WRITE, "write", file), REAL(ftruncate64)(file, size));
}
int fsync(int file) { FINISH(judge_file(SYNC, "sync", file), REAL(fsync)(file)); }
int fdatasync(int file) { FINISH(judge_file(SYNC, "sync", file), REAL(fdatasync)(file)); }
ssize_t read(int file, void* data, size_t size) {
  FINISH(judge_file(READ, "read", file), REAL(read)(file, data, size));
}
ssize_t pread64(int file, void* data, size_t size, off64_t at) {
  FINISH(judge_file(READ, "read", file), REAL(pread64)(file, data, size, at));
}
ssize_t preadv64(int file, const struct iovec* parts, int count, off64_t at) {
  FINISH(judge_file(READ, "read", file), REAL(preadv64)(file, parts, count, at));
}
ssize_t preadv64v2(int file, const struct iovec* parts, int count, off64_t at, int flags) {
  FINISH(judge_file(READ, "read", file), REAL(preadv64v2)(file, parts, count, at, flags));
}
int rename(const char* from, const char* to) {
  FINISH(plan.seen && below(to) ? judge(RENAME, "rename", from, to) : COUNT,
         REAL(rename)(from, to));
}
int unlink(const char* path) {
  FINISH(plan.seen && below(path) ? judge(REMOVE, "remove", path, "") : COUNT, REAL(unlink)(path));
}
