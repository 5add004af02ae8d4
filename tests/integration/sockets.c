/* Preloaded into a watched process where strace is not: log every address that a library asks for.
 *
 * One line a call in the file WATCH_LOG names, in strace's words. Calls that glibc makes inside
 * itself do not pass here, so names are logged where they are resolved. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static void put(const char *call, const char *family, const char *what) {
    char line[512];
    const char *path = getenv("WATCH_LOG");
    int length = snprintf(line, sizeof line, "%s(sa_family=%s, \"%s\")\n", call, family, what);
    int log = path ? open(path, O_WRONLY | O_CREAT | O_APPEND, 0600) : -1;
    if (log >= 0) {
        if (write(log, line, length < (int)sizeof line ? length : (int)sizeof line - 1) < 0) abort();
        close(log);
    }
}

static void tell(const char *call, const struct sockaddr *address) {
    char text[INET6_ADDRSTRLEN] = "";
    if (!address) return;
    if (address->sa_family == AF_UNIX) {
        put(call, "AF_UNIX", ((const struct sockaddr_un *)address)->sun_path);
    } else if (address->sa_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)address;
        put(call, "AF_INET", inet_ntop(AF_INET, &in->sin_addr, text, sizeof text));
    } else if (address->sa_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)address;
        put(call, "AF_INET6", inet_ntop(AF_INET6, &in6->sin6_addr, text, sizeof text));
    }
}

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

int connect(int fd, const struct sockaddr *address, socklen_t length) {
    tell("connect", address);
    return NEXT(connect)(fd, address, length);
}

ssize_t sendto(int fd, const void *data, size_t size, int flags, const struct sockaddr *address,
               socklen_t length) {
    tell("sendto", address);
    return NEXT(sendto)(fd, data, size, flags, address, length);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
    tell("sendmsg", message->msg_name);
    return NEXT(sendmsg)(fd, message, flags);
}

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                struct addrinfo **found) {
    struct in6_addr number; /* of an address no name server is asked */
    if (node && inet_pton(AF_INET, node, &number) != 1 && inet_pton(AF_INET6, node, &number) != 1)
        put("getaddrinfo", "AF_INET", node);
    return NEXT(getaddrinfo)(node, service, hints, found);
}
