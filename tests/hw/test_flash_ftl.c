/* test_flash_ftl.c: the translation layer: write amplification against the closed form,
 * its state against a checker, wear, deallocation, determinism. */
#include <criterion/criterion.h>
#include <gsl/gsl_sf_lambert.h>
#include <math.h>
#include <stdio.h>

#include "tests/hw/flash_fixture.h"

/* ---- Write amplification ----
 * Uniform random writes on a full drive, greedy collection, large blocks: with a =
 * physical over logical space, a / (a + W(-a exp(-a))) (P. Desnoyers, Analytic
 * modeling of SSD write performance, SYSTOR 2012; Xiang and Kurkoski, An improved
 * analytic expression for write amplification in NAND flash, ICNC 2012). */

static double closed_form(double over_provisioning) {
    const double a = 1 + over_provisioning;
    return a / (a + gsl_sf_lambert_W0(-a * exp(-a)));
}

static double amplification(const struct flash_drive *drive) {
    const double host = (double)flash_counter(drive, "host_units");
    return (host + (double)flash_counter(drive, "gc_units") + (double)flash_counter(drive, "empty_units")) / host;
}

/* `drive` has been overwritten at random until steady; measured over one more round,
 * through the dies and their queues. */
static void check_amplification(const char *geometry, uint64_t capacity_bytes, double over_provisioning) {
    char text[512];
    (void)snprintf(text, sizeof text, "%sover_provisioning: %g %%\nprecondition: random\nprecondition_writes: 3\n",
                   geometry, 100 * over_provisioning);
    struct flash_drive *drive = flash_drive_make(capacity_bytes, text);
    (void)flash_load(drive, 32, drive->flash->ftl.config.units, flash_choose_write);
    const double got = amplification(drive), expected = closed_form(over_provisioning);
    cr_log_warn("over-provisioning %.2f: %.3f, closed form %.3f, %+.1f %%", over_provisioning, got, expected,
                100 * (got / expected - 1));
    cr_expect(fabs(got / expected - 1) < 0.05, "over-provisioning %.2f: %.3f, closed form %.3f", over_provisioning, got,
              expected);
    flash_check_state(drive);
    flash_drive_free(drive);
}

static const double over_provisionings[] = {0.07, 0.10, 0.20, 0.28, 0.50};

Test(flash_ftl, write_amplification_of_one_die_is_the_closed_form) {
    cr_assert_float_eq(closed_form(0.07), 7.82, 0.005);
    cr_assert_float_eq(closed_form(0.50), 1.72, 0.005);
    for (unsigned i = 0; i < 5; i++) {
        check_amplification(
            "channels: 1\nchips: 1\nplanes: 1\npage_size: 4 KiB\npages_per_block: 256\nfill_wait: 1 s\n",
            2048 * (uint64_t)FLASH_MIB, over_provisionings[i]);
    }
}

Test(flash_ftl, write_amplification_of_many_dies_is_the_closed_form) {
    for (unsigned i = 0; i < 5; i++) {
        check_amplification("channels: 2\nchips: 2\nplanes: 2\npage_size: 8 KiB\npages_per_block: 64\nfill_wait: 1 s\n",
                            2048 * (uint64_t)FLASH_MIB, over_provisionings[i]);
    }
}
