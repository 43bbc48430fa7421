/* vsa.h: virtual storage areas: persistent segments made of extents of a drive.
 *
 * A VSA outlives whoever made it: the kernel keeps it under its name, for its owner
 * (the name of the environment that made it, for which whoever creates environments
 * vouches) and for those to whom it was exported. What an environment holds are
 * capabilities below the kernel's own; attaching a VSA to a VSIC by one makes the
 * secure binding: the drive maps and checks every command. Revoking the capability
 * detaches it there. */
#ifndef STILLSUIT_KERNEL_MODEL_EXO_VSA_H
#define STILLSUIT_KERNEL_MODEL_EXO_VSA_H

#include "kernel_model/exo/vsic.h"

enum { EXO_VSA_NAME_BYTES = 48, EXO_VSA_EXTENTS_MAX = 64, EXO_VSA_EXPORTS_MAX = 16 };

struct exo_export {
    char to[EXO_VSA_NAME_BYTES]; /* an environment's name; "": everybody */
    unsigned rights;
};

struct exo_vsa {
    struct exo_vsa *next;
    struct exo_drive *drive;
    char name[EXO_VSA_NAME_BYTES], owner[EXO_VSA_NAME_BYTES];
    struct exo_handle root; /* the kernel's */
    uint32_t nsid;
    uint64_t blocks;
    struct nvme_extent extents[EXO_VSA_EXTENTS_MAX];
    uint32_t extent_count;
    struct exo_export exports[EXO_VSA_EXPORTS_MAX];
    uint32_t export_count;
};

/* A new VSA of at least `bytes` (whole blocks), which reads as zeroes: from block
 * `wanted` of the drive on, or anywhere if it is EXO_ANY_BLOCK. ERR_EXISTS: the drive
 * has one of that name; ERR_SHARE, ERR_EXHAUSTED, ERR_RANGE. */
#define EXO_ANY_BLOCK UINT64_MAX
enum error_code exo_vsa_create(struct exo_environment *environment, struct exo_drive *drive, const char *name,
                               uint64_t bytes, uint64_t wanted, struct exo_handle *out, struct error *error);
/* Grows or shrinks it; what stays keeps its contents. Takes EXO_CONTROL. */
enum error_code exo_vsa_resize(struct exo_environment *environment, const struct exo_handle *vsa, uint64_t bytes,
                               struct error *error);
/* Ends it, every capability on it and every attachment; its blocks are free and read
 * as zeroes. Takes EXO_CONTROL, and the environment must own it. */
enum error_code exo_vsa_delete(struct exo_environment *environment, const struct exo_handle *vsa, struct error *error);

/* Lets `to` (NULL: everybody) acquire it with at most `rights`; 0 ends that for the
 * future (what was acquired stays until it is revoked). Takes EXO_CONTROL and
 * EXO_GRANT, and no right that the exporter lacks. */
enum error_code exo_vsa_export(struct exo_environment *environment, const struct exo_handle *vsa, const char *to,
                               unsigned rights, struct error *error);
/* A capability on the VSA of that name with `rights`: its owner gets any, another what
 * was exported to it. ERR_NOT_FOUND, ERR_DENIED. */
enum error_code exo_vsa_acquire(struct exo_environment *environment, struct exo_drive *drive, const char *name,
                                unsigned rights, struct exo_handle *out, struct error *error);

/* Attaches a VSA to a VSIC, for reading or also writing: takes EXO_BIND on the VSIC and
 * EXO_READ (and EXO_WRITE) on the VSA. `nsid` is how commands name it. ERR_EXHAUSTED: an
 * emulated VSIC has all that it can. */
enum error_code exo_vsa_attach(struct exo_environment *environment, const struct exo_handle *vsic,
                               const struct exo_handle *vsa, bool write, uint32_t *nsid, struct error *error);
/* Ends what was attached by that capability. */
enum error_code exo_vsa_detach(struct exo_environment *environment, const struct exo_handle *vsic,
                               const struct exo_handle *vsa, struct error *error);
/* Blocks of it, by a capability for reading; 0 if it is refused. */
uint64_t exo_vsa_blocks(struct exo_environment *environment, const struct exo_handle *vsa);

/* ---- For the kernel's own files. ---- */
void exo_vsa_init(struct exo_kernel *kernel);
void exo_vsa_fini(struct exo_kernel *kernel);
uint64_t exo_vsa_bytes_of(const struct exo_environment *environment);

#endif
