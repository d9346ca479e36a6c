/* What DPDK has as inline functions and macros, as functions; and a few whose C is short and whose
 * Rust would be long. */
#ifndef STROWGER_DPDK_SHIM_H
#define STROWGER_DPDK_SHIM_H

#include <stdint.h>

#include <rte_dev.h>
#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_lcore.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>

/* What there is to know of a port before it is configured. */
struct shim_port {
	struct rte_device *device;
	char driver[32];
	int socket;
	uint16_t rx_queues_max;
	uint16_t tx_queues_max;
};

/* The error of this thread, as errno has it. */
int shim_errno(void);

/* 0, or a negative error. */
int shim_port(uint16_t port, struct shim_port *about);

/* Configures so many queues in each direction, datagrams spread over them by addresses and ports
 * where the device can. 0, or a negative error. */
int shim_configure(uint16_t port, uint16_t queues);

/* Sets both directions of a queue up. 0, or a negative error. */
int shim_queue(uint16_t port, uint16_t queue, uint16_t rx_descriptors, uint16_t tx_descriptors,
	       int socket, struct rte_mempool *pool);

/* 1 when the link is up, 0 when it is not or nobody knows. */
int shim_link_is_up(uint16_t port);

uint16_t shim_rx_burst(uint16_t port, uint16_t queue, struct rte_mbuf **mbufs, uint16_t count);
uint16_t shim_tx_burst(uint16_t port, uint16_t queue, struct rte_mbuf **mbufs, uint16_t count);

/* All or none: 0, or a negative error. */
int shim_alloc(struct rte_mempool *pool, struct rte_mbuf **mbufs, unsigned int count);
void shim_free(struct rte_mbuf *mbuf);

/* Makes one segment of a packet that is to be sent: so many bytes from an offset of its buffer. */
void shim_prepare(struct rte_mbuf *mbuf, uint16_t offset, uint16_t bytes);

/* 1 for a packet in one piece, in its own buffer, of this pool, that nobody else has. */
int shim_is_plain(const struct rte_mbuf *mbuf, const struct rte_mempool *pool);

#endif
