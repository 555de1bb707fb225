#include "carrier/accounts.h"

#include "base/clock.h"
#include "store/seal.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#define KEK "a key of at least thirty-two bytes, for tests"

/* The database's side: keeps the question, answers when the test says so. */
struct world {
    struct loop *loop;
    struct accounts *accounts;
    store_accounts_fn *on_rows;
    void *on_rows_arg;
    int questions;
    int refuse;
    struct store_account row;
    /* what the askers heard */
    int answers;
    struct fault fault;
    size_t count;
    struct carrier_account heard;
};

static struct world w;

static int load(struct pg_tx **op, struct pg_pool *db, const struct uuid *organization_id,
                store_accounts_fn *on_done, void *arg)
{
    (void)op;
    (void)db;
    (void)organization_id;
    if (w.refuse < 0) {
        return w.refuse;
    }
    w.questions++;
    w.on_rows = on_done;
    w.on_rows_arg = arg;
    return 0;
}

static void on_accounts(const struct fault *fault, const struct carrier_account *accounts,
                        size_t count, void *arg)
{
    (void)arg;
    w.answers++;
    w.fault = *fault;
    w.count = count;
    if (count > 0) {
        w.heard = accounts[0];
    }
}

static const struct uuid org = {{1}};
static const struct uuid other_org = {{2}};

static size_t seal(const struct uuid *organization_id, const char *plain, uint8_t *out)
{
    const struct seal_place place = {
        .organization_id = *organization_id, .column = SEAL_CARRIER_TOKEN, .id = {{9}}};
    OWNED(buf_fini) struct buf sealed;
    buf_init(&sealed, STORE_SEALED_SIZE);
    cr_assert_eq(seal_close(STR(KEK), &place, str_of(plain), &sealed), 0);
    memcpy(out, sealed.p, sealed.len);
    return sealed.len;
}

static void set_up(void)
{
    w = (struct world){.row = {.id = {{9}}, .provider = "plivo", .auth_id = "MA1", .active = true}};
    w.row.token_bytes = seal(&org, "new token", w.row.token);
    w.row.previous_bytes = seal(&org, "old token", w.row.previous);
    w.loop = loop_new(LOOP_VIRTUAL);
    const struct accounts_env env = {
        .loop = w.loop, .load = load, .kek = KEK, .api_url = "https://api.plivo.com/v1"};
    cr_assert_eq(accounts_open(&w.accounts, &env), 0);
    loop_advance(w.loop, US_PER_S);
}

static void tear_down(void)
{
    accounts_close(&w.accounts);
    loop_run(w.loop);
    loop_free(&w.loop);
}

static void ask(void)
{
    cr_assert_eq(accounts_ask(w.accounts, &org, on_accounts, NULL), 0);
}

static void answer(struct fault fault, size_t count)
{
    w.on_rows(&fault, &w.row, count, w.on_rows_arg);
    loop_run_once(w.loop, false);
}

TestSuite(accounts, .init = set_up, .fini = tear_down);

Test(accounts, tokens_are_opened)
{
    ask();
    cr_assert_eq(w.answers, 0, "never inside the question");
    answer(fault_none(), 1);
    cr_assert_eq(w.answers, 1);
    cr_assert_eq(w.count, 1);
    cr_assert_str_eq(w.heard.auth_id, "MA1");
    cr_assert_str_eq(w.heard.auth_token[0], "new token");
    cr_assert_str_eq(w.heard.auth_token[1], "old token");
    cr_assert_str_eq(w.heard.auth_token[2], "");
    cr_assert_str_eq(w.heard.api_url, "https://api.plivo.com/v1");
}

Test(accounts, one_question_serves_all_who_wait)
{
    ask();
    ask();
    ask();
    cr_assert_eq(w.questions, 1);
    answer(fault_none(), 1);
    cr_assert_eq(w.answers, 3);
    ask();
    cr_assert_eq(w.answers, 3, "never inside the question");
    loop_run_once(w.loop, false);
    cr_assert_eq(w.answers, 4);
    cr_assert_eq(w.questions, 1);
}

Test(accounts, are_read_again_after_a_minute)
{
    ask();
    answer(fault_none(), 1);
    loop_advance(w.loop, 61 * US_PER_S);
    ask();
    cr_assert_eq(w.questions, 2);
    answer(fault_none(), 1);
    cr_assert_eq(w.answers, 2);
}

Test(accounts, a_strange_signature_reads_anew_but_not_for_ever)
{
    cr_assert(accounts_stale(w.accounts, &org));
    ask();
    answer(fault_none(), 1);
    cr_assert_not(accounts_stale(w.accounts, &org), "that was just now");
    loop_advance(w.loop, 6 * US_PER_S);
    cr_assert(accounts_stale(w.accounts, &org));
    ask();
    cr_assert_eq(w.questions, 2);
    answer(fault_none(), 1);
}

Test(accounts, a_fault_is_told_and_not_kept)
{
    ask();
    answer(fault_make(FAULT_NOT_SENT, 0, "", "away"), 0);
    cr_assert_eq(w.answers, 1);
    cr_assert_eq(w.fault.class, FAULT_NOT_SENT);
    cr_assert_eq(w.count, 0);
    ask();
    cr_assert_eq(w.questions, 2);
    answer(fault_none(), 1);
    cr_assert_eq(w.fault.class, FAULT_NONE);
}

Test(accounts, a_refused_question_is_silent)
{
    w.refuse = -EBUSY;
    cr_assert_eq(accounts_ask(w.accounts, &org, on_accounts, NULL), -EBUSY);
    loop_run_once(w.loop, false);
    cr_assert_eq(w.answers, 0);
}

Test(accounts, another_organizations_token_does_not_open)
{
    w.row.token_bytes = seal(&other_org, "not theirs", w.row.token);
    ask();
    answer(fault_none(), 1);
    cr_assert_eq(w.count, 1);
    cr_assert_str_eq(w.heard.auth_token[0], "old token");
    cr_assert_str_eq(w.heard.auth_token[1], "");
}

Test(accounts, closing_silences)
{
    ask();
    answer(fault_none(), 1);
    ask();
    cr_assert_eq(w.answers, 1);
    accounts_close(&w.accounts);
    loop_run_once(w.loop, false);
    cr_assert_eq(w.answers, 1);
}
