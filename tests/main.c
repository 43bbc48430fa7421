/* main.c of every test program: runs Criterion and checks that it ran what the
 * sources declare. */
#include <criterion/criterion.h>
#include <stdio.h>

int main(int argc, char *argv[]) {
    struct criterion_test_set *tests = criterion_initialize();
    const size_t found = tests->tests;
    int status = 0;
    if (criterion_handle_args(argc, argv, true)) {
        status = !criterion_run_all_tests(tests);
    }
    criterion_finalize(tests);
    if (found < TESTS_DECLARED) {
        (void)fprintf(stderr, "%zu tests were found, %d are declared in the sources\n", found, TESTS_DECLARED);
        return 1;
    }
    return status;
}
