// A narrowing: what a token may do less than its owner. It is a value that only takes away: a request passes if its
// owner may do it and the narrowing lets it through. Tokens that a narrowed token makes are narrowed at least as much.
import Type from "typebox";
import { type Value, Texts, oneOf, optional, strictObject } from "./schema.ts";

const RIGHTS = ["use", "manage", "admin", "create"] as const;

export const Narrowing = strictObject(
  {
    rights: optional(
      Type.Array(oneOf(RIGHTS), { description: "Only by these rights. Default: by all that its owner has." }),
    ),
    networks: optional(Texts("Only what concerns these networks. Default: everything.")),
  },
  "What a token may do less than its owner.",
);
export type Narrowing = Value<typeof Narrowing>;
type Right = (typeof RIGHTS)[number];

/** Whether a token with `inner` can do nothing that one with `outer` cannot. Undefined: not narrowed. */
export function isWithin(inner: Narrowing | undefined, outer: Narrowing | undefined): boolean {
  return isPart(inner?.rights, outer?.rights) && isPart(inner?.networks, outer?.networks);
}

function isPart(inner: readonly string[] | undefined, outer: readonly string[] | undefined): boolean {
  if (outer === undefined) return true;
  return inner !== undefined && inner.every((each) => outer.includes(each));
}

/** Whether the right passes. */
export function lets(narrowing: Narrowing | undefined, right: Right): boolean {
  return narrowing?.rights === undefined || narrowing.rights.includes(right);
}

/** Whether what concerns this network passes; what concerns none passes only where no networks are named. */
export function letsNetwork(narrowing: Narrowing | undefined, network: string | undefined): boolean {
  if (narrowing?.networks === undefined) return true;
  return network !== undefined && narrowing.networks.includes(network);
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
