// Limits of endpoints in local networks: one that this host's kernel cannot keep is refused before anything is made.
import { limited, patched, parseQos, type Qos } from "../../model/qos.ts";
import type { Host, Network } from "../../model/resource.ts";
import type { AttachRequest } from "../../model/status.ts";
import { noShaping } from "./faults.ts";

/** Throws a Fault `qos-unsupported` if this host's kernel cannot keep a limit. */
export function checkShaping(self: Host, network: Network, request: AttachRequest): void {
  // In a global network the server checks this when it grants the lease, whose range may have limits, too.
  if (network.spec.ipam === "global") return;
  const levels = [limitsIn(request).qos, network.spec.qos];
  const direction = limited(levels).find((each) => self.spec.shaping?.includes(each) !== true);
  if (direction !== undefined) throw noShaping(self.name, direction);
}

/** A new endpoint's own limits, canonical; throws a Fault `qos-invalid` if they cannot be understood. */
export function limitsIn(claim: Pick<AttachRequest, "qos">): { readonly qos?: Qos } {
  const qos = patched(undefined, parseQos(claim.qos ?? {}, "qos"));
  return qos === undefined ? {} : { qos };
}
