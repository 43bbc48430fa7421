/* test_ops_choose.c: one of several ways, chosen when the script is compiled. */
#include <criterion/criterion.h>
#include <string.h>

#include "fake_system.h"
#include "sim/random.h"
#include "workloads/interpreter.h"

static struct fake_system fake;

static const char text[] = "parameters:\n"
                           "  way: {type: choice, choices: [left, right, none], default: left}\n"
                           "server:\n"
                           "  setup:\n"
                           "    - choose:\n"
                           "        by: \"${way}\"\n"
                           "        among: {left: [{file: {name: f}}], right: [{log: {name: l}}], none: []}\n"
                           "  loop:\n"
                           "    - compute: 1 us\n"
                           "    - choose:\n"
                           "        by: \"${way}\"\n"
                           "        among:\n"
                           "          left: [{write: {to: f, bytes: 8 B}}]\n"
                           "          right: [{append: {to: l, bytes: 8 B}}]\n"
                           "          none: []\n";

Test(ops_choose, only_what_is_chosen_is_in_the_script) {
    struct error error = {0};
    struct script *script = fake_script(text);
    cr_assert_not_null(script);
    cr_expect(script_uses(script, "file"), "in the setup, within a choice");
    cr_expect(script_uses(script, "write"));
    cr_expect_not(script_uses(script, "log"), "or a system without logs would refuse it");
    random_seed(1);
    fake_system_init(&fake);
    cr_assert_not_null(interpreter_create(script, &fake.system, "app", 0, &error), "%s", error.text);
    sim_run(3 * SIM_US);
    cr_assert_not_null(strstr(fake.log, "open f 0\ncompute 1000000 ps\nwrite 0 -1 8\n"), "%s", fake.log);
}
