// A network card that does not keep its promise: it says that it writes checksums, so the kernel leaves them open, and it
// writes those of plain packets and of the outer headers of tunnels, but not those inside.
//
//   card NEAR FAR     what comes in on NEAR goes out on FAR as from that card; and back, as it is
//
// The devices are far ends of veth pairs. A veth passes open checksums on, and a packet socket tells of them, and lets
// another device write them (PACKET_VNET_HDR: VIRTIO_NET_HDR_F_NEEDS_CSUM, csum_start).
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

/** Ethernet, IPv6 and UDP: what begins behind that is inside a tunnel. */
#define INSIDE (14 + 40 + 8)

static int opened(const char *device) {
  int s = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL)), yes = 1, room = 8 << 20;
  struct sockaddr_ll at = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL), .sll_ifindex = if_nametoindex(device)};
  if (s < 0 || setsockopt(s, SOL_PACKET, PACKET_VNET_HDR, &yes, sizeof yes) ||
      setsockopt(s, SOL_PACKET, PACKET_IGNORE_OUTGOING, &yes, sizeof yes) ||
      setsockopt(s, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room) || bind(s, (void *)&at, sizeof at)) {
    perror(device);
    exit(1);
  }
  return s;
}

int main(int argc, char **argv) {
  if (argc != 3) return 2;
  static unsigned char packet[1 << 17];
  struct virtio_net_hdr *about = (void *)packet;
  struct pollfd ends[] = {{opened(argv[1]), POLLIN, 0}, {opened(argv[2]), POLLIN, 0}};
  puts("ready");
  fflush(stdout);
  for (;;) {
    if (poll(ends, 2, -1) < 0) return 1;
    for (int i = 0; i < 2; i++) {
      for (ssize_t length; (length = recv(ends[i].fd, packet, sizeof packet, MSG_DONTWAIT)) > 0;) {
        if (i == 0 && (about->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) && about->csum_start > INSIDE) about->flags = 0;
        // What does not fit into the queue is lost, as on any wire.
        send(ends[1 - i].fd, packet, length, 0);
      }
    }
  }
}
