// Attaches that name no network: the server selects one in the commit that takes the lease, so that of two at once the
// second sees what the first got. In a global network the endpoint is made. In a local network the host allocates: the
// answer is the network itself, which its agent then attaches to. If the best network refuses, the next one is tried.
import { Fault, type Reason } from "../../../model/fault.ts";
import type { EndpointClaim } from "../../../model/input.ts";
import { AUTO_NETWORK, onNetwork } from "../../../model/selection.ts";
import { endpointName } from "../../../model/resource.ts";
import type { Endpoint, Network } from "../../../model/resource.ts";
import { type Asked, type Choice, type PassedOver, bestFirst, choicesOf, whyNothing } from "../../select/order.ts";
import { usableBy } from "../../select/selected.ts";
import type { Draft } from "../../state/draft.ts";
import { type View, get, residentsOf } from "../../state/view.ts";
import { existing } from "../context.ts";

/** Makes the endpoint of a claim that names its network. */
type Attach = (claim: EndpointClaim) => Endpoint;
type Options = { readonly attach: Attach; readonly isLocalPossible: boolean };

/** How many networks may refuse what they seemed to have: each costs an attach. */
const TRIES_MAX = 256;

/** The endpoint, or the local network that its host is to allocate in. */
export function attachSelected(draft: Draft, claim: EndpointClaim, options: Options): Endpoint | Network {
  const { view } = draft;
  const old = get(view, "endpoint", endpointName(claim.owner, claim.ifname));
  if (old?.spec.host === claim.host) return again(view, claim, old.spec.network, options);
  const passed: PassedOver[] = [];
  const choices = choicesOf(view, askedBy(draft, claim, options.isLocalPossible), (network) => passed.push(network));
  let tries = 0;
  for (const choice of bestFirst(choices)) {
    if (++tries > TRIES_MAX) break;
    const result = attempt(draft, claim, choice, options);
    if (!(result instanceof Fault)) return result;
    passed.push({ network: choice.network.name, stage: REFUSED, why: () => whyOf(result) });
  }
  throw noneFits(claim, passed);
}

/** A repeated claim was selected for already. */
function again(view: View, claim: EndpointClaim, name: string, { attach, isLocalPossible }: Options) {
  const network = existing(view, "network", name, "network");
  return network.spec.ipam === "local" && isLocalPossible ? network : attach(onNetwork(claim, name));
}

/** After all conditions of a network by itself. */
const REFUSED = 100;

function attempt(draft: Draft, claim: EndpointClaim, { network }: Choice, { attach }: Options) {
  if (network.spec.ipam === "local") return network;
  try {
    return draft.attempt(() => attach(onNetwork(claim, network.name)));
  } catch (error) {
    if (!(error instanceof Fault) || !OF_ONE_NETWORK.has(error.reason)) throw error;
    return error;
  }
}

/** What a network refuses and another may grant; anything else is wrong with the claim, whatever the network. */
const OF_ONE_NETWORK: ReadonlySet<Reason> = new Set([
  "exhausted",
  "address-taken",
  "address-held",
  "address-quarantined",
  "address-reserved",
  "quota-exceeded",
  "network-disabled",
  "host-outside",
  "device-unfit",
  "feature-missing",
  "qos-unsupported",
  "in-use",
  "forbidden",
]);

function whyOf({ detail: { what, why } }: Fault): string {
  return why === undefined ? what : `${what}: ${why.replaceAll("\n", " ")}`;
}

function askedBy({ view, asking }: Draft, claim: EndpointClaim, isLocalPossible: boolean): Asked {
  const { requires, rank, policy } = claim;
  const except = new Map((claim.passOver ?? []).map((name) => [name, "it was tried, or is not wanted"]));
  if (claim.differentNetworks === true)
    for (const name of networksBeside(view, claim)) except.set(name, "another interface of the owner is in it");
  return {
    host: existing(view, "host", claim.host, "host"),
    isLocalPossible,
    except,
    ...(asking === undefined || asking.role === "join" || asking.role === "nobody" ? {} : usableBy(view, asking)),
    ...(requires === undefined ? {} : { requires }),
    ...(rank === undefined ? {} : { rank }),
    ...(policy === undefined ? {} : { policy }),
  };
}

/** Networks in which the owner has other interfaces on this host. */
function* networksBeside(view: View, { host, owner, ifname }: EndpointClaim): Generator<string> {
  for (const name of residentsOf(view, host)) {
    const spec = get(view, "endpoint", name)?.spec;
    if (spec?.owner === owner && spec.ifname !== ifname) yield spec.network;
  }
}

function noneFits({ owner, ifname, host }: EndpointClaim, passed: readonly PassedOver[]): Fault {
  return new Fault("none-fits", {
    what: `no network fits ${endpointName(owner, ifname)} on host "${host}"`,
    where: "network",
    why: whyNothing(passed),
    fix: "ask for less, or see weft network select for every network",
  });
}

/**
 * All of them or none, in the order of what leaves least choice: networks that are named, then any, then those that
 * have to differ. If these get in each other's way, they change places until all have one.
 */
export function attachEach(
  draft: Draft,
  claims: readonly EndpointClaim[],
  each: (claim: EndpointClaim, i: number) => unknown,
): void {
  const rank = ({ network, differentNetworks }: EndpointClaim) =>
    network !== AUTO_NETWORK ? 0 : differentNetworks === true ? 2 : 1;
  const ordered = claims.map((claim, i) => ({ claim, i })).sort((a, b) => rank(a.claim) - rank(b.claim));
  const single = ordered.filter(({ claim }) => rank(claim) < 2);
  for (const { claim, i } of single) each(claim, i);
  const different = ordered.slice(single.length);
  try {
    draft.attempt(() => different.forEach(({ claim, i }) => each(claim, i)));
  } catch (error) {
    const isSolvable = error instanceof Fault && error.reason === "none-fits";
    const found = isSolvable
      ? matched(
          draft,
          different.map(({ claim }) => claim),
        )
      : undefined;
    if (found === undefined) throw error;
    for (const [n, { claim, i }] of different.entries()) each(onNetwork(claim, found[n] ?? ""), i);
  }
}

/** A network for each claim, none twice for one owner, each as good as the others leave; undefined if there is none. */
function matched(draft: Draft, claims: readonly EndpointClaim[]): readonly string[] | undefined {
  const wishes = claims.map((claim) => {
    const asked = askedBy(draft, claim, false);
    // Of more networks than there are claims, the others cannot take all.
    return [...bestFirst(choicesOf(draft.view, asked))]
      .slice(0, claims.length)
      .map(({ network }) => `${claim.owner}\0${network.name}`);
  });
  const owners = new Map<string, number>();
  const place = (claim: number, seen: Set<string>): boolean =>
    (wishes[claim] ?? []).some((wish) => {
      if (seen.has(wish)) return false;
      seen.add(wish);
      const other = owners.get(wish);
      if (other !== undefined && !place(other, seen)) return false;
      owners.set(wish, claim);
      return true;
    });
  if (!claims.every((_, claim) => place(claim, new Set()))) return undefined;
  const found = new Map([...owners].map(([wish, claim]) => [claim, wish.slice(wish.indexOf("\0") + 1)]));
  return claims.map((_, claim) => found.get(claim) ?? "");
}
