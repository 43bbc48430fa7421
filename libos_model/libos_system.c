/* libos_system.c: a system and its processes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hw/nic/nic.h"
#include "libos_model/libos_storage.h"
#include "libos_model/persist_log.h"

ledger_component libos_socket_queue;

void libos_declare_components(void) {
    system_declare_components();
    exo_declare_components();
    vf_declare_components();
    persist_declare_components();
    libos_storage_declare_components();
    libos_socket_queue = system_components.socket_queue;
}

static struct device *find_nic(const struct libos_config *config, const struct machine *machine,
                               const struct config_node *node, struct diagnostics *diagnostics) {
    struct device *nic = machine_device(machine, config->nic);
    const struct config_node *place = config_get(node, "nic") != NULL ? config_get(node, "nic") : node;
    if (nic == NULL) {
        diagnostics_at(diagnostics, place, "nic: the machine has no device \"%s\"", config->nic);
    } else if (nic->ops != &nic_sriov_ops) {
        diagnostics_at(diagnostics, place, "nic: device \"%s\" is of type %s; a library OS drives nic/sriov",
                       config->nic, nic->ops->type_name);
        nic = NULL;
    }
    return nic;
}

/* The drive of `storage:`; false if it is none, or cannot be had. */
static bool open_drive(struct libos_system *system, const struct config_node *node, struct diagnostics *diagnostics) {
    const struct libos_storage_config *config = &system->config.storage;
    struct error error = {OK, ""};
    if (system->config.storage_node == NULL) {
        return true;
    }
    const struct config_node *place = config_get(system->config.storage_node, "drive");
    place = place != NULL ? place : node;
    struct device *device = machine_device(system->base.machine, config->drive);
    if (device == NULL || device->ops != &nvme_ops) {
        diagnostics_at(diagnostics, place, "storage: the machine has no NVMe drive \"%s\"", config->drive);
        return false;
    }
    if (system->profile.storage_node == NULL) {
        diagnostics_at(diagnostics, node, "storage: the profile does not say what storage costs");
        return false;
    }
    const uint64_t bytes = nvme_blocks(device) * nvme_block_bytes(device);
    if (config->area > bytes) {
        const struct config_node *area = config_get(system->config.storage_node, "area");
        diagnostics_at(diagnostics, area != NULL ? area : place, "area: %llu B are more than \"%s\" has, %llu B",
                       (unsigned long long)config->area, config->drive, (unsigned long long)bytes);
        return false;
    }
    if (config->queue > nvme_queue_entries(device)) {
        const struct config_node *queue = config_get(system->config.storage_node, "queue");
        diagnostics_at(diagnostics, queue != NULL ? queue : place,
                       "queue: %llu entries are more than \"%s\" allows, %u", (unsigned long long)config->queue,
                       config->drive, nvme_queue_entries(device));
        return false;
    }
    system->drive = exo_drive_add(system->kernel, device, 0, &error);
    if (system->drive != NULL && config->emulation) {
        (void)exo_emulation_start(system->drive, (unsigned)config->emulation_core, (uint32_t)config->emulation_queue,
                                  &error);
    }
    if (error.code != OK) {
        diagnostics_at(diagnostics, place, "storage: %s", error.text);
    }
    return error.code == OK;
}

struct system *libos_create(const struct system_ops *ops, enum libos_kind kind, struct machine *machine,
                            const struct config_node *node, struct diagnostics *diagnostics) {
    struct libos_system *system = calloc(1, sizeof *system);
    SIM_ASSERT(system != NULL);
    system->base = (struct system){.ops = ops, .machine = machine};
    system->kind = kind;
    system->processes_end = &system->processes;
    bool good = libos_config_bind(node, &system->config, diagnostics);
    if (good) {
        good = libos_profile_bind(system->config.profile_node, &system->profile, diagnostics);
    }
    if (good && machine != NULL) {
        struct error error = {OK, ""};
        system->nic = find_nic(&system->config, machine, node, diagnostics);
        if (system->nic != NULL) {
            system->kernel =
                exo_kernel_create(machine, &system->profile.exokernel, (enum exo_idle)system->config.idle, &error);
        }
        if (system->nic != NULL && system->kernel == NULL) {
            diagnostics_at(diagnostics, node, "%s", error.text);
        }
        if (system->kernel != NULL && !open_drive(system, node, diagnostics)) {
            exo_kernel_free(system->kernel);
            system->kernel = NULL;
        }
    }
    if (system->kernel == NULL) {
        free(system);
        return NULL;
    }
    return &system->base;
}

static void process_free(struct libos_process *process) {
    while (process->threads != NULL) {
        struct libos_thread *thread = process->threads;
        process->threads = thread->next;
        libos_thread_free(thread);
    }
    if (process->environment != NULL) {
        exo_environment_destroy(process->environment);
    }
    free(process->drive);
    while (process->regions != NULL) {
        struct libos_region *region = process->regions;
        process->regions = region->next;
        free(region);
    }
    free(process);
}

void libos_destroy(struct system *base) {
    if (base == NULL) {
        return;
    }
    struct libos_system *system = (struct libos_system *)(void *)base;
    while (system->processes != NULL) {
        struct libos_process *process = system->processes;
        system->processes = process->next;
        process_free(process);
    }
    exo_kernel_free(system->kernel);
    free(system);
}

/* Each log is an area of its own; a thread's files lie in one. */
enum error_code libos_storage_check(const struct system *base, uint64_t file_bytes, uint64_t log_bytes,
                                    unsigned threads, struct error *error) {
    const struct libos_system *system = (const struct libos_system *)(const void *)base;
    const struct libos_storage_config *config = &system->config.storage;
    if (system->drive == NULL) {
        return OK; /* said where they are opened */
    }
    const struct device *device = system->drive->device;
    const uint64_t bytes = nvme_blocks(device) * nvme_block_bytes(device);
    if (file_bytes > config->area) {
        return error_set(error, ERR_RANGE, "its files, %llu B, do not fit into storage.area, %llu B",
                         (unsigned long long)file_bytes, (unsigned long long)config->area);
    }
    if (log_bytes > bytes / threads) {
        return error_set(error, ERR_RANGE, "logs of %llu B for each of %u threads are more than \"%s\" has, %llu B",
                         (unsigned long long)log_bytes, threads, config->drive, (unsigned long long)bytes);
    }
    return OK;
}

struct system_address libos_address(const struct system *base) {
    const struct libos_system *system = (const struct libos_system *)(const void *)base;
    struct system_address address = {.ip = system->config.ip};
    memcpy(address.mac, system->config.mac, sizeof address.mac);
    return address;
}

/* Where the NIC tells functions apart by MAC address, each process has its own;
 * where header filters do, all answer to the system's. */
static void process_mac(const struct libos_system *system, uint8_t mac[6]) {
    memcpy(mac, system->config.mac, 6);
    if (nic_filter_mode(system->nic) == NIC_FILTER_MAC) {
        uint32_t carry = system->process_count;
        for (int i = 5; i > 0 && carry > 0; i--) {
            carry += mac[i];
            mac[i] = (uint8_t)carry;
            carry >>= 8;
        }
    }
}

struct system_process *libos_process_create(struct system *base, const char *name, struct error *error) {
    struct libos_system *system = (struct libos_system *)(void *)base;
    struct libos_process *process = calloc(1, sizeof *process);
    SIM_ASSERT(process != NULL);
    process->base.system = base;
    (void)snprintf(process->name, sizeof process->name, "%s", name);
    process_mac(system, process->mac);
    process->base.address = libos_address(base);
    memcpy(process->base.address.mac, process->mac, sizeof process->mac);
    struct exo_limits limits = system->config.limits;
    if (system->drive != NULL) {
        const struct libos_share share = libos_share_of(&system->config.storage, name);
        limits.storage_weight = share.weight;
        limits.storage_bytes_per_s = share.rate;
    }
    process->environment = exo_environment_create(system->kernel, name, &limits, error);
    if (process->environment == NULL ||
        exo_function_grant(process->environment, system->nic, process->mac, &process->function, error) != OK ||
        exo_function_map(process->environment, &process->function, &process->registers, error) != OK ||
        (system->drive != NULL && libos_drive_open(process, error) != OK)) {
        process_free(process);
        return NULL;
    }
    system->process_count++;
    *system->processes_end = process;
    system->processes_end = &process->next;
    return &process->base;
}

/* ---- counters ---- */

static void visit_thread(const struct libos_thread *thread, const char *instance, const struct stats_sink *sink) {
    const struct libos_counters *counters = &thread->counters;
    stats_counter(sink, instance, "datagrams_received", counters->received);
    stats_counter(sink, instance, "datagrams_sent", counters->sent);
    stats_counter(sink, instance, "drops_no_socket", counters->no_socket);
    stats_counter(sink, instance, "drops_socket_full", counters->socket_full);
    stats_counter(sink, instance, "drops_bad_packet", counters->bad_packets);
    stats_counter(sink, instance, "drops_bad_checksum", counters->bad_checksums);
    stats_counter(sink, instance, "transmit_waits", counters->transmit_waits);
    stats_counter(sink, instance, "sleeps", counters->sleeps);
    stats_counter(sink, instance, "unknown_neighbours", counters->unknown_neighbours);
    stats_counter(sink, instance, "buffers_refilled", thread->driver.refilled);
    stats_counter(sink, instance, "buffers_reclaimed", thread->driver.reclaimed);
    stats_counter(sink, instance, "doorbells", thread->driver.doorbells);
    if (thread->storage != NULL) {
        libos_storage_visit(thread->storage, instance, sink);
    }
    if (thread->tcp != NULL) {
        tcp_host_visit_stats(&thread->tcp->host, instance, sink);
    }
}

void libos_visit_stats(const struct system *base, const struct stats_sink *sink) {
    const struct libos_system *system = (const struct libos_system *)(const void *)base;
    exo_visit_stats(system->kernel, sink);
    for (const struct libos_process *process = system->processes; process != NULL; process = process->next) {
        for (const struct libos_thread *thread = process->threads; thread != NULL; thread = thread->next) {
            char instance[64];
            (void)snprintf(instance, sizeof instance, "libos.%s.core%u", process->name,
                           core_index(thread->thread->home->core));
            visit_thread(thread, instance, sink);
        }
    }
}

/* What the exokernel refused stays: an attack while warming up is one, too. */
void libos_reset_stats(struct system *base) {
    struct libos_system *system = (struct libos_system *)(void *)base;
    for (struct libos_process *process = system->processes; process != NULL; process = process->next) {
        for (struct libos_thread *thread = process->threads; thread != NULL; thread = thread->next) {
            thread->counters = (struct libos_counters){0};
            if (thread->tcp != NULL) {
                tcp_host_reset_stats(&thread->tcp->host);
            }
            thread->driver.refilled = thread->driver.reclaimed = thread->driver.doorbells = 0;
        }
    }
}

void libos_visit_costs(const struct system *base,
                       void (*visit)(void *context, const char *key, const struct cost *cost), void *context) {
    const struct libos_system *system = (const struct libos_system *)(const void *)base;
    libos_profile_visit(&system->profile, system->kind, system->config.checksum_offload, system->streams, visit,
                        context);
}
