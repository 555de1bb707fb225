#include "net/ws_frame.h"

#include "base/macros.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

Test(ws_frame, headers)
{
    static const struct {
        const char *bytes;
        size_t len;
        ssize_t want;
        struct ws_header header;
    } rows[] = {
        {"", 0, 0, {0}},
        {"\x81", 1, 0, {0}},
        {"\x81\x05", 2, 2, {.size = 5, .opcode = WS_TEXT, .fin = true}},
        {"\x01\x05", 2, 2, {.size = 5, .opcode = WS_TEXT}},
        {"\xf9\x00", 2, 2, {.opcode = WS_PING, .rsv = 7, .fin = true}},
        {"\x82\x7d", 2, 2, {.size = 125, .opcode = WS_BINARY, .fin = true}},
        {"\x82\x7e\x00", 3, 0, {0}},
        {"\x82\x7e\x00\x7e", 4, 4, {.size = 126, .opcode = WS_BINARY, .fin = true}},
        {"\x82\x7e\x00\x7d", 4, -EPROTO, {0}}, /* could have been said in one byte */
        {"\x82\x7e\xff\xff", 4, 4, {.size = 65535, .opcode = WS_BINARY, .fin = true}},
        {"\x82\x7f\0\0\0\0\0\1\0", 9, 0, {0}},
        {"\x82\x7f\0\0\0\0\0\1\0\0", 10, 10, {.size = 65536, .opcode = WS_BINARY, .fin = true}},
        {"\x82\x7f\0\0\0\0\0\0\xff\xff", 10, -EPROTO, {0}},
        {"\x82\x7f\x80\0\0\0\0\0\0\0", 10, -EPROTO, {0}}, /* the highest bit is never set */
        {"\x81\x85"
         "abc",
         5,
         0,
         {0}},
        {"\x81\x85"
         "abcd",
         6,
         6,
         {.size = 5, .opcode = WS_TEXT, .fin = true, .masked = true, .mask = "abcd"}},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct ws_header got = {0};
        cr_assert_eq(ws_header_read(str_make(rows[i].bytes, rows[i].len), &got), rows[i].want,
                     "row %zu", i);
        if (rows[i].want > 0) {
            const struct ws_header *h = &rows[i].header;
            cr_expect(got.size == h->size && got.opcode == h->opcode && got.rsv == h->rsv &&
                          got.fin == h->fin && got.masked == h->masked &&
                          memcmp(got.mask, h->mask, 4) == 0,
                      "row %zu", i);
        }
    }
}

/* What is written is read back, at every place where the form changes. */
Test(ws_frame, written_is_read)
{
    static const size_t sizes[] = {0, 1, 125, 126, 127, 65535, 65536, 1u << 31};
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        for (int masked = 0; masked < 2; masked++) {
            uint8_t bytes[WS_HEADER_BYTES_MAX];
            struct ws_header h;
            size_t len =
                ws_header_write(bytes, WS_TEXT, sizes[i], masked ? (const uint8_t *)"wxyz" : NULL);
            cr_assert_eq(ws_header_read(str_make((char *)bytes, len), &h), (ssize_t)len);
            cr_expect_eq(ws_header_read(str_make((char *)bytes, len - 1), &h), 0);
            cr_expect_eq(h.size, sizes[i]);
            cr_expect_eq(h.masked, masked == 1);
        }
    }
}

/* A payload that comes in pieces is unmasked as one that comes whole. */
Test(ws_frame, mask_in_pieces)
{
    static const uint8_t mask[4] = {0x11, 0x22, 0x44, 0x88};
    for (size_t size = 0; size < 40; size++) {
        for (size_t cut = 0; cut <= size; cut++) {
            uint8_t whole[40];
            uint8_t pieces[40];
            memset(whole, 'x', sizeof whole);
            memset(pieces, 'x', sizeof pieces);
            for (size_t i = 0; i < size; i++) {
                whole[i] ^= mask[i % 4];
            }
            ws_mask(pieces, cut, mask, 0);
            ws_mask(pieces + cut, size - cut, mask, cut);
            cr_assert_eq(memcmp(whole, pieces, sizeof whole), 0, "%zu of %zu", cut, size);
        }
    }
}
