/* address.h -- may a request from outside's URL be sent to this address?
 *
 * Thread  any.
 * Source  IANA special-purpose address registries, read 2026-11; security 4.6. */
#ifndef NET_ADDRESS_H
#define NET_ADDRESS_H

#include "base/macros.h"

#include <sys/socket.h>

/* False for everything that is not plainly out on the internet: loopback, private, link-local
 * (cloud metadata), shared, multicast, documentation, and IPv6 forms that carry an IPv4 address. */
bool address_is_public(const struct sockaddr *address);

#endif
