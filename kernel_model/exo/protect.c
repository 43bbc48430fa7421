/* protect.c: what a bound page allows, changed by its owner. */
#include "kernel_model/exo/aegis_machine.h"
#include "kernel_model/exo/binding.h"

/* The frame of the page's binding, which allows what is asked for. */
static enum error_code allow(struct aegis_environment *environment, uint32_t page, bool write, uint64_t *physical,
                             struct error *error) {
    struct aegis *aegis = environment->aegis;
    aegis_step(aegis, &aegis->costs->binding_find);
    const struct aegis_binding *binding = aegis_binding_find(environment, page);
    if (binding == NULL || (write && !binding->write)) {
        return error_set(error, ERR_DENIED, "%s: 0x%x is not bound for that", environment->environment->name, page);
    }
    *physical = (uint64_t)binding->frame * MEMORY_FRAME_BYTES;
    return OK;
}

static enum error_code protect_page(struct aegis_environment *environment, uint32_t page,
                                    enum aegis_protection protection, struct error *error) {
    struct aegis *aegis = environment->aegis;
    const bool access = protection != AEGIS_NO_ACCESS, write = protection == AEGIS_READ_WRITE;
    uint64_t physical = 0;
    aegis_step(aegis, &aegis->costs->protect_page);
    enum error_code code = aegis_check_page(environment, page, error);
    if (code == OK && access) {
        code = allow(environment, page, write, &physical, error);
    }
    if (code == OK) {
        aegis->machine->allow(environment, page, physical, access, write);
    }
    return code;
}

enum error_code aegis_tlb_protect(struct aegis_environment *environment, uint32_t virtual_address, uint64_t pages,
                                  enum aegis_protection protection, struct error *error) {
    struct aegis *aegis = environment->aegis;
    const uint32_t first = virtual_address & AEGIS_PAGE_MASK;
    enum error_code code = OK;
    aegis_call_begin(environment, aegis_components.binding, true);
    for (uint64_t i = 0; i < pages && code == OK; i++) {
        const uint64_t page = first + i * AEGIS_PAGE;
        code = protect_page(environment, page < AEGIS_USER_END ? (uint32_t)page : AEGIS_USER_END, protection, error);
    }
    aegis->machine->allowed(environment);
    aegis_call_end(environment);
    return code;
}
