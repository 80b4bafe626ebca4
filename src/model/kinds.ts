// The table of resource kinds, a row for each, and what follows from their records.
import type { TObject } from "typebox";
import { Fault } from "./fault.ts";
import type { KindPut, KindRecord } from "./kind.ts";
import { aclrule } from "./kinds/aclrule.ts";
import { block, cursor, freed, hold, vtep } from "./kinds/allocation.ts";
import { conversion } from "./kinds/conversion.ts";
import { endpoint } from "./kinds/endpoint.ts";
import { host } from "./kinds/host.ts";
import { hostcluster } from "./kinds/hostcluster.ts";
import { membership, migration, move } from "./kinds/membership.ts";
import { network } from "./kinds/network.ts";
import { physicalnetwork } from "./kinds/physicalnetwork.ts";
import { pool } from "./kinds/pool.ts";
import { securitygroup } from "./kinds/securitygroup.ts";
import { user } from "./kinds/user.ts";
import { usergroup } from "./kinds/usergroup.ts";
import { template } from "./kinds/template.ts";
import { vrf } from "./kinds/vrf.ts";
import type { Access } from "./rights.ts";
import type { Value } from "./schema.ts";

export const KINDS = {
  vrf,
  network,
  host,
  block,
  vtep,
  endpoint,
  pool,
  membership,
  migration,
  move,
  hold,
  freed,
  cursor,
  securitygroup,
  conversion,
  physicalnetwork,
  user,
  usergroup,
  aclrule,
  template,
  hostcluster,
} as const satisfies Readonly<Record<string, KindRecord>>;

type Records = typeof KINDS;
export type Kind = keyof Records;
/** Kinds whose record has a member like this. */
type KindsWith<Member> = { [K in Kind]: Records[K] extends Member ? K : never }[Kind];
/** Users put it by name, in a request of its own or in an apply. */
export type WritableKind = KindsWith<{ readonly put: object }>;
/** Have an owner, a group and a mode. */
export type OwnedKind = KindsWith<{ readonly owned: true }>;
export type DeletableKind = KindsWith<{ readonly remove: string }>;
export type OwnPut = KindsWith<{ readonly put: { readonly own: true } }>;
export type OwnDelete = KindsWith<{ readonly remove: "own" }>;

export type SpecOf<K extends Kind> = Value<Records[K]["spec"]>;
export type InputOf<K extends WritableKind> = Value<Records[K]["put"]["input"]>;
/** Where a snapshot has the resources of a kind. */
export type ListOf<K extends Kind> = {
  [One in K]: Records[One] extends { readonly list: infer List extends string } ? List : `${One}s`;
}[K];
/** What the API calls the schema of a kind. */
export type TypeName = Capitalize<Singular<ListOf<Kind>>>;
type Singular<List extends string> = List extends `${infer One}s` ? One : List;

// KINDS has the kinds as its keys.
export const ALL_KINDS = Object.keys(KINDS) as readonly Kind[];
/** Where a snapshot has the resources of each kind. */
export const LISTS = Object.fromEntries(ALL_KINDS.map((kind) => [kind, recordOf(kind).list ?? `${kind}s`])) as {
  readonly [K in Kind]: ListOf<K>;
};
/** Networks first: they are what most files are about. */
export const WRITABLE_KINDS = [
  "network",
  ...ALL_KINDS.filter(isWritable).filter((kind) => kind !== "network"),
] as const;
export const OWNED_KINDS = ALL_KINDS.filter((kind): kind is OwnedKind => recordOf(kind).owned === true);
export const DELETABLE_KINDS = ALL_KINDS.filter(isDeletable);

/** The record with all that it may have. */
export function recordOf(kind: Kind): KindRecord {
  return (KINDS satisfies { readonly [K in Kind]: KindRecord<keyof SpecOf<K>, Kind> })[kind];
}

export function putOf(kind: WritableKind): KindPut {
  return KINDS[kind].put;
}

export function isWritable(kind: unknown): kind is WritableKind {
  return isKind(kind) && recordOf(kind).put !== undefined;
}

function isKind(kind: unknown): kind is Kind {
  return typeof kind === "string" && Object.hasOwn(KINDS, kind);
}

/** What people call one of the kind. */
export function calledOf(kind: Kind): string {
  return recordOf(kind).called ?? kind;
}

/** `a network`, `an ACL rule`. */
export function oneText(kind: Kind): string {
  const called = calledOf(kind);
  return `${/^[AEaeio]/.test(called) ? "an" : "a"} ${called}`;
}

/** `networks, VRFs, pools and security groups`: what users put. */
export function writableText(): string {
  return inWords(
    WRITABLE_KINDS.map((kind) => `${calledOf(kind)}s`),
    "and",
  );
}

/** `a, b and c`. */
export function inWords(words: readonly string[], last: "and" | "or"): string {
  return words.length < 2 ? words.join("") : `${words.slice(0, -1).join(", ")} ${last} ${words.at(-1)}`;
}

export function isDeletable(kind: Kind): kind is DeletableKind {
  return recordOf(kind).remove !== undefined;
}

/** Fields that a list shows of a kind without a command of its own. */
export function columnsOf(kind: Kind): readonly string[] {
  const { columns, spec } = recordOf(kind);
  return columns ?? Object.keys((spec as Partial<TObject>).properties ?? {});
}

/** The command that lists what there is of a kind. */
export function seeOf(kind: Kind): string {
  return recordOf(kind).see ?? `${kind} list`;
}

/** `SecurityGroup` for `securityGroups`. */
export function typeNameOf(kind: Kind): TypeName {
  const list: string = LISTS[kind];
  // TypeName says the same of the type of `list`.
  return `${list.charAt(0).toUpperCase()}${list.slice(1).replace(/s$/, "")}` as TypeName;
}

/** Who may use the one that is there before it is written; also after that, until somebody says otherwise. */
export function builtInAccess(kind: Kind, name: string): { readonly access?: Access } {
  const { builtIn } = recordOf(kind);
  return builtIn?.name === name && builtIn.access !== undefined ? { access: builtIn.access } : {};
}

/** The spec of the one that is there before it is written. */
export function builtInOf(kind: Kind, name: string): object | undefined {
  const { builtIn } = recordOf(kind);
  return builtIn?.name === name ? builtIn.spec : undefined;
}

/** What a spec refers to, and in which field. */
export function referencesIn(
  kind: Kind,
  spec: object,
): readonly { readonly kind: Kind; readonly name: string; readonly field: string }[] {
  return Object.entries(recordOf(kind).refersTo ?? {}).flatMap(([field, to]) => {
    const said: unknown = (spec as { readonly [field: string]: unknown })[field];
    const names: readonly unknown[] = Array.isArray(said) ? said : [said];
    // A test holds the table to kinds that there are.
    return names.flatMap((name) => (typeof name === "string" ? [{ kind: to as Kind, name, field }] : []));
  });
}

/** The Fault for a name that is not there. */
export function unknownFault(kind: Kind, name: string, where: string): Fault {
  return new Fault(recordOf(kind).unknown ?? "not-found", {
    what: `there is no ${calledOf(kind)} "${name.slice(0, 80)}"`,
    where,
    fix: `see \`weft ${seeOf(kind)}\``,
  });
}
