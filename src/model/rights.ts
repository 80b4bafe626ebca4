// What rights there are, whose a resource is, and what its owner, its group and others may do with it; locks. Who may
// what follows from these and from ACL rules: control/rights decides.
import Type from "typebox";
import { Fault } from "./fault.ts";
import { type Value, Text, oneOf, optional, strictObject } from "./schema.ts";

/** use: see it and use it. manage: change it. admin: change what concerns hosts and others. */
export const RIGHTS = ["use", "manage", "admin"] as const;
export type Right = (typeof RIGHTS)[number];

const MODE_TEXT = /^[u-][m-][a-][u-][m-][a-][u-][m-][a-]$/;
/** By their octal digit: use 4, manage 2, admin 1. */
const TRIADS = ["---", "--a", "-m-", "-ma", "u--", "u-a", "um-", "uma"] as const;
/** What its owner may do with what a user gets: use and manage it. */
export const NEW_MODE = "um-------";

/**
 * With what a user makes. Of a network of one's own one says everything when one makes it, and so afterwards; of a
 * reservation the network decides that it is from.
 */
export function newMode(kind: string, spec: { readonly reservedFrom?: string }): string {
  const isAll = kind === "template" || (kind === "network" && spec.reservedFrom === undefined);
  return isAll ? "uma------" : NEW_MODE;
}

/** The administrators', for everybody to use. */
export const FOR_ALL = { mode: "------u--" };

/** Whose a resource is. Without one it is the administrators'. */
export const Access = strictObject({
  owner: optional(Text("A user.")),
  group: optional(Text("A group of users.")),
  mode: Type.String({
    pattern: MODE_TEXT.source,
    description: "What the owner, the group and others may: each use, manage and admin, like um-u-----.",
  }),
});
export type Access = Value<typeof Access>;

/** What nobody may do, not even an administrator: use blocks manage and admin, too; manage blocks admin, too. */
export const LOCKS = ["use", "manage", "admin", "all"] as const;
export type Lock = (typeof LOCKS)[number];
export const LockLevel = oneOf(LOCKS, "What nobody may do with it until it is unlocked; use and all: anything.");

type Holder = "owner" | "group" | "other";
const FIRST_OF = { owner: 0, group: 3, other: 6 } as const satisfies Record<Holder, number>;

/** Whether the mode gives the right to the owner, the group, or others. */
export function modeGives(mode: string, holder: Holder, right: Right): boolean {
  return mode.charAt(FIRST_OF[holder] + RIGHTS.indexOf(right)) === right.charAt(0);
}

/** A mode as text, of its text or of three octal digits (use 4, manage 2, admin 1): 640 is um-u-----. */
export function parseMode(text: string, where: string): string {
  if (MODE_TEXT.test(text)) return text;
  if (/^[0-7]{3}$/.test(text)) return text.replaceAll(/./g, (digit) => TRIADS[Number(digit)] ?? "");
  throw new Fault("request-invalid", {
    what: `${where}: "${text.slice(0, 40)}" is not a mode`,
    where,
    why: "a mode says what owner, group and others may: use, manage, admin",
    fix: "write it like um-u-----, or as three digits like 640 (use 4, manage 2, admin 1)",
  });
}

/** The kinds that rights are given for; the records of owned kinds, and what else ACL rules may be about. */
export const ACL_KINDS = [
  "network",
  "vrf",
  "pool",
  "physicalnetwork",
  "securitygroup",
  "endpoint",
  "template",
  "host",
  "hostcluster",
  "user",
  "usergroup",
  "aclrule",
] as const;
export type AclKind = (typeof ACL_KINDS)[number];
