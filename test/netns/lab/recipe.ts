// The stanzas of Rackspace's page for ifupdown, as four tests read them: a VXLAN device with a group, and its bridge.

/** With the host's own address on the bridge, as the page gives it: `address`, or `address` and `netmask`. */
export function rackspaceStanzas(...addressLines: readonly string[]): string {
  return `auto encap-mgmt
iface encap-mgmt inet manual
    pre-up ip link add encap-mgmt type vxlan id 236 group 239.0.0.236 dev eth2 ttl 5 dstport 4789 || true
    up ip link set $IFACE up
    down ip link set $IFACE down
    post-down ip link del encap-mgmt || true

auto br-mgmt
iface br-mgmt inet static
    bridge_stp off
    bridge_waitport 0
    bridge_fd 0
    bridge_ports encap-mgmt
${addressLines.map((line) => `    ${line}\n`).join("")}`;
}
