// The server's API as typed calls: the CLI's client, and what the agent's (transportHttp.ts) does alike. Says what the
// calls are and nothing about when to make them. Answers are believed to have their documented shape: they come from a
// server of ours, and http.ts has made Faults of its refusals.
import type { CheckReport, CheckRequest } from "../model/check.ts";
import type {
  ApplyRequest,
  EndpointClaim,
  EndpointPatch,
  HoldRelease,
  HoldRequest,
  MigrationRequest,
  ReserveRequest,
} from "../model/input.ts";
import { pluralOf } from "../model/kind.ts";
import type { WritableKind } from "../model/kinds.ts";
import type { LeaseRecord } from "../model/lease.ts";
import type {
  Change,
  ChangeSet,
  Endpoint,
  Hold,
  Host,
  Kind,
  Membership,
  Migration,
  Move,
  Network,
  ResourceOf,
  SecurityGroup,
  Snapshot,
} from "../model/resource.ts";
import { faultOf, type Problem } from "../model/fault.ts";
import type { SpaceMap } from "../model/map.ts";
import type { ClusterStatus } from "../model/status.ts";
import { type Call, httpClient, type HttpClient } from "./http.ts";

/** `url`: `http://host:port`, `https://…` or `unix:/path/of.sock`. */
export type ServerLocation = { readonly url: string; readonly token: string };

type Migrated = { readonly migration: Migration; readonly moves: readonly Move[] };

/** As it was read: whether each resource is one is the server's judgement. */
type UncheckedApply = Omit<ApplyRequest, "resources"> & { readonly resources: readonly unknown[] };
type Applied = { readonly revision: number; readonly changes: readonly Change[] };
/** Refused with `revision-stale` if the resource is not as the writer thinks it is. */
type Match = { readonly createOnly?: boolean; readonly ifRevision?: number };
/** `force`: also if leases or holds lose their range. */
type Put = Match & { readonly force?: boolean };
type HistoryQuery = {
  readonly address: string;
  readonly network?: string;
  /** Leases that lasted at some time from `sinceMs` on, and before `beforeMs`. */
  readonly sinceMs?: number;
  readonly beforeMs?: number;
  readonly limit: number;
};

export type ServerClient = {
  /** All of a kind, over as many pages as it takes. */
  list<K extends Kind>(kind: K): Promise<readonly ResourceOf<K>[]>;
  get<K extends Kind>(kind: K, name: string): Promise<ResourceOf<K>>;
  put<K extends WritableKind>(kind: K, name: string, spec: unknown, how?: Put): Promise<ResourceOf<K>>;
  /** Hosts load the group again: these, or all. */
  commitGroup(name: string, hosts: readonly string[] | undefined): Promise<SecurityGroup>;
  /** What may change while it is attached; what is left out stays. */
  patchEndpoint(name: string, patch: EndpointPatch): Promise<Endpoint>;
  /** An endpoint without `force` is only marked; its host detaches it. */
  remove(kind: Kind, name: string, options?: { readonly force?: boolean }): Promise<{ readonly revision: number }>;
  /** Frees all that a lost host had; with `dryRun` nothing, and the answer says what it would be. */
  reclaim(host: string, options?: { readonly force?: boolean; readonly dryRun?: boolean }): Promise<Applied>;
  /** The host follows this server from now on, although it knows another past. */
  acceptHistory(host: string): Promise<void>;
  /** Whether the host takes new endpoints. */
  drain(host: string, drained: boolean): Promise<Host>;
  /** Repeating it changes nothing. */
  join(network: string, workload: string): Promise<Membership>;
  /** With `dryRun`, what would be made. */
  migrate(request: MigrationRequest): Promise<Migrated>;
  /** All or none, in one revision; with `dryRun` nothing, and the answer says what it would be. */
  apply(request: UncheckedApply): Promise<Applied>;
  attach(claim: EndpointClaim): Promise<Endpoint>;
  hold(request: HoldRequest): Promise<Hold>;
  /** Every address of the span must be held. */
  release(span: HoldRelease): Promise<{ readonly revision: number }>;
  /** A reservation is made, or extended; gives it with all its pieces. */
  reserve(network: string, request: ReserveRequest): Promise<Network>;
  /** The newest first. */
  leaseHistory(query: HistoryQuery): Promise<readonly LeaseRecord[]>;
  snapshot(): Promise<Snapshot>;
  status(): Promise<ClusterStatus>;
  watch(from: number, signal: AbortSignal): AsyncIterable<ChangeSet>;
  spaceMap(network: string): Promise<SpaceMap>;
  /** May take as long as hosts do not answer, and repairs take. */
  check(request: CheckRequest): Promise<CheckReport>;
  version(): Promise<{ readonly version: string }>;
  close(): void;
};

/** Two repairs, with a check around each, and a host that is silent in all of them. */
const CHECK_TIMEOUT_MS = 90_000;

/** Calls with the right of `token`. Nothing is connected before the first. */
export function serverClient({ url, token }: ServerLocation): ServerClient {
  const http = httpTo(url);
  const ask = askWith(http, () => token);
  return {
    list: (kind) => listAll(ask, kind),
    get: (kind, name) => ask({ method: "GET", path: pathOf(kind, name) }),
    put: (kind, name, spec, { force = false, ...match } = {}) =>
      ask({
        method: "PUT",
        path: `${pathOf(kind, name)}${force ? "?force=true" : ""}`,
        body: { spec },
        ...headersOf(match),
      }),
    commitGroup: (name, hosts) =>
      ask({
        method: "POST",
        path: `${pathOf("securitygroup", name)}/commit`,
        body: hosts === undefined ? {} : { hosts },
      }),
    patchEndpoint: (name, patch) => ask({ method: "PATCH", path: pathOf("endpoint", name), body: patch }),
    remove: (kind, name, { force = false } = {}) =>
      ask({ method: "DELETE", path: `${pathOf(kind, name)}${force ? "?force=true" : ""}` }),
    reclaim: (host, { force = false, dryRun = false } = {}) =>
      ask({ method: "POST", path: `${pathOf("host", host)}/reclaim?force=${force}&dryRun=${dryRun}` }),
    async acceptHistory(host) {
      await ask({ method: "POST", path: `${pathOf("host", host)}/accept-history` });
    },
    drain: (host, drained) => ask({ method: "POST", path: `${pathOf("host", host)}/${drained ? "drain" : "resume"}` }),
    join: (network, workload) => ask({ method: "POST", path: "/v1/memberships", body: { network, workload } }),
    migrate: (request) => ask({ method: "POST", path: "/v1/migrations", body: request }),
    apply: (request) => ask({ method: "POST", path: "/v1/apply", body: request }),
    attach: (claim) => ask({ method: "POST", path: "/v1/endpoints", body: claim }),
    hold: (request) => ask({ method: "POST", path: "/v1/holds", body: request }),
    release: (span) => ask({ method: "DELETE", path: `/v1/holds?${new URLSearchParams(span).toString()}` }),
    reserve: (network, request) =>
      ask({ method: "POST", path: `${pathOf("network", network)}/reservations`, body: request }),
    async leaseHistory({ limit, sinceMs, beforeMs, ...query }) {
      const search = new URLSearchParams({ ...query, limit: String(limit) });
      if (sinceMs !== undefined) search.set("since", String(sinceMs));
      if (beforeMs !== undefined) search.set("before", String(beforeMs));
      const { items } = await ask<{ readonly items: readonly LeaseRecord[] }>({
        method: "GET",
        path: `/v1/leases/history?${search.toString()}`,
      });
      return items;
    },
    snapshot: () => ask({ method: "GET", path: "/v1/snapshot" }),
    status: () => ask({ method: "GET", path: "/v1/status" }),
    watch: (from, signal) => watchOver(http, token, from, signal),
    spaceMap: (network) => ask({ method: "GET", path: `${pathOf("network", network)}/map` }),
    check: (request) => ask({ method: "POST", path: "/v1/ipam/check", body: request, timeoutMs: CHECK_TIMEOUT_MS }),
    version: () => ask({ method: "GET", path: "/v1/version" }),
    close: () => http.close(),
  };
}

export function httpTo(url: string): HttpClient {
  return httpClient({
    url,
    name: "the server",
    fix: "check that it runs (`weft server`), that the address is right (--server), and that no firewall is between",
  });
}

/** `T` is what docs/api.md promises of the path. */
type Ask = <T>(call: Call) => Promise<T>;

export function askWith(http: HttpClient, token: () => string): Ask {
  return async <T>(call: Call) => (await http.request({ token: token(), ...call })).body as T;
}

type Page<K extends Kind> = { readonly items: readonly ResourceOf<K>[]; readonly cursor?: string };

async function listAll<K extends Kind>(ask: Ask, kind: K): Promise<readonly ResourceOf<K>[]> {
  const items: ResourceOf<K>[] = [];
  for (let query = ""; ; ) {
    const page: Page<K> = await ask({ method: "GET", path: `/v1/${pluralOf(kind)}${query}` });
    for (const item of page.items) items.push(item);
    if (page.cursor === undefined) return items;
    query = `?cursor=${encodeURIComponent(page.cursor)}`;
  }
}

export function pathOf(kind: Kind, name: string): string {
  return `/v1/${pluralOf(kind)}/${encodeURIComponent(name)}`;
}

function headersOf({ createOnly, ifRevision }: Match): { readonly headers?: Readonly<Record<string, string>> } {
  if (createOnly === true) return { headers: { "if-none-match": "*" } };
  return ifRevision === undefined ? {} : { headers: { "if-match": `"${ifRevision}"` } };
}

type Sets = AsyncGenerator<ChangeSet>;

export async function* watchOver(
  http: HttpClient,
  token: string,
  from: number,
  signal: AbortSignal,
  more: Pick<Call, "headers"> = {},
): Sets {
  for await (const line of http.lines({ method: "GET", path: `/v1/watch?from=${from}`, token, ...more }, signal)) {
    const said = line as ChangeSet | Problem;
    // A watch that fails after it began says why in its last line.
    if ("reason" in said) throw faultOf(said);
    yield said;
  }
}
