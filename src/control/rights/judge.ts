// Whether a caller may make a write: asked before admission by what the write names, and after it by what it changes.
// Hosts are judged by admission itself, where each says only what is its own; the server's own writes are not judged.
import type { Admission } from "../admit/admit.ts";
import { vouchedUser } from "../admit/workload/membership.ts";
import type { EndpointClaim } from "../../model/input.ts";
import { endpointName } from "../../model/resource.ts";
import { type View, get, getKey } from "../state/view.ts";
import { type Caller, SERVER, type Write } from "../write.ts";
import { Needs, isLocked } from "./needs.ts";
import { lockedFault, notForThem, rightMissing } from "./refusal.ts";
import { hasRight, principalOf } from "./rights.ts";
import { askVerb } from "./verbs.ts";

/** What agents write. */
const HOST_VERBS: ReadonlySet<Write["verb"]> = new Set(["join", "attach", "attach-all", "detach", "move"]);

/** Admits a write if the caller may make it; throws a Fault `forbidden` or `locked` otherwise. */
export function judged(view: View, write: Write, caller: Caller, admit: () => Admission): Admission {
  const { identity } = caller;
  if (caller === SERVER) return admit();
  if (identity.role === "host" && HOST_VERBS.has(write.verb)) {
    checkLocks(view, write);
    for (const claim of claimsOf(write)) checkJoined(view, claim);
    return admit();
  }
  if (identity.role === "join" && write.verb === "join") return admit();
  if (identity.role !== "user" && identity.role !== "admin") throw notForThem(identity);
  const needs = new Needs(view, identity.role === "user" ? principalOf(view, identity) : undefined);
  askVerb(needs, write);
  const admission = admit();
  for (const change of admission.changes) {
    const now = "put" in change ? change.put : undefined;
    needs.touched("put" in change ? getKey(view, keyOf(change.put)) : getKey(view, change.remove), now);
  }
  return admission;
}

function keyOf({ kind, name }: Extract<Admission["changes"][number], { put: unknown }>["put"]) {
  return `${kind}/${name}` as const;
}

/** What a host attaches anew uses the network. A local network's endpoint is there already, and is only registered. */
function checkLocks(view: View, write: Write): void {
  for (const { network: name, owner, ifname } of claimsOf(write)) {
    const network = get(view, "network", name);
    if (network?.spec.ipam !== "global" || get(view, "endpoint", endpointName(owner, ifname)) !== undefined) continue;
    if (isLocked(network, "use")) throw lockedFault(network);
  }
}

function claimsOf(write: Write): readonly EndpointClaim[] {
  return write.verb === "attach" ? [write.claim] : write.verb === "attach-all" ? write.claims : [];
}

/** What a membership makes of a user's workload takes the user's right to the network, whoever asked for it. */
function checkJoined(view: View, claim: EndpointClaim): void {
  const { user, by } = vouchedUser(view, claim) ?? {};
  const network = get(view, "network", claim.network);
  if (user === undefined || by === "move" || network === undefined) return;
  if (get(view, "endpoint", endpointName(claim.owner, claim.ifname)) !== undefined) return;
  if (!hasRight(principalOf(view, { user }), "use", network)) throw rightMissing(user, "use", network);
}
