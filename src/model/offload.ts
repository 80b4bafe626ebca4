// Who writes the checksums of packets that enter a tunnel: the device that carries the tunnel, which costs the kernel
// nothing, or the kernel. Some devices, drivers and hypervisors get the checksums inside a tunnel wrong: pings pass
// then, and TCP and UDP do not.

/** `auto`: the device, unless a trial finds that it gets them wrong. `on`: the device. `off`: the kernel. */
export const OFFLOADS = ["auto", "on", "off"] as const;
export type Offload = (typeof OFFLOADS)[number];
