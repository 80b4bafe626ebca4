// What exported files are tried with that need a full kernel: two hosts with GRE and VLANs between their eth2.
import type { LinkPlan, PlanLink } from "../../../src/formats/plan.ts";

/** Of host 2, one in each network. */
export const ADDRESSES = ["10.81.0.2", "10.82.0.2", "10.83.0.2"];

const at = { file: "plan", line: 1 };
const none = { at, addresses: [], routes: [], neighbours: [] };

/** Host n, 1 or 2: a network in GRE, one on a VLAN, one on a VLAN in a VLAN. */
export function greAndVlans(n: number): LinkPlan {
  const bridge = (name: string, net: number): PlanLink => ({
    ...none,
    kind: "bridge",
    name,
    mtu: 1400,
    stp: false,
    forwardDelay: 0,
    addresses: [`10.${net}.0.${n}/24`],
  });
  return {
    links: [
      { ...none, kind: "nic", name: "eth2", mtu: 1500, addresses: [`192.168.66.1${n}/24`] },
      {
        ...none,
        kind: "gretap",
        name: "gt7-1",
        mtu: 1400,
        master: "br-gre",
        isolated: true,
        local: `192.168.66.1${n}`,
        remote: `192.168.66.1${3 - n}`,
        key: 7,
        ttl: 64,
      },
      { ...none, kind: "vlan", name: "wv-flat", mtu: 1500, master: "br-flat", parent: "eth2", id: 100, outer: false },
      { ...none, kind: "vlan", name: "outer", mtu: 1500, parent: "eth2", id: 7, outer: true },
      { ...none, kind: "vlan", name: "wv-qinq", mtu: 1500, master: "br-qinq", parent: "outer", id: 8, outer: false },
      bridge("br-gre", 81),
      bridge("br-flat", 82),
      bridge("br-qinq", 83),
    ],
  };
}
