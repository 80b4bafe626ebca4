// Which right each field of a spec takes, by the field's name in the kind. A field without a row does not compile, so
// nobody forgets to ask whether a new one reaches beyond its network.
import { isDeepStrictEqual } from "node:util";
import type { InputOf, Kind, SpecOf, WritableKind } from "../../model/kinds.ts";
import type { TemplateSpec } from "../../model/kinds/template.ts";
import type { Right } from "../../model/rights.ts";
import { changedWithin, isRestricted } from "../../model/template.ts";

/**
 * manage: whoever manages the resource. admin: whoever has admin of it, and who makes it. cluster: it reaches hosts,
 * what is outside of them, or networks of others, so it takes admin of the clusters of hosts; who makes the resource
 * needs that, too. restricted: its template keeps it; admin of the clusters of hosts.
 */
type Level = Exclude<Right, "use"> | "cluster" | "restricted";
type Levels<K extends WritableKind> = { readonly [F in keyof (SpecOf<K> & InputOf<K>)]-?: Level };

const RANGE_LEVELS: { readonly [F in keyof NonNullable<SpecOf<"network">["ranges"]>[number]]-?: Level } = {
  name: "admin",
  type: "admin",
  first: "admin",
  first6: "admin",
  prefixLength: "admin",
  prefix: "admin",
  ula: "admin",
  size: "manage",
  mac: "cluster",
  gateway: "manage",
  gateway6: "manage",
  dns: "manage",
  mtu: "manage",
  qos: "admin",
  securityGroups: "manage",
  labels: "manage",
  from: "cluster",
};

const FIELD_LEVELS: { readonly [K in WritableKind]: Levels<K> } = {
  network: {
    driver: "cluster",
    ipam: "manage",
    vrf: "manage",
    placement: "cluster",
    hosts: "cluster",
    bridge: "cluster",
    isolated: "cluster",
    device: "cluster",
    takeOver: "cluster",
    hostAddresses: "cluster",
    allocatedAddresses: "cluster",
    stp: "cluster",
    forwardDelay: "cluster",
    vni: "cluster",
    peers: "cluster",
    group: "cluster",
    ttl: "cluster",
    underlayDevice: "cluster",
    outsiders: "cluster",
    parent: "cluster",
    tunnel: "cluster",
    trunks: "cluster",
    vlan: "cluster",
    outerVlan: "cluster",
    subnets: "admin",
    pool: "admin",
    reservedFrom: "cluster",
    tenant: "cluster",
    quotas: "manage",
    // Range by range, below.
    ranges: "manage",
    strategy: "manage",
    sticky: "manage",
    quarantine: "manage",
    dns: "manage",
    mtu: "manage",
    offload: "cluster",
    slices: "cluster",
    masquerade: "manage",
    qos: "admin",
    enabled: "manage",
    cni: "manage",
    securityGroups: "manage",
    spoofing: "cluster",
    clusters: "cluster",
    clusterHosts: "cluster",
    // Its own and those of its template: see restrictedChanges().
    restricted: "cluster",
    labels: "manage",
    description: "manage",
  },
  vrf: {
    index: "cluster",
    vni: "cluster",
    tunnelPort: "cluster",
    vtepSubnets: "cluster",
    vtepMacOui: "cluster",
    vtepName: "cluster",
    alternate: "cluster",
    hostAccess: "cluster",
    placement: "cluster",
    kept: "manage",
    dcos: "cluster",
  },
  pool: {
    driver: "cluster",
    ipam: "manage",
    ids: "cluster",
    globalSubnets: "cluster",
    localSubnets: "cluster",
    reserved: "cluster",
    overflow: "cluster",
    spaces: "cluster",
    reuse: "manage",
    vnis: "cluster",
    description: "manage",
  },
  physicalnetwork: { vlans: "cluster", mtu: "cluster", description: "manage" },
  securitygroup: { rules: "manage", keepFlows: "manage", commits: "manage", description: "manage" },
  // Its network is looked into: see changedFields().
  template: {
    network: "manage",
    inputs: "manage",
    restricted: "admin",
    named: "manage",
    labels: "manage",
    description: "manage",
  },
  user: { group: "manage", groups: "manage", enabled: "manage", quota: "admin", description: "manage" },
  hostcluster: { hosts: "cluster", selector: "cluster", description: "manage" },
  usergroup: { quota: "admin", description: "manage" },
  aclrule: { subject: "manage", resource: "manage", rights: "manage" },
};

/** A field that differs, and what it takes to change it. */
export type Changed = { readonly field: string; readonly level: Level };

/** Fields in which a spec differs from the one before; undefined: there was none. A field without a row takes most. */
export function changedFields(kind: Kind, before: object | undefined, after: object): readonly Changed[] {
  return [...restrictedChanges(kind, before, after), ...fieldChanges(kind, before, after)];
}

/** What was restricted before, in a network or in a template. */
function restrictedChanges(kind: Kind, before: object | undefined, after: object): readonly Changed[] {
  if (kind !== "network" && kind !== "template") return [];
  const { restricted = [] } = (before ?? {}) as { readonly restricted?: readonly string[] };
  if (restricted.length === 0) return [];
  if (kind === "network")
    return changedWithin(restricted, before, after).map((field): Changed => ({ field, level: "restricted" }));
  const [old, now] = [before, after] as [TemplateSpec, TemplateSpec];
  const known = new Set((old.inputs ?? []).map((input) => JSON.stringify(input)));
  const inputs = (now.inputs ?? []).filter(
    (input) => !known.has(JSON.stringify(input)) && isRestricted(restricted, input.field),
  );
  return [
    ...changedWithin(restricted, old.network, now.network).map((field) => `network.${field}`),
    ...inputs.map(({ name }) => `inputs[${name}]`),
  ].map((field): Changed => ({ field, level: "admin" }));
}

function fieldChanges(kind: Kind, before: object | undefined, after: object): readonly Changed[] {
  const levels = (FIELD_LEVELS as Readonly<Partial<Record<Kind, Readonly<Record<string, Level>>>>>)[kind] ?? {};
  return differing(before, after).flatMap((field): readonly Changed[] => {
    const [old, now] = [valueOf(before, field), valueOf(after, field)];
    if (kind === "network" && field === "ranges")
      return changedRanges(before, (old ?? []) as Ranges, (now ?? []) as Ranges);
    if (kind === "template" && field === "network") return fieldChanges("network", old as object, now as object);
    if (kind === "template" && field === "inputs") return [...inputFields(now), { field, level: "manage" }];
    return [{ field, level: levels[field] ?? "cluster" }];
  });
}

/** What whoever makes a network of the template may say by its inputs. */
function inputFields(inputs: unknown): readonly Changed[] {
  return ((inputs ?? []) as readonly { readonly field: string }[]).map(({ field }) => ({
    field,
    level: (FIELD_LEVELS.network as Readonly<Record<string, Level>>)[/^\w+/.exec(field)?.[0] ?? ""] ?? "cluster",
  }));
}

type Ranges = readonly { readonly name: string }[];

/** Ranges are told apart by their name. A reservation may give its own pieces back. */
function changedRanges(network: object | undefined, before: Ranges, after: Ranges): readonly Changed[] {
  const isReservation = valueOf(network, "reservedFrom") !== undefined;
  const old = new Map(before.map((range) => [range.name, range]));
  const now = new Map(after.map((range) => [range.name, range]));
  const gone = before.filter(({ name }) => !now.has(name));
  const kept = after.flatMap((range): readonly Changed[] => {
    const was = old.get(range.name);
    const fields = differing(was, range).map((field) => ({
      field: `ranges[${range.name}].${field}`,
      level: (RANGE_LEVELS as Readonly<Record<string, Level>>)[field] ?? "cluster",
    }));
    return was === undefined ? [{ field: `ranges[${range.name}]`, level: "admin" }, ...fields] : fields;
  });
  const removed = gone.map(
    ({ name }): Changed => ({ field: `ranges[${name}]`, level: isReservation ? "manage" : "admin" }),
  );
  return [...removed, ...kept];
}

function differing(before: object | undefined, after: object): readonly string[] {
  const names = new Set([...Object.keys(before ?? {}), ...Object.keys(after)]);
  return [...names].filter((name) => !isDeepStrictEqual(valueOf(before, name), valueOf(after, name)));
}

function valueOf(object: object | undefined, field: string): unknown {
  return (object as { readonly [field: string]: unknown } | undefined)?.[field];
}
