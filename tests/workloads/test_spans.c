/* test_spans.c: what `measure` adds up, for which messages. */
#include <criterion/criterion.h>

#include "workloads/spans.h"

Test(spans, add_up_for_a_message_and_count_zero_where_it_has_none) {
    struct spans spans;
    spans_init(&spans, 2);
    spans_begin(&spans, true);
    spans_add(&spans, 0, 3);
    spans_add(&spans, 0, 4);
    spans_begin(&spans, true); /* the first is over */
    spans_add(&spans, 1, 5);
    spans_end(&spans);
    cr_expect_eq(spans.each[0].count, 2);
    cr_expect_eq(spans.each[1].count, 2);
    cr_expect_eq((uint64_t)spans.each[0].sum, 7);
    cr_expect_eq(spans.each[0].maximum, 7);
    cr_expect_eq((uint64_t)spans.each[1].sum, 5);
    cr_expect_eq((uint64_t)spans.sum.sum, 12);
    cr_expect_eq(spans.sum.minimum, 5);
    spans_free(&spans);
}

Test(spans, of_messages_that_are_not_measured_are_not_added_up) {
    struct spans spans;
    spans_init(&spans, 1);
    spans_add(&spans, 0, 9); /* for nobody */
    spans_begin(&spans, false);
    spans_add(&spans, 0, 9);
    spans_end(&spans);
    cr_expect_eq(spans.each[0].count, 0);
    spans_begin(&spans, true);
    spans_add(&spans, 0, 2);
    spans_reset(&spans); /* the warm-up ends within a message */
    spans_add(&spans, 0, 2);
    spans_end(&spans);
    cr_expect_eq(spans.sum.count, 0);
    spans_free(&spans);
}

Test(spans, of_several_threads_merge) {
    struct spans one, two;
    spans_init(&one, 1);
    spans_init(&two, 1);
    spans_begin(&one, true);
    spans_add(&one, 0, 10);
    spans_end(&one);
    spans_begin(&two, true);
    spans_add(&two, 0, 30);
    spans_end(&two);
    spans_merge(&one, &two);
    cr_expect_eq(one.each[0].count, 2);
    cr_expect_eq((uint64_t)one.sum.sum, 40);
    spans_free(&one);
    spans_free(&two);
}
