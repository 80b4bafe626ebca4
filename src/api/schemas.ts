// Schemas of everything that goes over the wire, by the names that the OpenAPI document gives them. Requests and
// resources are the model's own schemas; only answers are put together here.
import Type, { type TSchema } from "typebox";
import { AuditRecord, AuditVerdict } from "../model/audit.ts";
import * as check from "../model/check.ts";
import * as preflight from "../model/preflight.ts";
import { LeaseRecord } from "../model/lease.ts";
import { SpaceMap } from "../model/map.ts";
import { NetworkProgress } from "../model/progress.ts";
import * as input from "../model/input.ts";
import * as joinToken from "../model/joinToken.ts";
import * as login from "../model/login.ts";
import * as oidc from "../model/oidc.ts";
import {
  ALL_KINDS,
  LISTS,
  type Kind,
  type TypeName,
  WRITABLE_KINDS,
  type WritableKind,
  putOf,
  recordOf,
  typeNameOf,
} from "../model/kinds.ts";
import { Access, LockLevel } from "../model/rights.ts";
import { AnyText, AnyTexts, optional, strictObject } from "../model/schema.ts";
import { SelectRequest, Selected } from "../model/selection.ts";
import { OwnedQuota } from "../model/quota.ts";
import * as status from "../model/status.ts";

const Revision = Type.Integer({ minimum: 0, description: "Number of the commit; every later one is greater." });
const Patience = {
  suspectAfterMs: Type.Number({
    description: "After how much silence a host is suspect: agents report three times in it.",
  }),
  reclaimAfterMs: optional(
    Type.Number({ description: "After how much silence the server gives a host's blocks to others. Absent: never." }),
  ),
};
const Count = Type.Integer({ minimum: 0 });

/** What kinds that are owned have besides. */
const OWNED = {
  access: optional(Access),
  lock: optional(LockLevel),
  lockedBy: optional(AnyText("The user who has locked it. Absent: an administrator.")),
};

function envelope(kind: Kind) {
  return strictObject({
    kind: Type.Literal(kind),
    name: AnyText("Identity for people, unique among its kind."),
    uid: AnyText("A resource deleted and made again is another one."),
    revision: Type.Integer({ minimum: 0, description: "The commit that last changed it; 0: built in." }),
    spec: recordOf(kind).spec,
    ...(recordOf(kind).owned === true ? OWNED : {}),
  });
}

/** A schema for each kind, under a name that begins with the kind's. */
function named<K extends Kind, End extends string>(kinds: readonly K[], end: End, schemaOf: (kind: K) => TSchema) {
  const entries = kinds.map((kind) => [`${typeNameOf(kind)}${end}`, schemaOf(kind)]);
  return Object.fromEntries(entries) as Readonly<Record<`${TypeName}${End}`, TSchema>>;
}

const resources = named(ALL_KINDS, "", envelope);
const Resource = Type.Union(Object.values(resources));
const Change = Type.Union([strictObject({ put: Resource }), strictObject({ remove: AnyText("kind/name") })]);

function page(item: TSchema) {
  return strictObject({
    revision: Revision,
    items: Type.Array(item, { description: "In order of their names." }),
    cursor: optional(AnyText("There is more: ask for what follows with ?cursor=")),
  });
}

function listSchema(kind: Kind) {
  const description = "For administrators; a host gets none.";
  return Type.Array(resources[typeNameOf(kind)], recordOf(kind).seenBy === "none" ? { description } : {});
}

function putSchema(kind: WritableKind) {
  return strictObject({ spec: putOf(kind).input });
}

const ShownCa = {
  pin: AnyText("SHA-256 of its public key, in base64url."),
  certificate: AnyText("PEM."),
  untilMs: Count,
};

export const SCHEMAS = {
  ...resources,
  ...named(ALL_KINDS, "Page", (kind) => page(resources[typeNameOf(kind)])),
  // These two come first, so that the order of schemas in the document does not change.
  ...named(["securitygroup"], "Put", putSchema),
  SecurityGroupCommit: input.SecurityGroupCommit,
  ...named(WRITABLE_KINDS, "Put", putSchema),
  MembershipClaim: input.MembershipClaim,
  MigrationRequest: input.MigrationRequest,
  Migrated: strictObject({
    migration: resources.Migration,
    moves: Type.Array(resources.Move, { description: "One per endpoint." }),
  }),
  MoveReport: input.MoveReport,
  JoinRequest: input.JoinRequest,
  HostSettings: input.HostSettings,
  Joined: strictObject({
    cluster: AnyText("Two servers with different stores never have the same."),
    host: resources.Host,
    certificate: optional(AnyText("For the request that was sent: by it the host proves who it is. PEM.")),
    ca: optional(AnyText("The CAs to trust from now on, first the one that has signed. PEM.")),
    ...Patience,
  }),
  EndpointClaim: input.EndpointClaim,
  EndpointClaims: input.EndpointClaims,
  Attached: Type.Union([resources.Endpoint, resources.Network], {
    description: "The endpoint. To a host that named no network: the local network that it is to allocate in.",
  }),
  HoldRequest: input.HoldRequest,
  ReserveRequest: input.ReserveRequest,
  InstantiateRequest: input.InstantiateRequest,
  Instantiated: strictObject({
    revision: Revision,
    networks: Type.Array(resources.Network, { description: "In the order of their numbers." }),
  }),
  TemplateName: input.TemplateName,
  LeaseHistory: strictObject({ items: Type.Array(LeaseRecord, { description: "The newest first." }) }),
  EndpointPatch: input.EndpointPatch,
  ChownRequest: input.ChownRequest,
  ChmodRequest: input.ChmodRequest,
  LockRequest: input.LockRequest,
  HostReport: status.HostReport,
  ClusterStatus: status.ClusterStatus,
  ApplyRequest: input.ApplyRequest,
  Applied: strictObject({ revision: Revision, changes: Type.Array(Change) }),
  Snapshot: strictObject({
    cluster: Type.String(),
    revision: Revision,
    history: optional(AnyText("Of hosts: of which history the revision is; to be shown again (Weft-History).")),
    ...Object.fromEntries(ALL_KINDS.map((kind) => [LISTS[kind], listSchema(kind)])),
  }),
  ChangeSet: strictObject({
    revision: Revision,
    changes: Type.Array(Change, { description: "Empty: a sign of life, or a question." }),
    ask: optional(
      strictObject(
        { id: Type.Integer({ minimum: 1 }), orders: Type.Array(check.Order), trial: optional(preflight.Trial) },
        "To a host: answer with POST /v1/hosts/{name}/inventory.",
      ),
    ),
  }),
  CheckRequest: check.CheckRequest,
  CheckReport: check.CheckReport,
  InventoryAnswer: check.InventoryAnswer,
  PreflightRequest: preflight.PreflightRequest,
  PreflightReport: preflight.PreflightReport,
  SpaceMap,
  Quotas: strictObject({
    items: Type.Array(
      strictObject({
        kind: Type.Union([Type.Literal("user"), Type.Literal("usergroup")]),
        name: Type.String(),
        quota: OwnedQuota,
        used: strictObject({
          networks: Count,
          reservations: Count,
          vrfs: Count,
          securityGroups: Count,
          templates: Count,
          endpoints: Count,
          leases: Count,
          leasesIn: Type.Array(strictObject({ network: Type.String(), leases: Count })),
          inbound: Count,
          outbound: Count,
        }),
      }),
    ),
  }),
  NetworkProgress,
  SelectRequest,
  Selected,
  AuditRecord,
  AuditPage: strictObject({
    items: Type.Array(AuditRecord, { description: "In the order that was asked for." }),
    reached: Type.Number({ description: "The last record that was looked at." }),
    cursor: optional(Type.Number({ description: "There may be more: ask for what follows with ?cursor=" })),
  }),
  AuditVerdict,
  Done: strictObject({ revision: Revision }),
  Ca: strictObject({
    ...ShownCa,
    sinceMs: Count,
    previous: optional(strictObject(ShownCa)),
    missing: optional(AnyTexts("Hosts that have shown no certificate of this CA yet.")),
    joinTokens: optional(
      AnyTexts(
        "Join tokens that name another CA: the one before, or one that was dropped, which let nobody in any more.",
      ),
    ),
  }),
  Heard: strictObject({
    revision: Revision,
    ca: optional(
      AnyText("The pin of the CA that signs now: a host whose certificate is of another one asks for the next."),
    ),
    ...Patience,
  }),
  JoinTokenRequest: joinToken.JoinTokenRequest,
  JoinTokenMade: joinToken.JoinTokenMade,
  JoinTokens: joinToken.JoinTokens,
  LoginRequest: login.LoginRequest,
  LoggedIn: login.LoggedIn,
  TokenRequest: login.TokenRequest,
  TokenMade: login.TokenMade,
  Credentials: login.Credentials,
  PasswordRequest: login.PasswordRequest,
  WhoAmI: login.WhoAmI,
  OidcBegun: oidc.OidcBegun,
  OidcFinish: oidc.OidcFinish,
  DeviceBegun: oidc.DeviceBegun,
  DeviceFinish: oidc.DeviceFinish,
  DevicePending: oidc.DevicePending,
  Version: strictObject({ version: Type.String(), cluster: Type.String() }),
  Problem: strictObject(
    {
      type: AnyText("urn:weft:problem:<reason>"),
      title: Type.String(),
      status: Count,
      detail: AnyText("One line a person can act on."),
      reason: AnyText("From a closed list: what programs may depend on."),
      what: Type.String(),
      where: optional(AnyText("A path into the request, or the object concerned.")),
      why: optional(Type.String()),
      fix: Type.String(),
      blockers: optional(AnyTexts("What stands in the way.")),
      retryAfterSeconds: optional(Count),
    },
    "RFC 9457",
  ),
} as const;

export type SchemaName = keyof typeof SCHEMAS;
