// The server's API as typed calls: the CLI's client, and what the agent's (transportHttp.ts) does alike. Says what the
// calls are and nothing about when to make them. Answers are believed to have their documented shape: they come from a
// server of ours, and http.ts has made Faults of its refusals.
import type { AuditRecord, AuditVerdict } from "../model/audit.ts";
import type { PreflightReport, PreflightRequest } from "../model/preflight.ts";
import type { CaState } from "../model/ca.ts";
import type { CheckReport, CheckRequest } from "../model/check.ts";
import { faultOf, type Problem } from "../model/fault.ts";
import type { JoinToken, JoinTokenMade, JoinTokenRequest } from "../model/joinToken.ts";
import type * as input from "../model/input.ts";
import { pluralOf } from "../model/kind.ts";
import type { WritableKind } from "../model/kinds.ts";
import type { LeaseRecord } from "../model/lease.ts";
import type { NetworkProgress } from "../model/progress.ts";
import type { SpaceMap } from "../model/map.ts";
import type { Change, ChangeSet, Kind, Migration, Move, ResourceOf, Snapshot } from "../model/resource.ts";
import type { SelectRequest, Selected } from "../model/selection.ts";
import type { OwnedQuota } from "../model/quota.ts";
import type { ClusterStatus } from "../model/status.ts";
import { type Ask, askWith, type Call, httpClient, type HttpClient, itemsAt, type Peer } from "./http.ts";
import type { Trust } from "./tls.ts";

/** `url`: `https://host:port` or `unix:/path/of.sock`. */
export type ServerLocation = {
  readonly url: string;
  /** Absent: none is needed, on the socket of a server on this machine. */
  readonly token?: string;
  readonly trust?: Trust;
};

type Migrated = { readonly migration: Migration; readonly moves: readonly Move[] };

/** As it was read: whether each resource is one is the server's judgement. */
type UncheckedApply = Omit<input.ApplyRequest, "resources"> & { readonly resources: readonly unknown[] };
type UncheckedInstantiate = Omit<input.InstantiateRequest, "network"> & { readonly network?: unknown };
type Instantiated = { readonly revision: number; readonly networks: readonly ResourceOf<"network">[] };
type Applied = { readonly revision: number; readonly changes: readonly Change[] };
/** Refused with `revision-stale` if the resource is not as the writer thinks it is. */
type Match = { readonly createOnly?: boolean; readonly ifRevision?: number };
type Force = { readonly force?: boolean };
type HistoryQuery = {
  readonly address: string;
  readonly network?: string;
  /** Leases that lasted at some time from `sinceMs` on, and before `beforeMs`. */
  readonly sinceMs?: number;
  readonly beforeMs?: number;
  readonly limit: number;
};

/** As the API's parameters are called; times in ms since 1970. */
export type AuditQuery = {
  readonly user?: string;
  readonly kind?: string;
  readonly name?: string;
  readonly verb?: string;
  readonly result?: string;
  readonly since?: number;
  readonly until?: number;
  readonly revision?: number;
  readonly order?: "newest" | "oldest";
  readonly full?: boolean;
  readonly cursor?: number;
  readonly limit?: number;
};
type AuditPage = { readonly items: readonly AuditRecord[]; readonly reached: number; readonly cursor?: number };

/** Two repairs, with a check around each, and a host that is silent in all of them. */
const CHECK_TIMEOUT_MS = 90_000;
const VERIFY_TIMEOUT_MS = 300_000;
const PREFLIGHT_TIMEOUT_MS = 20_000;

type Owned = Required<Omit<OwnedQuota, "bandwidth">> & { readonly inbound: number; readonly outbound: number };
type OwnedBy = {
  readonly kind: "user" | "usergroup";
  readonly name: string;
  readonly quota: OwnedQuota;
  readonly used: Owned;
};

export type ServerClient = ReturnType<typeof serverClient>;

/** Calls with the right of `token`. Nothing is connected before the first. */
export function serverClient({ url, token, trust = {} }: ServerLocation) {
  const http = httpTo(url, () => ({ trust }));
  const ask = askWith(http, () => token);
  return {
    /** All of a kind, or those with these labels, over as many pages as it takes. */
    list: <K extends Kind>(kind: K, labels?: string) => listAll(ask, kind, labels),
    get: <K extends Kind>(kind: K, name: string) => ask<ResourceOf<K>>("GET", pathOf(kind, name)),
    /** `force`: also if leases or holds lose their range. */
    put: <K extends WritableKind>(kind: K, name: string, spec: unknown, { force, ...match }: Match & Force = {}) =>
      ask<ResourceOf<K>>("PUT", pathOf(kind, name) + forced(force), { body: { spec }, ...headersOf(match) }),
    /** Hosts load the group again: these, or all. */
    commitGroup: (name: string, hosts: readonly string[] | undefined) =>
      ask<ResourceOf<"securitygroup">>("POST", `${pathOf("securitygroup", name)}/commit`, {
        body: hosts === undefined ? {} : { hosts },
      }),
    /** What may change while it is attached; what is left out stays. */
    patchEndpoint: (name: string, body: input.EndpointPatch) =>
      ask<ResourceOf<"endpoint">>("PATCH", pathOf("endpoint", name), { body }),
    /** An endpoint without `force` is only marked; its host detaches it. */
    remove: (kind: Kind, name: string, { force }: Force = {}) =>
      ask<{ readonly revision: number }>("DELETE", pathOf(kind, name) + forced(force)),
    /** Frees all that a lost host had; with `dryRun` nothing, and the answer says what it would be. */
    reclaim: (host: string, { force = false, dryRun = false }: Force & { readonly dryRun?: boolean } = {}) =>
      ask<Applied>("POST", `${pathOf("host", host)}/reclaim?force=${force}&dryRun=${dryRun}`),
    /** The host follows this server from now on, although it knows another past. */
    acceptHistory: (host: string) => ask<unknown>("POST", `${pathOf("host", host)}/accept-history`),
    /** Whether the host takes new endpoints. */
    drain: (host: string, drained: boolean) =>
      ask<ResourceOf<"host">>("POST", `${pathOf("host", host)}/${drained ? "drain" : "resume"}`),
    /** What counts instead of what the host's agent says; what is left out stays. */
    setHost: (host: string, body: input.HostSettings, { force, ...match }: Match & Force = {}) =>
      ask<ResourceOf<"host">>("POST", `${pathOf("host", host)}/set${forced(force)}`, { body, ...headersOf(match) }),
    /** Repeating it changes nothing. */
    join: (body: input.MembershipClaim) => ask<ResourceOf<"membership">>("POST", "/v1/memberships", { body }),
    /** With `dryRun`, what would be made. */
    migrate: (body: input.MigrationRequest) => ask<Migrated>("POST", "/v1/migrations", { body }),
    /** All or none, in one revision; with `dryRun` nothing, and the answer says what it would be. */
    apply: (body: UncheckedApply) => ask<Applied>("POST", "/v1/apply", { body }),
    attach: (body: input.EndpointClaim) => ask<ResourceOf<"endpoint">>("POST", "/v1/endpoints", { body }),
    hold: (body: input.HoldRequest) => ask<ResourceOf<"hold">>("POST", "/v1/holds", { body }),
    /** Every address of the span must be held. */
    release: (span: input.HoldRelease) => ask<unknown>("DELETE", `/v1/holds?${new URLSearchParams(span).toString()}`),
    /** A reservation is made, or extended; gives it with all its pieces. */
    reserve: (network: string, body: input.ReserveRequest) =>
      ask<ResourceOf<"network">>("POST", `${pathOf("network", network)}/reservations`, { body }),
    ...templateAndRightsCalls(ask),
    /** The newest first. */
    leaseHistory: ({ limit, sinceMs: since, beforeMs: before, ...query }: HistoryQuery) =>
      itemsAt<LeaseRecord>(ask, `/v1/leases/history${queryText({ ...query, limit, since, before })}`),
    ...auditCalls(ask),
    ...caCalls(ask),
    snapshot: () => ask<Snapshot>("GET", "/v1/snapshot"),
    status: () => ask<ClusterStatus>("GET", "/v1/status"),
    watch: (from: number, signal: AbortSignal) => watchOver(http, from, signal, { token }),
    /** In which order an attach would select networks. */
    select: (body: SelectRequest) => ask<Selected>("POST", "/v1/networks/select", { body }),
    ...progressCalls(ask),
    spaceMap: (network: string) => ask<SpaceMap>("GET", `${pathOf("network", network)}/map`),
    /** May take as long as hosts do not answer, and repairs take. */
    check: (body: CheckRequest) => ask<CheckReport>("POST", "/v1/ipam/check", { body, timeoutMs: CHECK_TIMEOUT_MS }),
    /** Takes as long as hosts try. */
    preflight: (body: PreflightRequest) =>
      ask<PreflightReport>("POST", "/v1/hosts/preflight", { body, timeoutMs: PREFLIGHT_TIMEOUT_MS }),
    /** What users and groups own, and may own, of those that one may see. */
    quotas: () => itemsAt<OwnedBy>(ask, "/v1/quotas"),
    version: () => ask<{ readonly version: string }>("GET", "/v1/version"),
    close: () => http.close(),
  };
}

function templateAndRightsCalls(ask: Ask) {
  return {
    /** chown, chmod, lock or unlock of what has an owner. */
    setRights: <K extends Kind>(kind: K, name: string, verb: string, body: object) =>
      ask<ResourceOf<K>>("POST", `${pathOf(kind, name)}/${verb}`, { body }),
    /** Networks of a template: all or none; with `dryRun` none, and the answer says what they would be. */
    instantiate: (template: string, body: UncheckedInstantiate) =>
      ask<Instantiated>("POST", `${pathOf("template", template)}/instantiate`, { body }),
    cloneTemplate: (template: string, name: string) =>
      ask<ResourceOf<"template">>("POST", `${pathOf("template", template)}/clone`, { body: { name } }),
    renameTemplate: (template: string, name: string) =>
      ask<ResourceOf<"template">>("POST", `${pathOf("template", template)}/rename`, { body: { name } }),
  };
}

function caCalls(ask: Ask) {
  return {
    ...joinTokenCalls(ask),
    ca: () => ask<CaState>("GET", "/v1/ca"),
    rotateCa: () => ask<CaState>("POST", "/v1/ca/rotate"),
    dropCa: (force: boolean) => ask<CaState>("POST", `/v1/ca/drop${forced(force)}`),
  };
}

function joinTokenCalls(ask: Ask) {
  return {
    joinTokens: () => itemsAt<JoinToken>(ask, "/v1/jointokens"),
    createJoinToken: (body: JoinTokenRequest) => ask<JoinTokenMade>("POST", "/v1/jointokens", { body }),
    endJoinToken: (name: string) => ask<unknown>("DELETE", `/v1/jointokens/${encodeURIComponent(name)}`),
  };
}

function progressCalls(ask: Ask) {
  return {
    /** How far the endpoints of a network are with its latest change. */
    progress: (network: string) => ask<NetworkProgress>("GET", `${pathOf("network", network)}/progress`),
    /** Hosts work on the network again. */
    retryNetwork: (network: string) => ask<ResourceOf<"network">>("POST", `${pathOf("network", network)}/retry`),
  };
}

function auditCalls(ask: Ask) {
  return {
    /** A page may be short, and there is more as it says. */
    audit: (query: AuditQuery) => ask<AuditPage>("GET", `/v1/audit${queryText(query)}`),
    auditRecord: (seq: number) => ask<AuditRecord>("GET", `/v1/audit/${seq}`),
    /** Reads the whole log. */
    auditVerdict: (known?: { readonly seq: number; readonly hash: string }) =>
      ask<AuditVerdict>("GET", `/v1/audit/verify${queryText(known ?? {})}`, { timeoutMs: VERIFY_TIMEOUT_MS }),
  };
}

export function httpTo(url: string, tls?: Peer["tls"]): HttpClient {
  return httpClient({
    url,
    ...(tls === undefined ? {} : { tls }),
    name: "the server",
    fix: "check that it runs (`weft server`), that the address is right (--server), and that no firewall is between",
  });
}

type Page<K extends Kind> = { readonly items: readonly ResourceOf<K>[]; readonly cursor?: string };

async function listAll<K extends Kind>(ask: Ask, kind: K, labels?: string): Promise<readonly ResourceOf<K>[]> {
  const items: ResourceOf<K>[] = [];
  const query = new URLSearchParams(labels === undefined ? {} : { labels });
  for (;;) {
    const page: Page<K> = await ask("GET", `/v1/${pluralOf(kind)}${query.size === 0 ? "" : `?${query.toString()}`}`);
    for (const item of page.items) items.push(item);
    if (page.cursor === undefined) return items;
    query.set("cursor", page.cursor);
  }
}

export function pathOf(kind: Kind, name: string): string {
  return `/v1/${pluralOf(kind)}/${encodeURIComponent(name)}`;
}

function queryText(query: Readonly<Record<string, string | number | boolean | undefined>>): string {
  const said = Object.entries(query).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, String(value)] as [string, string]],
  );
  return `?${new URLSearchParams(said).toString()}`;
}

function forced(force = false): string {
  return force ? "?force=true" : "";
}

function headersOf({ createOnly, ifRevision }: Match): Pick<Call, "headers"> {
  if (createOnly === true) return { headers: { "if-none-match": "*" } };
  return ifRevision === undefined ? {} : { headers: { "if-match": `"${ifRevision}"` } };
}

export async function* watchOver(
  http: HttpClient,
  from: number,
  signal: AbortSignal,
  as: Pick<Call, "token" | "headers">,
): AsyncGenerator<ChangeSet> {
  for await (const line of http.lines({ method: "GET", path: `/v1/watch?from=${from}`, ...as }, signal)) {
    const said = line as ChangeSet | Problem;
    // A watch that fails after it began says why in its last line.
    if ("reason" in said) throw faultOf(said);
    yield said;
  }
}
