// The links of one endpoint in its VRF's namespace: what a detach has to remove. Everything else goes with them.
import { portName, shaperName } from "../../datapath/state/names.ts";
import type { Ifb } from "../../datapath/kinds/ifb.ts";
import type { Ns } from "../../datapath/kinds/kind.ts";
import type { Veth } from "../../datapath/kinds/veth.ts";
import { type KernelState, keyOf } from "../../datapath/state/state.ts";
import type { Endpoint, Network } from "../../model/resource.ts";

/** Its pair, which takes everything on it along at both ends; what shapes it, if the kernel is known to hold that. */
export function linksOf({ name, spec }: Endpoint, network: Network, held: KernelState): readonly [Veth, ...Ifb[]] {
  const link = { ns: `vrf:${network.spec.vrf}`, mtu: 0, mac: "", alias: "" } as const;
  const peer = { ns: spec.netns as Ns, name: spec.ifname, mtu: 0, mac: "" };
  const shaper: Ifb = { kind: "ifb", ...link, name: shaperName(name) };
  return [{ kind: "veth", ...link, name: portName(name), peer }, ...(held.has(keyOf(shaper)) ? [shaper] : [])];
}
