// A narrowing: what a token may do less than its owner. It is a value that only takes away: a request passes if its
// owner may do it and the narrowing lets it through. Tokens that a narrowed token makes are narrowed at least as much.
import Type from "typebox";
import { RIGHTS } from "./rights.ts";
import { type Value, Texts, oneOf, optional, strictObject } from "./schema.ts";

const RIGHTS_OF_TOKENS = [...RIGHTS, "create"] as const;

export const Narrowing = strictObject(
  {
    rights: optional(
      Type.Array(oneOf(RIGHTS_OF_TOKENS), {
        maxItems: 16,
        description: "Only by these rights. Default: by all that its owner has.",
      }),
    ),
    networks: optional(
      Texts("Only these networks and what is in them; of the rest, only use. Default: everything.", 256),
    ),
  },
  "What a token may do less than its owner.",
);
export type Narrowing = Value<typeof Narrowing>;
export type RightOfToken = (typeof RIGHTS_OF_TOKENS)[number];

/** Whether a token with `inner` can do nothing that one with `outer` cannot. Undefined: not narrowed. */
export function isWithin(inner: Narrowing | undefined, outer: Narrowing | undefined): boolean {
  return isPart(inner?.rights, outer?.rights) && isPart(inner?.networks, outer?.networks);
}

function isPart(inner: readonly string[] | undefined, outer: readonly string[] | undefined): boolean {
  if (outer === undefined) return true;
  return inner !== undefined && inner.every((each) => outer.includes(each));
}

/**
 * Whether a request by this right passes, to a network or what is in it. Where networks are named, what is in none may
 * only be used: an endpoint of the network has security groups.
 */
export function lets(narrowing: Narrowing | undefined, right: RightOfToken, network: string | undefined): boolean {
  if (narrowing === undefined) return true;
  const { rights, networks } = narrowing;
  if (rights !== undefined && !rights.includes(right)) return false;
  return networks === undefined || (network === undefined ? right === "use" : networks.includes(network));
}

/** Whether anything is taken away. */
export function isNarrowed(narrowing: Narrowing | undefined): narrowing is Narrowing {
  return narrowing?.rights !== undefined || narrowing?.networks !== undefined;
}

/** `use of blue, green`, for people. */
export function narrowingText(narrowing: Narrowing | undefined): string {
  const rights = narrowing?.rights;
  const networks = narrowing?.networks;
  const what = rights === undefined ? "everything" : rights.length === 0 ? "nothing" : rights.join(", ");
  return networks === undefined ? what : `${what} of ${networks.length === 0 ? "no network" : networks.join(", ")}`;
}
