#include "net/address.h"

#include <netinet/in.h>
#include <string.h>

static const struct {
    uint32_t network;
    uint8_t bits;
} v4_refused[] = {
    {0x00000000, 8},  /* this network */
    {0x0a000000, 8},  /* private */
    {0x64400000, 10}, /* shared (carrier NAT) */
    {0x7f000000, 8},  /* loopback */
    {0xa9fe0000, 16}, /* link-local: cloud metadata */
    {0xac100000, 12}, /* private */
    {0xc0000000, 24}, /* protocol assignments */
    {0xc0000200, 24}, /* documentation */
    {0xc0586300, 24}, /* 6to4 relays */
    {0xc0a80000, 16}, /* private */
    {0xc6120000, 15}, /* benchmarks */
    {0xc6336400, 24}, /* documentation */
    {0xcb007100, 24}, /* documentation */
    {0xe0000000, 3},  /* multicast, reserved, broadcast */
};

static bool v4_public(uint32_t address)
{
    for (size_t i = 0; i < COUNT_OF(v4_refused); i++) {
        if ((address ^ v4_refused[i].network) >> (32 - v4_refused[i].bits) == 0) {
            return false;
        }
    }
    return true;
}

/* Only global unicast (2000::/3), and of that not what wraps IPv4 (6to4, Teredo), nor
 * documentation. NAT64 (64:ff9b::/96), mapped and compatible addresses lie outside 2000::/3
 * already. */
static bool v6_public(const uint8_t a[16])
{
    bool global = (a[0] & 0xe0u) == 0x20;
    bool six_to_four = a[0] == 0x20 && a[1] == 0x02;
    bool special = a[0] == 0x20 && a[1] == 0x01 && a[2] < 0x02; /* 2001::/23: Teredo, ORCHID, ... */
    bool documentation = a[0] == 0x20 && a[1] == 0x01 && a[2] == 0x0d && a[3] == 0xb8;
    bool documentation_2 = a[0] == 0x3f && a[1] == 0xff && (a[2] & 0xf0u) == 0;
    return global && !six_to_four && !special && !documentation && !documentation_2;
}

bool address_is_public(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, address, sizeof in);
        return v4_public(ntohl(in.sin_addr.s_addr));
    }
    if (address->sa_family == AF_INET6) {
        struct sockaddr_in6 in6;
        memcpy(&in6, address, sizeof in6);
        return v6_public(in6.sin6_addr.s6_addr);
    }
    return false;
}
