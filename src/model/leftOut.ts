// Which hosts `*` leaves out: those that could never have the network as they are. They come in by themselves when that
// changes. What is only missing for now, like a device that is not plugged in, leaves no host out.
import { bridgeOfOthers, whyBridgeUnfit } from "./bridges.ts";
import { isOutside } from "./cluster.ts";
import { isPhysical } from "./driver.ts";
import { lackedBy, lackingText } from "./lacking.ts";
import { deviceFor, factsOf, whyUnfitFor } from "./physical.ts";
import type { Host, NetworkSpec } from "./resource.ts";

/** Why a host is not meant by `*`; undefined if it is. */
export function whyLeftOut(spec: NetworkSpec, host: Pick<Host, "name" | "spec">): string | undefined {
  if (isOutside(spec, host.name)) return "it is in none of its clusters";
  const lacked = lackedBy(host, spec.driver);
  if (lacked.length > 0) return `it lacks ${lackingText(lacked)}`;
  const bridge = bridgeOfOthers(spec);
  if (bridge !== undefined) return withoutBridge(spec, host, bridge);
  const { parent } = spec;
  if (parent === undefined) return undefined;
  const device = deviceFor(host.spec, parent);
  if (device === undefined) return `no device of it leads to physical network "${parent}"`;
  const why = isPhysical(spec) ? whyUnfitFor(host.spec, spec) : undefined;
  return why === undefined ? undefined : `its device ${device} ${why}`;
}

function withoutBridge(spec: NetworkSpec, host: Pick<Host, "spec">, bridge: string): string | undefined {
  const facts = factsOf(host.spec, bridge);
  if (facts === undefined) return `it has no bridge ${bridge}`;
  const why = whyBridgeUnfit(spec, facts);
  return why === undefined ? undefined : `its bridge ${bridge} ${why}`;
}
