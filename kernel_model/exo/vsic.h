/* vsic.h: virtual storage interfaces: a virtual function of an NVMe drive, a
 * controller of its own, granted first come, first served; one emulated in software
 * (vsic_emulation.h) where the drive has none left.
 *
 * The environment gets I/O queue pairs in its own memory and their doorbell registers
 * mapped, and no other register: the admin queue is the kernel's. DMA is confined to
 * the environment's memory by the IOMMU, commands to the VSAs attached to the
 * controller (vsa.h) by the drive. */
#ifndef STILLSUIT_KERNEL_MODEL_EXO_VSIC_H
#define STILLSUIT_KERNEL_MODEL_EXO_VSIC_H

#include "hw/nvme/nvme.h"
#include "kernel_model/exo/environment.h"
#include "kernel_model/exo/extents.h"
#include "kernel_model/exo/memory.h"

enum { EXO_VSIC_QUEUES_MAX = 64 };

/* A drive that the kernel multiplexes. */
struct exo_drive {
    struct exo_drive *next;
    struct exo_kernel *kernel;
    struct device *device;
    struct extents free;
    struct exo_emulation *emulation; /* NULL: none */
};

/* A VSA in a VSIC, under a capability. */
struct exo_attachment {
    struct exo_attachment *next;
    struct exo_vsa *vsa;
    uint32_t capability; /* of the VSA, by which it was made */
    unsigned rights;     /* NVME_RIGHT_* */
};

struct exo_vsic {
    struct exo_vsic *next;
    struct exo_kernel *kernel;
    struct exo_environment *holder; /* whose memory its DMA reaches */
    struct exo_drive *drive;
    uint32_t number; /* function; 0: emulated */
    struct pcie_function *pcie;
    uint64_t admin_physical, admin_address; /* the admin queue's memory */
    uint64_t queues;                        /* bit n: queue pair n + 1 is granted */
    uint64_t closing;                       /* bit n: it was given up, and is not idle yet */
    struct exo_attachment *attachments;
    uint32_t weight;
    struct nvme_rate rate;
    struct exo_emulated *emulated;
};

struct exo_storage_queue {
    struct exo_vsic *vsic;
    struct exo_environment *holder;
    uint32_t index;               /* queue pair index + 1 */
    struct exo_mapping *mappings; /* of its doorbells */
};

/* Takes a drive, all of whose blocks but the first `reserved_blocks` can become VSAs. */
struct exo_drive *exo_drive_add(struct exo_kernel *kernel, struct device *device, uint64_t reserved_blocks,
                                struct error *error);
struct exo_drive *exo_drive_of(const struct exo_kernel *kernel, const struct device *device);

/* A VSIC of the drive: a virtual function, or an emulated one if none is left and the
 * drive has an emulation. ERR_SHARE, ERR_EXHAUSTED. */
enum error_code exo_vsic_grant(struct exo_environment *environment, struct exo_drive *drive, struct exo_handle *out,
                               struct error *error);
/* Whether it is emulated; false also for what is no handle of a VSIC. */
bool exo_vsic_is_emulated(struct exo_environment *environment, const struct exo_handle *vsic);

/* What a library needs of a queue pair. */
struct exo_storage_binding {
    uint16_t queue;     /* its number in the controller, from 1 */
    uint64_t doorbells; /* virtual address of the controller's register 0, of which the
                           queue's two doorbells alone are mapped */
    uint32_t doorbell_stride;
};
/* Where a queue pair lies, as the drive sees the environment's memory. Whatever lies
 * there: the IOMMU is who says what the drive may reach. */
struct exo_queue_memory {
    uint64_t submission, completion;
    uint32_t entries; /* of both queues */
};
/* A queue pair in the environment's memory, with so many entries in both
 * queues and interrupts by MSI-X vector `queue`, or without. Takes EXO_BIND.
 * ERR_SHARE, ERR_EXHAUSTED, ERR_RANGE for a size that queues cannot have. */
enum error_code exo_storage_queue_grant(struct exo_environment *environment, const struct exo_handle *vsic,
                                        const struct exo_queue_memory *memory, bool interrupts,
                                        struct exo_storage_binding *binding, struct exo_handle *out,
                                        struct error *error);

/* The weight among VSICs and the rate specifier; both take EXO_CONTROL and are bounded
 * by the environment's limits (ERR_SHARE): nobody takes more than was agreed. */
enum error_code exo_vsic_set_weight(struct exo_environment *environment, const struct exo_handle *vsic, uint32_t weight,
                                    struct error *error);
enum error_code exo_vsic_set_rate(struct exo_environment *environment, const struct exo_handle *vsic,
                                  const struct nvme_rate *rate, struct error *error);

/* ---- For the kernel's own files. ---- */
void exo_vsic_init(struct exo_kernel *kernel);
/* Has the controller know what a VSIC may do with a VSA: the union of its attachments.
 * ERR_EXHAUSTED. */
enum error_code exo_vsic_apply(struct exo_vsic *vsic, struct exo_vsa *vsa);
/* Ends the attachments of a VSA to one VSIC made by a capability, or all of them.
 * ERR_NOT_FOUND: there were none. */
enum error_code exo_vsic_remove(struct exo_vsic *vsic, struct exo_vsa *vsa, uint32_t capability);
/* The same in every VSIC. */
void exo_vsic_detach(struct exo_kernel *kernel, struct exo_vsa *vsa, uint32_t capability);
/* What a VSIC may do with a VSA: NVME_RIGHT_*; 0 if it is not attached. */
unsigned exo_vsic_rights(const struct exo_vsic *vsic, const struct exo_vsa *vsa);
enum error_code exo_storage_exhausted(struct exo_environment *environment, struct error *error, const char *what);
enum error_code exo_storage_share(struct exo_environment *environment, struct error *error, const char *what);

#endif
