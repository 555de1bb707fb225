#include "base/jscan.h"

#include <cerrno>
#include <cstring>
#include <deque>
#include <memory>
#include <simdjson.h>
#include <string>
#include <string_view>

using namespace simdjson;

#define PATH_NAMES_MAX 3
#define DEPTH_MAX      16

struct jscan {
    size_t bytes_max;
    std::unique_ptr<char[]> text; /* bytes_max + SIMDJSON_PADDING, allocated as needed */
    size_t text_size = 0;
    size_t len = 0;
    ondemand::parser parser;
    ondemand::document document;
    std::deque<std::string> unescaped; /* strings given out that could not be shown in place */
    bool open = false;
};

static int error_of(error_code error)
{
    switch (error) {
    case SUCCESS:
        return 0;
    case NO_SUCH_FIELD:
        return -ENOENT;
    case INCORRECT_TYPE:
        return -EBADMSG;
    default:
        return -EINVAL;
    }
}

struct jscan *jscan_new(size_t bytes_max)
{
    jscan *s = new jscan;
    s->bytes_max = bytes_max;
    return s;
}

void jscan_free(struct jscan **s)
{
    if (s != nullptr) {
        delete *s;
        *s = nullptr;
    }
}

static void make_room(jscan *s, size_t len)
{
    if (s->text_size >= len + SIMDJSON_PADDING) {
        return;
    }
    size_t size = 1024;
    while (size < len + SIMDJSON_PADDING) {
        size *= 2;
    }
    s->text.reset(new char[size]);
    s->text_size = size;
}

int jscan_open(struct jscan *s, struct str message)
{
    s->open = false;
    s->unescaped.clear();
    if (message.len > s->bytes_max) {
        return -EMSGSIZE;
    }
    struct str trimmed = str_trim(message);
    if (!str_starts(trimmed, STR("{")) || !str_ends(trimmed, STR("}"))) {
        return -EINVAL; /* a message that was cut is not read up to where it was */
    }
    make_room(s, message.len);
    std::memcpy(s->text.get(), message.p, message.len);
    std::memset(s->text.get() + message.len, ' ', SIMDJSON_PADDING);
    s->len = message.len;
    if (s->parser.max_depth() != DEPTH_MAX && s->parser.allocate(s->len, DEPTH_MAX) != SUCCESS) {
        return -EINVAL;
    }
    auto error = s->parser.iterate(s->text.get(), s->len, s->text_size).get(s->document);
    ondemand::json_type type;
    if (error != SUCCESS || s->document.type().get(type) != SUCCESS ||
        type != ondemand::json_type::object) {
        return -EINVAL;
    }
    s->open = true;
    return 0;
}

/* Walks to the member at path; -ENOENT also when it, or one on the way, is null. */
static int find(jscan *s, const char *path, ondemand::value *out)
{
    /* After an error in the text simdjson abandons the document; rewinding that would touch NULL. */
    if (!s->open || !s->document.is_alive()) {
        return -EINVAL;
    }
    s->document.rewind();
    ondemand::object object;
    error_code error = s->document.get_object().get(object);
    for (int names = 0; names < PATH_NAMES_MAX && error == SUCCESS; names++) {
        const char *dot = std::strchr(path, '.');
        std::string_view name(path, dot == nullptr ? std::strlen(path) : (size_t)(dot - path));
        ondemand::value value;
        error = object.find_field_unordered(name).get(value);
        if (error != SUCCESS) {
            break;
        }
        ondemand::json_type type;
        error = value.type().get(type);
        if (error == SUCCESS && type == ondemand::json_type::null) {
            return -ENOENT;
        }
        if (error == SUCCESS && dot == nullptr) {
            *out = value;
            return 0;
        }
        path = dot == nullptr ? path : dot + 1;
        error = error != SUCCESS ? error : value.get_object().get(object);
    }
    return error == SUCCESS ? -EINVAL : error_of(error);
}

/* The text between the quotes as it stands in the message. */
static int find_raw(jscan *s, const char *path, std::string_view *out, ondemand::value *value)
{
    int err = find(s, path, value);
    if (err < 0) {
        return err;
    }
    std::string_view token = value->raw_json_token();
    if (token.size() < 2 || token[0] != '"') {
        return -EBADMSG;
    }
    const char *start = token.data() + 1;
    const char *end = s->text.get() + s->len;
    for (const char *p = start; p < end; p++) {
        p = static_cast<const char *>(std::memchr(p, '"', (size_t)(end - p)));
        if (p == nullptr) {
            break;
        }
        size_t slashes = 0; /* an odd number of them before a quote makes it part of the text */
        while (p - slashes > start && p[-(ptrdiff_t)slashes - 1] == '\\') {
            slashes++;
        }
        if (slashes % 2 == 0) {
            *out = std::string_view(start, (size_t)(p - start));
            return 0;
        }
    }
    return -EINVAL;
}

int jscan_raw(struct jscan *s, const char *path, struct str *out)
{
    std::string_view raw;
    ondemand::value value;
    int err = find_raw(s, path, &raw, &value);
    if (err == 0) {
        *out = str_make(raw.data(), raw.size());
    }
    return err;
}

int jscan_str(struct jscan *s, const char *path, struct str *out)
{
    std::string_view raw;
    ondemand::value value;
    int err = find_raw(s, path, &raw, &value);
    if (err < 0) {
        return err;
    }
    if (raw.find('\\') != std::string_view::npos) {
        std::string_view text;
        error_code error = value.get_string().get(text);
        if (error != SUCCESS) {
            return error_of(error);
        }
        s->unescaped.emplace_back(text); /* the next question overwrites simdjson's own copy */
        raw = s->unescaped.back();
    }
    *out = str_make(raw.data(), raw.size());
    return 0;
}

static int i64_of_text(jscan *s, const char *path, int64_t *out)
{
    struct str text;
    int err = jscan_raw(s, path, &text);
    return err < 0 ? err : (str_to_i64(text, out) < 0 ? -EBADMSG : 0);
}

int jscan_i64(struct jscan *s, const char *path, int64_t *out)
{
    ondemand::value value;
    int err = find(s, path, &value);
    if (err < 0) {
        return err;
    }
    ondemand::json_type type;
    if (value.type().get(type) != SUCCESS) {
        return -EINVAL;
    }
    if (type == ondemand::json_type::string) {
        return i64_of_text(s, path, out);
    }
    if (type != ondemand::json_type::number) {
        return -EBADMSG;
    }
    int64_t number;
    if (value.get_int64().get(number) == SUCCESS) {
        *out = number;
        return 0;
    }
    double real;
    err = find(s, path, &value);
    if (err == 0 && value.get_double().get(real) == SUCCESS && real > -9.2e18 && real < 9.2e18) {
        *out = (int64_t)real;
        return 0;
    }
    return -EBADMSG;
}
