// The links of one endpoint in its VRF's namespace, for a detach. The kernel removes everything else with them.
import { portName, shaperName } from "../../datapath/state/names.ts";
import type { Ifb } from "../../datapath/kinds/ifb.ts";
import type { Ns } from "../../datapath/kinds/kind.ts";
import type { Veth } from "../../datapath/kinds/veth.ts";
import { type KernelState, keyOf } from "../../datapath/state/state.ts";
import type { Endpoint, Network } from "../../model/resource.ts";

/**
 * The pair, with which everything on both its ends goes; and the shaping device, if the kernel is known to have one.
 */
export function linksOf({ name, spec }: Endpoint, network: Network, known: KernelState): readonly [Veth, ...Ifb[]] {
  const link = { ns: `vrf:${network.spec.vrf}`, mtu: 0, mac: "", alias: "" } as const;
  const peer = { ns: spec.netns as Ns, name: spec.ifname, mtu: 0, mac: "" };
  const shaper: Ifb = { kind: "ifb", ...link, name: shaperName(name) };
  return [{ kind: "veth", ...link, name: portName(name), peer }, ...(known.has(keyOf(shaper)) ? [shaper] : [])];
}
