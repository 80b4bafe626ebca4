// Schemas of everything that goes over the wire, by the names that the OpenAPI document gives them. Requests and
// resources are the model's own schemas; only answers are put together here.
import Type, { type TSchema } from "typebox";
import * as check from "../model/check.ts";
import { SpaceMap } from "../model/map.ts";
import * as input from "../model/input.ts";
import { type Kind, SPECS } from "../model/resource.ts";

const strict = { additionalProperties: false };
const Revision = Type.Integer({ minimum: 0, description: "Number of the commit; every later one is greater." });
const ReclaimAfter = Type.Optional(
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
      cursor: Type.Optional(Type.String({ description: "There is more: ask for what follows with ?cursor=" })),
    },
    strict,
  );
}

const HostStatus = Type.Object(
  {
    ...input.HostReport.properties,
    reportedAtMs: Type.Number({ description: "When the server got the report, ms since 1970." }),
    lagMs: Type.Optional(
      Type.Number({
        description: "From the newest commit that concerned the host to the report that it is in the kernel.",
      }),
    ),
  },
  strict,
);
const HostCondition = Type.Object(
  {
    host: Type.String(),
    underlay: Type.String(),
    state: Type.Union(
      (["ready", "suspect", "lost", "reclaimed", "expected"] as const).map((state) => Type.Literal(state)),
      {
        description:
          "ready: reports arrive; suspect: none for a while; lost: none for long, but it still has all it had; " +
          "reclaimed: what it had was taken; expected: named by a configuration, never joined.",
      },
    ),
    sinceMs: Type.Optional(Type.Number({ description: "Since when it is so, ms since 1970." })),
    status: Type.Optional(HostStatus),
  },
  strict,
);
const Condition = Type.Object(
  {
    reason: Type.String(),
    object: Type.String({ description: "kind/name, or cluster" }),
    host: Type.Optional(Type.String()),
    message: Type.String(),
  },
  strict,
);

const LeaseRecord = Type.Object(
  {
    network: Type.String(),
    address: Type.String({ description: "Of a lease without any: its MAC." }),
    endpoint: Type.String(),
    owner: Type.String(),
    ifname: Type.String(),
    host: Type.String(),
    mac: Type.String(),
    fromMs: Type.Number({ description: "ms since 1970." }),
    untilMs: Type.Optional(Type.Number({ description: "Absent while it lasts." })),
  },
  strict,
);

const ClusterPaths = Type.Object(
  {
    pairs: Type.Integer({ minimum: 0, description: "Pairs of hosts that share a VRF." }),
    proven: Type.Integer({ minimum: 0, description: "Those between which packets of full size pass, both ways." }),
    unproven: Type.Array(
      Type.Object(
        {
          hosts: Type.Array(Type.String(), { minItems: 2, maxItems: 2 }),
          state: Type.Union([Type.Literal("small"), Type.Literal("failed"), Type.Literal("unknown")]),
          sinceMs: Type.Number({ description: "ms since 1970." }),
          obstacles: Type.Array(Type.String(), { description: "What either host sees." }),
        },
        strict,
      ),
    ),
  },
  { ...strict, description: "Absent until a host has told; see operations.md." },
);

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
  HostReport: input.HostReport,
  ClusterStatus: Type.Object(
    {
      cluster: Type.String(),
      revision: Revision,
      paths: Type.Optional(ClusterPaths),
      hosts: Type.Array(HostCondition),
      conditions: Type.Array(Condition),
    },
    strict,
  ),
  ApplyRequest: input.ApplyRequest,
  Applied: Type.Object({ revision: Revision, changes: Type.Array(Change) }, strict),
  Snapshot: Type.Object(
    {
      cluster: Type.String(),
      revision: Revision,
      history: Type.Optional(
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
      ask: Type.Optional(
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
      where: Type.Optional(Type.String({ description: "A path into the request, or the object concerned." })),
      why: Type.Optional(Type.String()),
      fix: Type.String(),
      blockers: Type.Optional(Type.Array(Type.String(), { description: "What stands in the way." })),
    },
    { ...strict, description: "RFC 9457" },
  ),
} as const;

export type SchemaName = keyof typeof SCHEMAS;
