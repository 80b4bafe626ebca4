// Schemas of everything that goes over the wire, by the names that the OpenAPI document gives them. Requests and
// resources are the model's own schemas; only answers are put together here.
import Type, { type TSchema } from "typebox";
import * as check from "../model/check.ts";
import { LeaseRecord } from "../model/lease.ts";
import { SpaceMap } from "../model/map.ts";
import * as input from "../model/input.ts";
import {
  ALL_KINDS,
  type Kind,
  type TypeName,
  WRITABLE_KINDS,
  type WritableKind,
  putOf,
  recordOf,
  typeNameOf,
} from "../model/kinds.ts";
import { optional, strict } from "../model/schema.ts";
import * as status from "../model/status.ts";

const Revision = Type.Integer({ minimum: 0, description: "Number of the commit; every later one is greater." });
const ReclaimAfter = optional(
  Type.Number({ description: "After how much silence the server gives a host's blocks to others. Absent: never." }),
);
const Count = Type.Integer({ minimum: 0 });

function envelope(kind: Kind) {
  return Type.Object(
    {
      kind: Type.Literal(kind),
      name: Type.String({ description: "Identity for people, unique among its kind." }),
      uid: Type.String({ description: "A resource deleted and made again is another one." }),
      revision: Type.Integer({ minimum: 0, description: "The commit that last changed it; 0: built in." }),
      spec: recordOf(kind).spec,
    },
    strict,
  );
}

/** A schema for each kind, under a name that begins with the kind's. */
function named<K extends Kind, End extends string>(kinds: readonly K[], end: End, schemaOf: (kind: K) => TSchema) {
  const entries = kinds.map((kind) => [`${typeNameOf(kind)}${end}`, schemaOf(kind)]);
  return Object.fromEntries(entries) as Readonly<Record<`${TypeName}${End}`, TSchema>>;
}

const resources = named(ALL_KINDS, "", envelope);
const Resource = Type.Union(Object.values(resources));
const Change = Type.Union([
  Type.Object({ put: Resource }, strict),
  Type.Object({ remove: Type.String({ description: "kind/name" }) }, strict),
]);

function page(item: TSchema) {
  return Type.Object(
    {
      revision: Revision,
      items: Type.Array(item, { description: "In order of their names." }),
      cursor: optional(Type.String({ description: "There is more: ask for what follows with ?cursor=" })),
    },
    strict,
  );
}

function listSchema(kind: Kind) {
  const description = "This and what follows: for administrators.";
  return Type.Array(resources[typeNameOf(kind)], kind === "hold" ? { description } : {});
}

function putSchema(kind: WritableKind) {
  return Type.Object({ spec: putOf(kind).input }, strict);
}

export const SCHEMAS = {
  ...resources,
  ...named(ALL_KINDS, "Page", (kind) => page(resources[typeNameOf(kind)])),
  // These two come first, so that the order of schemas in the document does not change.
  ...named(["securitygroup"], "Put", putSchema),
  SecurityGroupCommit: input.SecurityGroupCommit,
  ...named(WRITABLE_KINDS, "Put", putSchema),
  MembershipClaim: input.MembershipClaim,
  MigrationRequest: input.MigrationRequest,
  Migrated: Type.Object(
    { migration: resources.Migration, moves: Type.Array(resources.Move, { description: "One per endpoint." }) },
    strict,
  ),
  MoveReport: input.MoveReport,
  JoinRequest: input.JoinRequest,
  Joined: Type.Object(
    {
      cluster: Type.String({ description: "Two servers with different stores never have the same." }),
      token: Type.String({ description: "The host's own credential from now on." }),
      host: resources.Host,
      reclaimAfterMs: ReclaimAfter,
    },
    strict,
  ),
  EndpointClaim: input.EndpointClaim,
  EndpointClaims: input.EndpointClaims,
  HoldRequest: input.HoldRequest,
  ReserveRequest: input.ReserveRequest,
  LeaseHistory: Type.Object({ items: Type.Array(LeaseRecord, { description: "The newest first." }) }, strict),
  EndpointPatch: input.EndpointPatch,
  HostReport: status.HostReport,
  ClusterStatus: status.ClusterStatus,
  ApplyRequest: input.ApplyRequest,
  Applied: Type.Object({ revision: Revision, changes: Type.Array(Change) }, strict),
  Snapshot: Type.Object(
    {
      cluster: Type.String(),
      revision: Revision,
      history: optional(
        Type.String({ description: "Of hosts: of which history the revision is; to be shown again (Weft-History)." }),
      ),
      ...Object.fromEntries(ALL_KINDS.map((kind) => [recordOf(kind).list, listSchema(kind)])),
    },
    strict,
  ),
  ChangeSet: Type.Object(
    {
      revision: Revision,
      changes: Type.Array(Change, { description: "Empty: a sign of life, or a question." }),
      ask: optional(
        Type.Object(
          { id: Type.Integer({ minimum: 1 }), orders: Type.Array(check.Order) },
          { ...strict, description: "To a host: answer with POST /v1/hosts/{name}/inventory." },
        ),
      ),
    },
    strict,
  ),
  CheckRequest: check.CheckRequest,
  CheckReport: check.CheckReport,
  InventoryAnswer: check.InventoryAnswer,
  SpaceMap,
  Done: Type.Object({ revision: Revision }, strict),
  Heard: Type.Object({ revision: Revision, reclaimAfterMs: ReclaimAfter }, strict),
  Version: Type.Object({ version: Type.String(), cluster: Type.String() }, strict),
  Problem: Type.Object(
    {
      type: Type.String({ description: "urn:weft:problem:<reason>" }),
      title: Type.String(),
      status: Count,
      detail: Type.String({ description: "One line a person can act on." }),
      reason: Type.String({ description: "From a closed list: what programs may depend on." }),
      what: Type.String(),
      where: optional(Type.String({ description: "A path into the request, or the object concerned." })),
      why: optional(Type.String()),
      fix: Type.String(),
      blockers: optional(Type.Array(Type.String(), { description: "What stands in the way." })),
    },
    { ...strict, description: "RFC 9457" },
  ),
} as const;

export type SchemaName = keyof typeof SCHEMAS;
