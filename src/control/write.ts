// Writes of the control plane as values: a closed union that the queue carries and admission decides about. Inputs are
// typed (model/parse.ts made them from untrusted JSON) but not yet admitted.
import type {
  ApplyItem,
  EndpointClaim,
  HoldRelease,
  HoldRequest,
  HostSettings,
  EndpointPatch,
  HostClaim,
  InstantiateRequest,
  MembershipClaim,
  MigrationRequest,
  MoveReport,
  ReserveRequest,
} from "../model/input.ts";
import type { DeletableKind, OwnedKind } from "../model/kinds.ts";
import type { Narrowing } from "../model/narrowing.ts";
import type { Lock } from "../model/rights.ts";
import type { Change, Resource } from "../model/resource.ts";

/** The owner of a token: an administrator, a user, a joining host, or one host's agent; nobody without one. */
export type Identity = Viewer | { readonly role: "join"; readonly token: string } | { readonly role: "nobody" };
/** Who sees resources: an administrator everything, a host what concerns it, a user what its rights allow. */
export type Viewer =
  | { readonly role: "admin" }
  | { readonly role: "host"; readonly host: string }
  | { readonly role: "user"; readonly user: string; readonly narrowing?: Narrowing };

/** Who asks for a write: judged by its rights, and named in the audit log. */
export type Caller = {
  readonly identity: Identity;
  /** Of the user, whose name others may have had. */
  readonly uid?: string;
  /** By what it proved who it is, like `token laptop` or `socket`; never the secret itself. */
  readonly credential: string;
  /** The address that it asks from, or `unix`. */
  readonly from: string;
};
/** The server itself, and its tests: no rights are asked. */
export const SERVER: Caller = { identity: { role: "admin" }, credential: "server", from: "server" };

/** The resource must be at this revision; 0: it must not exist; "any": it must exist. */
export type Match = { readonly ifRevision?: number | "any" };

/** A resource as its writer wants it. `force`: also if something is lost, like a lease its range. */
export type Put<Input> = { readonly name: string; readonly spec: Input; readonly force?: boolean };
/** `force` takes along what stands in the way: endpoints, and the networks of a VRF. */
export type Delete = { readonly name: string; readonly force?: boolean };

export type Write =
  | ({ readonly verb: "put" } & ApplyItem & Pick<Put<unknown>, "force"> & Match)
  | { readonly verb: "join-network"; readonly claim: MembershipClaim }
  | { readonly verb: "migrate"; readonly request: MigrationRequest }
  | { readonly verb: "move"; readonly move: string; readonly report: MoveReport; readonly by: Viewer }
  /** Hosts load it again, even if they already have it: these, or all. */
  | { readonly verb: "commit-group"; readonly name: string; readonly hosts?: readonly string[] }
  /** Hosts work on the network again, as when something failed. */
  | ({ readonly verb: "retry-network"; readonly name: string } & Match)
  /** What may change while an endpoint is attached; what is left out stays. */
  | ({ readonly verb: "patch-endpoint"; readonly name: string; readonly patch: EndpointPatch } & Match)
  | ({ readonly verb: "delete"; readonly kind: DeletableKind } & Delete & Match)
  | { readonly verb: "join"; readonly claim: HostClaim; readonly by: Identity }
  | ({ readonly verb: "drain"; readonly host: string; readonly drained: boolean } & Match)
  /** What is left out stays. `force`: also if endpoints are on a host that leaves their network's clusters. */
  | ({
      readonly verb: "set-host";
      readonly host: string;
      readonly settings: HostSettings;
      readonly force?: boolean;
    } & Match)
  | { readonly verb: "attach"; readonly claim: EndpointClaim; readonly by: Viewer }
  /** All or nothing: the interfaces of one workload. */
  | { readonly verb: "attach-all"; readonly claims: readonly EndpointClaim[]; readonly by: Viewer }
  /** Its host removes it; an administrator marks it, so that its host does, or removes it at once with `force`. */
  | ({ readonly verb: "detach"; readonly endpoint: string; readonly by: Viewer; readonly force?: boolean } & Match)
  | { readonly verb: "hold"; readonly request: HoldRequest }
  | { readonly verb: "release"; readonly span: HoldRelease }
  /** A piece of the network for a reservation, which is made if it is not there. */
  | ({ readonly verb: "reserve"; readonly network: string; readonly request: ReserveRequest } & Match)
  /** Networks made from a template: all or none. */
  | { readonly verb: "instantiate"; readonly template: string; readonly request: InstantiateRequest }
  | { readonly verb: "clone-template"; readonly template: string; readonly name: string }
  | ({ readonly verb: "rename-template"; readonly template: string; readonly name: string } & Match)
  /** Who is not named stays. */
  | ({ readonly verb: "chown"; readonly owner?: string; readonly group?: string } & OfOwned)
  | ({ readonly verb: "chmod"; readonly mode: string } & OfOwned)
  /** Without a level it is unlocked. */
  | ({ readonly verb: "lock"; readonly level?: Lock } & OfOwned)
  /** All of these hosts are in the phase of this revision; the server says it to itself. */
  | {
      readonly verb: "advance-conversion";
      readonly name: string;
      readonly revision: number;
      readonly hosts: readonly string[];
    }
  /** Ends quarantines and holds whose time has come; the server asks it of itself. */
  | { readonly verb: "expire" }
  /** All or nothing. Networks of `pruneVrf` that are not among the items are deleted. */
  | { readonly verb: "apply"; readonly items: readonly ApplyItem[]; readonly pruneVrf?: string };

type OfOwned = { readonly kind: OwnedKind; readonly name: string } & Match;

/** What a write did: nothing, when everything was so already. */
export type Outcome = {
  /** Of the commit, or the current one if nothing changed. */
  readonly revision: number;
  readonly changes: readonly Change[];
  /** What was put, marked or found; absent after a removal and for apply. */
  readonly resource?: Resource;
  readonly created: boolean;
};
