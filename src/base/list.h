/* list.h -- intrusive doubly linked list; an element is on at most one list by one link.
 *
 * Owner   the element's owner owns the link; the list head owns nothing.
 * Thread  the loop that owns the list. */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include "base/macros.h"

struct list {
    struct list *next;
    struct list *prev;
};

static inline void list_init(struct list *l)
{
    l->next = l;
    l->prev = l;
}

static inline bool list_empty(const struct list *l)
{
    return l->next == l;
}

static inline bool list_linked(const struct list *l)
{
    return l->next != NULL && l->next != l;
}

static inline void list_push_back(struct list *head, struct list *l)
{
    l->prev = head->prev;
    l->next = head;
    head->prev->next = l;
    head->prev = l;
}

static inline void list_push_front(struct list *head, struct list *l)
{
    list_push_back(head->next, l);
}

static inline void list_remove(struct list *l) /* safe on an unlinked, initialised link */
{
    if (l->next != NULL) {
        l->next->prev = l->prev;
        l->prev->next = l->next;
    }
    list_init(l);
}

static inline struct list *list_pop_front(struct list *head)
{
    if (list_empty(head)) {
        return NULL;
    }
    struct list *l = head->next;
    list_remove(l);
    return l;
}

#define LIST_ITEM(l, type, member) CONTAINER_OF(l, type, member)
#define LIST_EACH(it, head)        for (struct list *it = (head)->next; it != (head); it = it->next)
/* The body may remove `it`. */
#define LIST_EACH_SAFE(it, head)                                                                   \
    for (struct list *it = (head)->next, *it##_next = it->next; it != (head);                      \
         it = it##_next, it##_next = it->next)

#endif
