// What may be asked, as schemas: the requests of the API. Where a resource has a value that Weft can choose, the
// request may leave it out. One source for the parser (parse.ts), for the types of what it returns, and for the
// OpenAPI document.
import Type from "typebox";
import { type Value, oneOf, optional, strict, Texts } from "./schema.ts";
import { type InputOf, WRITABLE_KINDS, type WritableKind, putOf } from "./kinds.ts";
import { EndpointSpec } from "./kinds/endpoint.ts";
import { HostSpec } from "./kinds/host.ts";
import { MembershipSpec } from "./kinds/membership.ts";
import { QosInput } from "./qos.ts";

const claimed = {
  underlay: HostSpec.properties.underlay,
  underlayMtu: HostSpec.properties.underlayMtu,
  slices: HostSpec.properties.slices,
  shaping: HostSpec.properties.shaping,
  bootId: optional(
    Type.String({ minLength: 1, maxLength: 100, description: "Of its kernel: tells a restart from a second machine." }),
  ),
  hostPrefixes: Texts("The host's own addresses and routes: networks must not overlap them."),
};
export const HostClaim = Type.Object({ host: Type.String(), ...claimed }, strict);
/** What a host sends to join: its name is in the path. */
export const JoinRequest = Type.Object(
  {
    ...claimed,
    token: optional(
      Type.String({
        minLength: 32,
        maxLength: 512,
        description:
          "The credential the host wants, written down before it asks, so that a join whose answer was lost can be " +
          "repeated. Default: the server makes one.",
      }),
    ),
  },
  strict,
);

export const EndpointClaim = Type.Object(
  {
    network: Type.String(),
    host: Type.String(),
    owner: EndpointSpec.properties.owner,
    ifname: EndpointSpec.properties.ifname,
    netns: EndpointSpec.properties.netns,
    addresses: optional(
      Texts("Without prefix length. Global networks: what is not given is assigned. Local ones: the agent's choice."),
    ),
    mac: optional(Type.String()),
    range: optional(Type.String({ description: "Global networks: only from this address range." })),
    slice: optional(Type.String()),
    tenant: optional(Type.String({ minLength: 1, maxLength: 253, description: "Whose quota it counts for." })),
    workload: EndpointSpec.properties.workload,
    joined: EndpointSpec.properties.joined,
    defaultRoute: EndpointSpec.properties.defaultRoute,
    qos: optional(QosInput),
    securityGroups: EndpointSpec.properties.securityGroups,
    allowedAddresses: EndpointSpec.properties.allowedAddresses,
  },
  strict,
);

/** The body of POST /v1/memberships. */
export const MembershipClaim = MembershipSpec;
/** The body of POST /v1/migrations. */
export const MigrationRequest = Type.Object(
  {
    from: Type.String(),
    to: Type.String(),
    workload: optional(Type.String({ description: "Only instances of this workload." })),
    endpoint: optional(Type.String({ description: "Only this endpoint." })),
    dryRun: optional(Type.Boolean({ description: "Only say what would move." })),
  },
  strict,
);
/** What a host says of a move. */
export const MoveReport = Type.Object(
  {
    state: oneOf(["joined", "left", "failed", "gone"]),
    newEndpoint: optional(Type.String()),
    newAddresses: optional(Type.Array(Type.String())),
    reason: optional(Type.String()),
  },
  strict,
);

/** Several interfaces at once: all or none. */
export const EndpointClaims = Type.Object(
  { endpoints: Type.Array(EndpointClaim, { minItems: 1, maxItems: 256 }) },
  strict,
);

const span = {
  network: Type.String(),
  first: Type.String({ description: "An IP address, or a MAC." }),
  last: optional(Type.String({ description: "Default: `first` alone." })),
};
export const HoldRequest = Type.Object(
  {
    ...span,
    reason: Type.String({ minLength: 1, maxLength: 1024 }),
    owner: Type.String({ minLength: 1, maxLength: 253 }),
    expiresInSeconds: optional(Type.Integer({ minimum: 1, maximum: 31_536_000, description: "Default: never." })),
  },
  strict,
);
export const HoldRelease = Type.Object(span, strict);

/** What may change while an endpoint is attached. */
export const EndpointPatch = Type.Object(
  {
    qos: optional(QosInput),
    securityGroups: EndpointSpec.properties.securityGroups,
    allowedAddresses: EndpointSpec.properties.allowedAddresses,
  },
  strict,
);
/** A piece of a network for a tenant; into a reservation that exists, one more. */
export const ReserveRequest = Type.Object(
  {
    name: Type.String({ description: "The reservation: made, or extended." }),
    size: Type.Integer({ minimum: 1, maximum: 2_147_483_648, description: "How many leases, one after the other." }),
    range: optional(Type.String({ description: "Only from this range of the parent." })),
    first: optional(Type.String({ description: "Beginning with this IP address, or MAC. Default: the lowest free." })),
    tenant: optional(Type.String({ minLength: 1, maxLength: 253 })),
  },
  strict,
);

export const SecurityGroupCommit = Type.Object(
  { hosts: optional(Texts("Only these hosts load it again. Default: all.")) },
  strict,
);
const ApplyItem = Type.Union(
  WRITABLE_KINDS.map((kind) =>
    Type.Object({ kind: Type.Literal(kind), name: Type.String(), spec: putOf(kind).input }, strict),
  ),
);
export const ApplyRequest = Type.Object(
  {
    resources: Type.Array(ApplyItem),
    pruneVrf: optional(Type.String({ description: "Networks of this VRF that are not listed are deleted." })),
    dryRun: optional(Type.Boolean({ description: "Only say what would change." })),
  },
  strict,
);

export type NetworkInput = InputOf<"network">;
export type VrfInput = InputOf<"vrf">;
export type PoolInput = InputOf<"pool">;
export type SecurityGroupInput = InputOf<"securitygroup">;
export type MembershipClaim = Value<typeof MembershipClaim>;
export type MigrationRequest = Value<typeof MigrationRequest>;
export type MoveReport = Value<typeof MoveReport>;
export type EndpointPatch = Value<typeof EndpointPatch>;
export type SecurityGroupCommit = Value<typeof SecurityGroupCommit>;
export type HostClaim = Value<typeof HostClaim>;
export type JoinRequest = Value<typeof JoinRequest>;
export type EndpointClaim = Value<typeof EndpointClaim>;
export type HoldRequest = Value<typeof HoldRequest>;
export type HoldRelease = Value<typeof HoldRelease>;
export type ReserveRequest = Value<typeof ReserveRequest>;
export type ApplyItem = {
  readonly [K in WritableKind]: { readonly kind: K; readonly name: string; readonly spec: InputOf<K> };
}[WritableKind];
export type ApplyRequest = Omit<Value<typeof ApplyRequest>, "resources"> & { readonly resources: readonly ApplyItem[] };
