// Whether a caller may make a write: asked before admission by what the write names, and after it by what it changes.
// Hosts are judged by admission itself, where each says only what is its own; the server's own writes are not judged.
import type { Admission } from "../admit/admit.ts";
import type { EndpointClaim } from "../../model/input.ts";
import { type Change, type Key, type Resource, endpointName, keyOfResource } from "../../model/resource.ts";
import { blocksOf, endpointsOf, freedOf, holdsOf, membershipsOf, networksOf } from "../admit/contents.ts";
import { vouchedUser } from "../admit/workload/membership.ts";
import type { Principal } from "../state/principal.ts";
import { type Before, type View, applyChanges, get, getKey, partsOf, undoChanges } from "../state/view.ts";
import { type Caller, SERVER, type Write } from "../write.ts";
import { discreet } from "./discreet.ts";
import { Needs, isLocked } from "./needs.ts";
import { Unseen, lockedFault, nameInUse, notForThem, rightMissing } from "./refusal.ts";
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
  if (identity.role === "admin") return needed(view, write, undefined, admit);
  return asIfAbsent(view, write, principalOf(view, identity), admit);
}

/**
 * What a user may not see is not there: the write is admitted to a view without it, so that its answer is that about a
 * name which nothing has. Only where the write would make something is said that a name is in use.
 */
function asIfAbsent(view: View, write: Write, principal: Principal, admit: () => Admission): Admission {
  const hidden = new Map<Key, Before>();
  try {
    for (;;) {
      try {
        const admission = needed(view, write, principal, admit);
        const [first] = hidden.keys();
        if (first === undefined || admission.changes.length === 0) return admission;
        const keys = admission.changes.map((change) => ("put" in change ? keyOfResource(change.put) : change.remove));
        throw nameInUse(keys.find((key) => hidden.has(key)) ?? first);
      } catch (error) {
        if (!(error instanceof Unseen) || hidden.has(error.key)) throw discreet(error, { view, principal, write });
        hidden.set(error.key, applyChanges(view, withContents(view, error.key)));
      }
    }
  } finally {
    for (const before of [...hidden.values()].toReversed()) undoChanges(view, before);
  }
}

/** The resource goes with what it consists of. */
function withContents(view: View, key: Key): readonly Change[] {
  const { kind, name } = partsOf(key);
  const networks = kind === "vrf" ? networksOf(view, name).map((network) => network.name) : [];
  const inside = [...networks, ...(kind === "network" ? [name] : [])].flatMap((network): readonly Resource[] => [
    ...endpointsOf(view, network),
    ...blocksOf(view, network),
    ...holdsOf(view, network),
    ...freedOf(view, network),
    ...membershipsOf(view, network),
  ]);
  const keys = new Set([
    ...inside.map(keyOfResource),
    ...networks.map((network) => `network/${network}` as const),
    key,
  ]);
  return [...keys].map((remove) => ({ remove }));
}

function needed(view: View, write: Write, principal: Principal | undefined, admit: () => Admission): Admission {
  const needs = new Needs(view, principal);
  askVerb(needs, write);
  const admission = admit();
  for (const change of admission.changes) {
    const now = "put" in change ? change.put : undefined;
    needs.touched("put" in change ? getKey(view, keyOfResource(change.put)) : getKey(view, change.remove), now);
  }
  return admission;
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
