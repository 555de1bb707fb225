/* book.h -- everything people and the model know by heart: personas, fates, lines, agents.
 *
 * Read from a directory of JSON files (personas/NAME.json, fates.json, model.json, agents.json): a
 * new persona is a new file and a line in fates.json. docs/simulator.md describes the formats.
 *
 * Owner   book_load() to book_free(); everything inside is read-only and lives as long.
 * Thread  the loop's.
 * Errors  book_load: -ENOENT, -EINVAL; the reason is written to standard error with the file name. */
#ifndef SIM_PEOPLE_BOOK_H
#define SIM_PEOPLE_BOOK_H

#include "persona.h"

enum agent_does { AGENT_ACCEPT, AGENT_DECLINE, AGENT_NO_ANSWER };

struct book;

struct book *book_load(const char *dir) MUST_USE; /* NULL after having said why */
void book_free(struct book **book);
struct speech_cache *book_speech(const struct book *book);
/* Makes the audio of every line in the book. */
void book_prepare(struct book *book);

/* What the phone with this number does at its nth call (from 0), by fate. */
const struct persona *book_persona(const struct book *book, uint64_t seed, struct str number,
                                   uint64_t nth);
const struct persona *book_persona_named(const struct book *book, const char *name); /* NULL */
size_t book_persona_count(const struct book *book);
const struct persona *book_persona_at(const struct book *book, size_t i);
/* The step whose spoken line carries this id: how the model knows what it heard. */
const struct step *book_step(const struct book *book, uint32_t say_id, const struct persona **who);
enum agent_does book_agent(const struct book *book, uint64_t seed, struct str number, uint64_t nth);
size_t book_agent_lines(const struct book *book, const char *lines[BRIDGE_LINES_MAX]);
/* The model's own lines: "opening", "repeat", "still_there", "ack", "goodbye". */
const char *book_line(const struct book *book, const char *name);
/* The line that a rule in model.json names for these instructions; NULL when none matches. */
const char *book_line_for(const struct book *book, struct str instructions);

/* The rules of the analysis lookalike; NULL when model.json has none. */
const json_t *book_analysis(const struct book *book);

#endif
