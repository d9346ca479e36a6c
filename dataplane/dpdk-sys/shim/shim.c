#include "shim.h"

#include <string.h>

#include <rte_errno.h>

int shim_errno(void)
{
	return rte_errno;
}

int shim_port(uint16_t port, struct shim_port *about)
{
	struct rte_eth_dev_info info;
	int error = rte_eth_dev_info_get(port, &info);

	if (error != 0)
		return error;
	memset(about, 0, sizeof(*about));
	about->device = info.device;
	if (info.driver_name != NULL)
		strncpy(about->driver, info.driver_name, sizeof(about->driver) - 1);
	about->socket = rte_eth_dev_socket_id(port);
	about->rx_queues_max = info.max_rx_queues;
	about->tx_queues_max = info.max_tx_queues;
	return 0;
}

int shim_configure(uint16_t port, uint16_t queues)
{
	const uint64_t wanted = RTE_ETH_RSS_IPV4 | RTE_ETH_RSS_NONFRAG_IPV4_UDP |
				RTE_ETH_RSS_IPV6 | RTE_ETH_RSS_NONFRAG_IPV6_UDP;
	struct rte_eth_conf conf;
	struct rte_eth_dev_info info;
	int error = rte_eth_dev_info_get(port, &info);

	if (error != 0)
		return error;
	memset(&conf, 0, sizeof(conf));
	if (queues > 1 && (info.flow_type_rss_offloads & wanted) != 0) {
		conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
		conf.rx_adv_conf.rss_conf.rss_hf = info.flow_type_rss_offloads & wanted;
	}
	return rte_eth_dev_configure(port, queues, queues, &conf);
}

int shim_queue(uint16_t port, uint16_t queue, uint16_t rx_descriptors, uint16_t tx_descriptors,
	       int socket, struct rte_mempool *pool)
{
	int error = rte_eth_rx_queue_setup(port, queue, rx_descriptors, socket, NULL, pool);

	if (error != 0)
		return error;
	return rte_eth_tx_queue_setup(port, queue, tx_descriptors, socket, NULL);
}

int shim_link_is_up(uint16_t port)
{
	struct rte_eth_link link;

	memset(&link, 0, sizeof(link));
	if (rte_eth_link_get_nowait(port, &link) != 0)
		return 0;
	return link.link_status == RTE_ETH_LINK_UP;
}

uint16_t shim_rx_burst(uint16_t port, uint16_t queue, struct rte_mbuf **mbufs, uint16_t count)
{
	return rte_eth_rx_burst(port, queue, mbufs, count);
}

uint16_t shim_tx_burst(uint16_t port, uint16_t queue, struct rte_mbuf **mbufs, uint16_t count)
{
	return rte_eth_tx_burst(port, queue, mbufs, count);
}

int shim_alloc(struct rte_mempool *pool, struct rte_mbuf **mbufs, unsigned int count)
{
	return rte_pktmbuf_alloc_bulk(pool, mbufs, count);
}

void shim_free(struct rte_mbuf *mbuf)
{
	rte_pktmbuf_free(mbuf);
}

void shim_prepare(struct rte_mbuf *mbuf, uint16_t offset, uint16_t bytes)
{
	mbuf->ol_flags = 0;
	mbuf->packet_type = 0;
	mbuf->tx_offload = 0;
	mbuf->vlan_tci = 0;
	mbuf->nb_segs = 1;
	mbuf->data_off = offset;
	mbuf->data_len = bytes;
	mbuf->pkt_len = bytes;
}

int shim_is_plain(const struct rte_mbuf *mbuf, const struct rte_mempool *pool)
{
	return mbuf->pool == pool && mbuf->nb_segs == 1 && RTE_MBUF_DIRECT(mbuf) &&
	       rte_mbuf_refcnt_read(mbuf) == 1;
}
