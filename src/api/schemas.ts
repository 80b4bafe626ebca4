// Schemas of everything that goes over the wire, by the names that the OpenAPI document gives them. Requests and
// resources are the model's own schemas; only answers are put together here.
import Type, { type TSchema } from "typebox";
import * as check from "../model/check.ts";
import { LeaseRecord } from "../model/lease.ts";
import { SpaceMap } from "../model/map.ts";
import * as input from "../model/input.ts";
import { type Kind, SPECS } from "../model/resource.ts";
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
      spec: SPECS[kind],
    },
    strict,
  );
}

const resources = {
  Vrf: envelope("vrf"),
  Network: envelope("network"),
  Host: envelope("host"),
  Block: envelope("block"),
  Vtep: envelope("vtep"),
  Endpoint: envelope("endpoint"),
  Pool: envelope("pool"),
  Membership: envelope("membership"),
  Migration: envelope("migration"),
  Move: envelope("move"),
  Hold: envelope("hold"),
  Freed: envelope("freed"),
  Cursor: envelope("cursor"),
  SecurityGroup: envelope("securitygroup"),
};
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

export const SCHEMAS = {
  ...resources,
  VrfPage: page(resources.Vrf),
  NetworkPage: page(resources.Network),
  HostPage: page(resources.Host),
  BlockPage: page(resources.Block),
  VtepPage: page(resources.Vtep),
  EndpointPage: page(resources.Endpoint),
  PoolPage: page(resources.Pool),
  MembershipPage: page(resources.Membership),
  MigrationPage: page(resources.Migration),
  MovePage: page(resources.Move),
  HoldPage: page(resources.Hold),
  FreedPage: page(resources.Freed),
  CursorPage: page(resources.Cursor),
  SecurityGroupPage: page(resources.SecurityGroup),
  SecurityGroupPut: input.SecurityGroupPut,
  SecurityGroupCommit: input.SecurityGroupCommit,
  NetworkPut: input.NetworkPut,
  VrfPut: input.VrfPut,
  PoolPut: input.PoolPut,
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
      vrfs: Type.Array(resources.Vrf),
      networks: Type.Array(resources.Network),
      hosts: Type.Array(resources.Host),
      blocks: Type.Array(resources.Block),
      vteps: Type.Array(resources.Vtep),
      endpoints: Type.Array(resources.Endpoint),
      pools: Type.Array(resources.Pool),
      memberships: Type.Array(resources.Membership),
      migrations: Type.Array(resources.Migration),
      moves: Type.Array(resources.Move),
      holds: Type.Array(resources.Hold, { description: "This and what follows: for administrators." }),
      freed: Type.Array(resources.Freed),
      cursors: Type.Array(resources.Cursor),
      securityGroups: Type.Array(resources.SecurityGroup),
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
