/* Set-up of controllers and queue pairs before the run, without simulated time. */
#include "hw/machine.h"
#include "hw/nvme/nvme.h"
#include "stack/nvme_queue.h"

enum { BOOT_ENTRIES_MAX = 64 };

enum error_code nvme_boot_controller(struct device *nvme, uint32_t function, uint64_t device_address, uint32_t entries,
                                     struct error *error) {
    struct pcie_root *root = nvme->machine->pcie;
    const struct pcie_function *pcie = nvme_function(nvme, function);
    SIM_ASSERT_MSG(pcie != NULL && entries >= NVME_QUEUE_MIN && entries <= BOOT_ENTRIES_MAX &&
                       device_address % MEMORY_FRAME_BYTES == 0,
                   "an admin queue of %u entries", entries);
    const uint64_t registers = pcie->bar_address[0];
    pcie_poke(root, registers + NVME_REG_CC, 4, 0);
    pcie_poke(root, registers + NVME_REG_AQA, 4,
              (entries - 1) << NVME_AQA_ACQS_SHIFT | (entries - 1) << NVME_AQA_ASQS_SHIFT);
    pcie_poke(root, registers + NVME_REG_ASQ, 8, device_address);
    pcie_poke(root, registers + NVME_REG_ACQ, 8, device_address + MEMORY_FRAME_BYTES);
    pcie_poke(root, registers + NVME_REG_CC, 4, NVME_CC_ON);
    const uint32_t status = (uint32_t)pcie_mmio_read(root, registers + NVME_REG_CSTS, 4);
    if (status != NVME_CSTS_READY) {
        return error_set(error, ERR_IO, "%s: function %u does not get ready (CSTS 0x%x)", nvme->name, function, status);
    }
    return OK;
}

static enum error_code run(struct device *nvme, uint32_t function, const struct nvme_sqe *command, const char *what,
                           struct error *error) {
    const enum nvme_status status = nvme_admin_now(nvme, function, command, NULL, NULL);
    if (status != NVME_SUCCESS) {
        return error_set(error, ERR_IO, "%s: function %u: %s: status 0x%03x", nvme->name, function, what,
                         (unsigned)status);
    }
    return OK;
}

enum error_code nvme_boot_pair(struct device *nvme, uint32_t function, const struct nvme_pair *pair, int vector,
                               struct error *error) {
    const struct nvme_pair_config *config = &pair->config;
    const uint32_t dword10 = (config->entries - 1) << 16 | config->queue;
    const uint32_t interrupts = vector < 0 ? 0 : (uint32_t)vector << 16 | NVME_CQ_INTERRUPTS;
    const struct nvme_sqe cq = {.opcode = NVME_ADMIN_CREATE_CQ,
                                .prp1 = config->device_address + (pair->cq - config->physical),
                                .dword10 = dword10,
                                .dword11 = interrupts | NVME_QUEUE_CONTIGUOUS};
    const struct nvme_sqe sq = {.opcode = NVME_ADMIN_CREATE_SQ,
                                .prp1 = config->device_address,
                                .dword10 = dword10,
                                .dword11 = (uint32_t)config->queue << 16 | NVME_QUEUE_CONTIGUOUS};
    enum error_code code = run(nvme, function, &cq, "completion queue", error);
    if (code != OK) {
        return code;
    }
    code = run(nvme, function, &sq, "submission queue", error);
    if (code != OK) { /* leave nothing behind */
        const struct nvme_sqe undo = {.opcode = NVME_ADMIN_DELETE_CQ, .dword10 = config->queue};
        (void)run(nvme, function, &undo, "completion queue", NULL);
    }
    return code;
}

enum error_code nvme_boot_delete_pair(struct device *nvme, uint32_t function, const struct nvme_pair *pair) {
    const struct nvme_sqe sq = {.opcode = NVME_ADMIN_DELETE_SQ, .dword10 = pair->config.queue};
    const struct nvme_sqe cq = {.opcode = NVME_ADMIN_DELETE_CQ, .dword10 = pair->config.queue};
    struct error error = {0};
    const enum error_code code = run(nvme, function, &sq, "submission queue", &error);
    return code == OK ? run(nvme, function, &cq, "completion queue", &error) : code;
}
