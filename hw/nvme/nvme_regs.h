/* nvme_regs.h: registers, commands, completions and data structures of NVM Express,
 * as in the NVM Express Base Specification, revision 1.4 (section numbers are its),
 * as far as the model has them. Little-endian, like the machine. */
#ifndef STILLSUIT_HW_NVME_NVME_REGS_H
#define STILLSUIT_HW_NVME_NVME_REGS_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

/* ---- Controller registers, BAR 0 (3.1) ---- */
enum {
    NVME_REG_CAP = 0x00, /* 64 bits */
    NVME_REG_VS = 0x08,
    NVME_REG_INTMS = 0x0c, /* of pins and MSI; without effect with MSI-X */
    NVME_REG_INTMC = 0x10,
    NVME_REG_CC = 0x14,
    NVME_REG_CSTS = 0x1c,
    NVME_REG_AQA = 0x24,
    NVME_REG_ASQ = 0x28, /* 64 bits */
    NVME_REG_ACQ = 0x30, /* 64 bits */
    NVME_REG_DOORBELLS = 0x1000
};
enum { NVME_VERSION_1_4 = 0x00010400 };

/* CAP (3.1.1): MQES 15:0 (0's based), CQR 16, AMS 18:17, TO 31:24 (of 500 ms), DSTRD
 * 35:32 (stride 4 << DSTRD), CSS 44:37, MPSMIN 51:48, MPSMAX 55:52 (4 KiB << n). */
enum {
    NVME_CAP_CQR_BIT = 16,
    NVME_CAP_TO_SHIFT = 24,
    NVME_CAP_DSTRD_SHIFT = 32,
    NVME_CAP_DSTRD_MASK = 0xf,
    NVME_CAP_CSS_NVM_BIT = 37,
    NVME_CAP_MQES_MASK = 0xffff
};
/* CC (3.1.5) */
enum {
    NVME_CC_ENABLE = 1 << 0,
    NVME_CC_CSS_SHIFT = 4,
    NVME_CC_CSS_MASK = 7,
    NVME_CC_MPS_SHIFT = 7, /* 4 KiB << MPS */
    NVME_CC_MPS_MASK = 0xf,
    NVME_CC_AMS_SHIFT = 11,
    NVME_CC_AMS_MASK = 7,
    NVME_CC_SHN_SHIFT = 14, /* shutdown notification: 0 none, 1 normal, 2 abrupt */
    NVME_CC_SHN_MASK = 3,
    NVME_CC_IOSQES_SHIFT = 16, /* log2 of an entry's bytes */
    NVME_CC_IOCQES_SHIFT = 20,
    NVME_CC_ENTRY_MASK = 0xf,
    NVME_CC_IOSQES = 6,
    NVME_CC_IOCQES = 4
};
/* What a driver writes to enable a controller of this model. */
#define NVME_CC_ON                                                                                                     \
    ((uint32_t)NVME_CC_ENABLE | (uint32_t)NVME_CC_IOSQES << NVME_CC_IOSQES_SHIFT |                                     \
     (uint32_t)NVME_CC_IOCQES << NVME_CC_IOCQES_SHIFT)
/* CSTS (3.1.6) */
enum {
    NVME_CSTS_READY = 1 << 0,
    NVME_CSTS_FATAL = 1 << 1,
    NVME_CSTS_SHUTDOWN_SHIFT = 2, /* 0 none, 1 occurring, 2 complete */
    NVME_CSTS_SHUTDOWN_MASK = 3
};
/* AQA (3.1.8): both 0's based */
enum { NVME_AQA_ASQS_SHIFT = 0, NVME_AQA_ACQS_SHIFT = 16, NVME_AQA_MASK = 0xfff };

/* Doorbells (3.1.24, 3.1.25): offset for a stride in bytes. */
#define NVME_SQ_DOORBELL(queue, stride) ((uint64_t)NVME_REG_DOORBELLS + 2 * (uint64_t)(queue) * (stride))
#define NVME_CQ_DOORBELL(queue, stride) ((uint64_t)NVME_REG_DOORBELLS + (2 * (uint64_t)(queue) + 1) * (stride))

enum {
    NVME_PAGE_BYTES = 4096, /* CC.MPS 0, the only one */
    NVME_SQE_BYTES = 64,
    NVME_CQE_BYTES = 16,
    NVME_QUEUE_MIN = 2, /* entries (4.1.3) */
    NVME_ADMIN_QUEUE_MAX = 4096,
    NVME_QUEUE_MAX = 65536
};
#define NVME_NSID_ALL UINT32_C(0xffffffff)

/* ---- Submission queue entry (4.2) ---- */
struct nvme_sqe {
    uint8_t opcode;
    uint8_t flags; /* FUSE 1:0, PSDT 7:6 */
    uint16_t command_id;
    uint32_t nsid;
    uint32_t dword2, dword3;
    uint64_t metadata;
    uint64_t prp1, prp2; /* 4.3 */
    uint32_t dword10, dword11, dword12, dword13, dword14, dword15;
};
static_assert(sizeof(struct nvme_sqe) == NVME_SQE_BYTES, "4.2: 64 bytes");
static_assert(offsetof(struct nvme_sqe, nsid) == 4, "4.2: bytes 7:4");
static_assert(offsetof(struct nvme_sqe, prp1) == 24, "4.2: bytes 31:24");
static_assert(offsetof(struct nvme_sqe, prp2) == 32, "4.2: bytes 39:32");
static_assert(offsetof(struct nvme_sqe, dword10) == 40, "4.2: bytes 43:40");
static_assert(offsetof(struct nvme_sqe, dword15) == 60, "4.2: bytes 63:60");
enum { NVME_FLAGS_FUSE = 0x03, NVME_FLAGS_PSDT = 0xc0 };

/* ---- Completion queue entry (4.6) ---- */
struct nvme_cqe {
    uint32_t result; /* dword 0: the command's */
    uint32_t reserved;
    uint16_t sq_head, sq_id;
    uint16_t command_id;
    uint16_t status; /* phase 0, then SC 8:1, SCT 11:9, more 14, do not retry 15 (4.6.1) */
};
static_assert(sizeof(struct nvme_cqe) == NVME_CQE_BYTES, "4.6: 16 bytes");
static_assert(offsetof(struct nvme_cqe, sq_head) == 8, "4.6: dword 2");
static_assert(offsetof(struct nvme_cqe, command_id) == 12, "4.6: dword 3");
static_assert(offsetof(struct nvme_cqe, status) == 14, "4.6: dword 3");
enum { NVME_CQE_PHASE = 1, NVME_CQE_STATUS_SHIFT = 1, NVME_CQE_STATUS_MASK = 0x7ff };

/* Status as SCT << 8 | SC (4.6.1.2): what stands in a completion's bits 11:1. */
enum nvme_status {
    /* generic command status */
    NVME_SUCCESS = 0x000,
    NVME_INVALID_OPCODE = 0x001,
    NVME_INVALID_FIELD = 0x002,
    NVME_DATA_TRANSFER_ERROR = 0x004,
    NVME_INTERNAL_ERROR = 0x006,
    NVME_ABORT_REQUESTED = 0x007,
    NVME_ABORTED_SQ_DELETION = 0x008,
    NVME_INVALID_NAMESPACE = 0x00b, /* or format */
    NVME_COMMAND_SEQUENCE_ERROR = 0x00c,
    NVME_PRP_OFFSET_INVALID = 0x013,
    NVME_LBA_OUT_OF_RANGE = 0x080,
    /* command specific status, admin */
    NVME_CQ_INVALID = 0x100,
    NVME_INVALID_QUEUE_ID = 0x101,
    NVME_INVALID_QUEUE_SIZE = 0x102,
    NVME_ABORT_LIMIT_EXCEEDED = 0x103,
    NVME_EVENT_LIMIT_EXCEEDED = 0x105,
    NVME_INVALID_VECTOR = 0x108,
    NVME_INVALID_LOG_PAGE = 0x109,
    NVME_INVALID_QUEUE_DELETION = 0x10c,
    NVME_FEATURE_NOT_SAVEABLE = 0x10d,
    NVME_FEATURE_NOT_CHANGEABLE = 0x10e,
    NVME_INSUFFICIENT_CAPACITY = 0x115,
    NVME_NSID_UNAVAILABLE = 0x116,
    NVME_ALREADY_ATTACHED = 0x118,
    NVME_NOT_ATTACHED = 0x11a,
    NVME_CONTROLLER_LIST_INVALID = 0x11c,
    /* command specific status, NVM */
    NVME_READ_ONLY_RANGE = 0x182 /* attempted write to read only range */
};

/* ---- Admin commands (5) ---- */
enum nvme_admin_opcode {
    NVME_ADMIN_DELETE_SQ = 0x00,            /* 5.6 */
    NVME_ADMIN_CREATE_SQ = 0x01,            /* 5.4 */
    NVME_ADMIN_GET_LOG_PAGE = 0x02,         /* 5.14 */
    NVME_ADMIN_DELETE_CQ = 0x04,            /* 5.5 */
    NVME_ADMIN_CREATE_CQ = 0x05,            /* 5.3 */
    NVME_ADMIN_IDENTIFY = 0x06,             /* 5.15 */
    NVME_ADMIN_ABORT = 0x08,                /* 5.1 */
    NVME_ADMIN_SET_FEATURES = 0x09,         /* 5.21 */
    NVME_ADMIN_GET_FEATURES = 0x0a,         /* 5.13 */
    NVME_ADMIN_ASYNC_EVENT = 0x0c,          /* 5.2 */
    NVME_ADMIN_NAMESPACE_MANAGEMENT = 0x0d, /* 5.20 */
    NVME_ADMIN_NAMESPACE_ATTACHMENT = 0x15  /* 5.19 */
};
/* Create I/O queues: QID dword10 15:0, QSIZE 31:16 (0's based). Dword 11 of a CQ: PC
 * 0, IEN 1, IV 31:16; of a SQ: PC 0, QPRIO 2:1, CQID 31:16. */
enum { NVME_QUEUE_CONTIGUOUS = 1 << 0, NVME_CQ_INTERRUPTS = 1 << 1 };

enum nvme_identify_cns {
    NVME_CNS_NAMESPACE = 0x00,
    NVME_CNS_CONTROLLER = 0x01,
    NVME_CNS_ACTIVE_NAMESPACES = 0x02,
    NVME_CNS_ALLOCATED_NAMESPACES = 0x10, /* with namespace management */
    NVME_CNS_ALLOCATED_NAMESPACE = 0x11
};
enum nvme_feature {
    NVME_FEATURE_ARBITRATION = 0x01, /* dword 11: AB 2:0, 2^n commands, 7: no limit */
    NVME_FEATURE_WRITE_CACHE = 0x06, /* WCE 0 */
    NVME_FEATURE_QUEUES = 0x07,      /* NSQR 15:0, NCQR 31:16, 0's based */
    NVME_FEATURE_COALESCING = 0x08,  /* THR 7:0 (0's based), TIME 15:8 (of 100 us) */
    NVME_FEATURE_VECTOR = 0x09,      /* IV 15:0, CD 16: not coalesced */
    NVME_FEATURE_EVENTS = 0x0b
};
/* Asynchronous events (5.2.1): type 2:0, information 15:8, log page 23:16. */
enum { NVME_EVENT_INVALID_DOORBELL = 0x00, NVME_EVENT_INVALID_DOORBELL_VALUE = 0x01, NVME_LOG_ERRORS = 0x01 };

/* Identify: what lies where in its 4,096 bytes (5.15.2). */
enum {
    NVME_IDENTIFY_BYTES = 4096,
    /* controller (figure "Identify Controller data structure") */
    NVME_ID_VID = 0,
    NVME_ID_SERIAL = 4,
    NVME_ID_MODEL = 24,
    NVME_ID_FIRMWARE = 64,
    NVME_ID_CMIC = 76,
    NVME_ID_MDTS = 77, /* 2^n pages of the smallest size; 0 no limit */
    NVME_ID_CNTLID = 78,
    NVME_ID_VERSION = 80,
    NVME_ID_OACS = 256, /* bit 3: namespace management */
    NVME_ID_ACL = 258,
    NVME_ID_AERL = 259,
    NVME_ID_SQES = 512,
    NVME_ID_CQES = 513,
    NVME_ID_NN = 516,
    NVME_ID_ONCS = 520, /* bit 2: dataset management */
    NVME_ID_VWC = 525,  /* bit 0: there is one; 2:1 11b: Flush of all namespaces */
    /* namespace */
    NVME_NS_SIZE = 0,
    NVME_NS_CAPACITY = 8,
    NVME_NS_UTILIZATION = 16,
    NVME_NS_NLBAF = 25,
    NVME_NS_FLBAS = 26,
    NVME_NS_NMIC = 30,
    NVME_NS_DLFEAT = 33, /* 1: deallocated blocks read as zeroes */
    NVME_NS_LBAF0 = 128, /* LBADS 23:16 */
    NVME_NS_VENDOR = 384 /* vendor specific from here; ours: below */
};
enum { NVME_OACS_NAMESPACES = 1 << 3, NVME_ONCS_DATASET_MANAGEMENT = 1 << 2, NVME_LIST_MAX = 1024 };

/* Namespace Management (5.20): SEL dword10 3:0: 0 create (data: as Identify
 * Namespace), 1 delete. This model's vendor-specific part of the data: the extents of
 * which the namespace is made, a 64-bit count (0: the drive chooses) and so many of
 * struct nvme_extent_entry. Namespace Attachment (5.19): SEL 0 attach, 1 detach; data:
 * a controller list. Vendor specific in dword 15 of an attachment: bit 0: read only. */
enum { NVME_SELECT_CREATE = 0, NVME_SELECT_DELETE = 1, NVME_SELECT_ATTACH = 0, NVME_SELECT_DETACH = 1 };
enum { NVME_ATTACH_READ_ONLY = 1 << 0 };
struct nvme_extent_entry {
    uint64_t first_block, blocks; /* of the drive */
};
enum {
    NVME_NS_EXTENT_COUNT = NVME_NS_VENDOR,
    NVME_NS_EXTENTS = NVME_NS_VENDOR + 8,
    NVME_NS_EXTENTS_MAX = (NVME_IDENTIFY_BYTES - NVME_NS_EXTENTS) / 16
};

/* ---- NVM commands (6) ---- */
enum nvme_opcode {
    NVME_FLUSH = 0x00,             /* 6.8 */
    NVME_WRITE = 0x01,             /* 6.14 */
    NVME_READ = 0x02,              /* 6.9 */
    NVME_DATASET_MANAGEMENT = 0x09 /* 6.7 */
};
/* Read, Write: SLBA dwords 10 and 11; dword 12: NLB 15:0 (0's based), PRINFO 29:26,
 * FUA 30, LR 31. */
enum { NVME_NLB_MASK = 0xffff, NVME_FORCE_UNIT_ACCESS_BIT = 30, NVME_PRINFO_SHIFT = 26, NVME_PRINFO_MASK = 0xf };
/* Dataset Management: NR dword10 7:0 (0's based); dword 11: AD 2. */
enum { NVME_DSM_RANGES_MASK = 0xff, NVME_DSM_DEALLOCATE = 1 << 2 };
struct nvme_dsm_range {
    uint32_t attributes, blocks;
    uint64_t first_block;
};
static_assert(sizeof(struct nvme_dsm_range) == 16, "6.7: 16 bytes a range");

#endif
