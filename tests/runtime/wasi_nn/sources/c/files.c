/* Does one operation on a path of WASI's file system, and answers with its errno, then with what it has read.
 *
 * files OPERATION PATH [OTHER]
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char found[4096];

static int failed(int result) { return result == 0 ? 0 : errno; }

static int read_file(const char *path) {
    int file = open(path, O_RDONLY);
    if (file < 0) return errno;
    ssize_t size = read(file, found, sizeof found - 1);
    return size < 0 ? errno : failed(close(file));
}

static int write_file(const char *path, int flags) {
    int file = open(path, O_WRONLY | flags, 0644);
    if (file < 0) return errno;
    if (write(file, "changed", 7) != 7) return errno;
    return failed(close(file));
}

static int list(const char *path) {
    DIR *folder = opendir(path);
    if (!folder) return errno;
    for (struct dirent *each; (each = readdir(folder));)
        if (each->d_name[0] != '.') strcat(strcat(found, each->d_name), " ");
    return failed(closedir(folder));
}

static int truncate_while_reading(const char *path) {
    int file = open(path, O_RDONLY | O_TRUNC);
    return file < 0 ? errno : failed(close(file));
}

static int set_times_of_open_file(const char *path) {
    int file = open(path, O_RDONLY);
    return file < 0 ? errno : failed(futimens(file, NULL));
}

static int operate(const char *what, const char *path, const char *other) {
    if (!strcmp(what, "read")) return read_file(path);
    if (!strcmp(what, "list")) return list(path);
    if (!strcmp(what, "create")) return write_file(path, O_CREAT | O_EXCL);
    if (!strcmp(what, "overwrite")) return write_file(path, 0);
    if (!strcmp(what, "append")) return write_file(path, O_APPEND);
    if (!strcmp(what, "truncate")) return truncate_while_reading(path);
    if (!strcmp(what, "unlink")) return failed(unlink(path));
    if (!strcmp(what, "mkdir")) return failed(mkdir(path, 0755));
    if (!strcmp(what, "rmdir")) return failed(rmdir(path));
    if (!strcmp(what, "rename")) return failed(rename(path, other));
    if (!strcmp(what, "link")) return failed(link(path, other));
    if (!strcmp(what, "symlink")) return failed(symlink(path, other));
    if (!strcmp(what, "touch")) return failed(utimensat(AT_FDCWD, path, NULL, 0));
    if (!strcmp(what, "touch-open")) return set_times_of_open_file(path);
    return -1;
}

int main(int argc, char **argv) {
    int result = operate(argv[1], argv[2], argc > 3 ? argv[3] : "");
    printf("Content-Type: text/plain\n\n%d %s", result, found);
    return 0;
}
