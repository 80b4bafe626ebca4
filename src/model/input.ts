// What may be asked, as schemas: the requests of the API. Where a resource has a value that Weft can choose, the
// request may leave it out. One source for the parser (parse.ts), for the types of what it returns, and for the
// OpenAPI document.
import Type from "typebox";
import {
  type Value,
  ADDRESSES_MAX,
  AnyText,
  AnyTexts,
  Flag,
  HOSTS_MAX,
  Name,
  Text,
  Texts,
  oneOf,
  optional,
  strictObject,
} from "./schema.ts";
import { type InputOf, WRITABLE_KINDS, type WritableKind, putOf } from "./kinds.ts";
import { endpoint } from "./kinds/endpoint.ts";
import { host } from "./kinds/host.ts";
import { membership, migration } from "./kinds/membership.ts";
import { NetworkInput } from "./kinds/network.ts";
import { INPUTS_MAX, InputValue } from "./kinds/template.ts";
import { PHYSICAL_MAX, PhysicalSetting } from "./physical.ts";
import { QosInput } from "./qos.ts";
import { SELECTION } from "./selection.ts";
import { LockLevel } from "./rights.ts";

const claimed = {
  ...Type.Pick(host.spec, [
    "underlay",
    "underlayMtu",
    "underlayDevice",
    "devices",
    "slices",
    "shaping",
    "features",
    "lacks",
    "physical",
  ]).properties,
  bootId: optional(
    Type.String({ minLength: 1, maxLength: 100, description: "Of its kernel: tells a restart from a second machine." }),
  ),
  moreDevices: optional(
    Flag("Networks may name devices that the agent does not know of yet: what it said of others before stays."),
  ),
  hostPrefixes: AnyTexts("The host's own addresses and routes: networks must not overlap them."),
};
export const HostClaim = strictObject({ host: Name, ...claimed });
/** What a host sends to join: its name is in the path. */
export const JoinRequest = strictObject({
  ...claimed,
  csr: optional(
    Type.String({
      minLength: 1,
      maxLength: 8192,
      description:
        "A certificate request (PKCS #10, PEM) of the host's own key, with its name as common name. The key is " +
        "written down before, so that a join whose answer was lost can be repeated.",
    }),
  ),
});

/** What an administrator says of a host; what is left out stays. */
export const HostSettings = strictObject({
  physical: optional(
    Type.Array(PhysicalSetting, {
      maxItems: PHYSICAL_MAX,
      description: "Which of its devices lead to physical networks: all that is said at the server. [] says nothing.",
    }),
  ),
  ...Type.Pick(host.spec, ["labels"]).properties,
});
/** What may change while an endpoint is attached. */
export const EndpointPatch = strictObject({
  qos: optional(QosInput),
  ...Type.Pick(endpoint.spec, ["securityGroups", "allowedAddresses", "labels"]).properties,
});
export const EndpointClaim = strictObject({
  network: Text("Its name; or `auto`: the server selects one."),
  ...SELECTION,
  userToken: optional(
    Type.String({
      minLength: 1,
      maxLength: 1024,
      description:
        "Global networks: a token of the user that the endpoint is for. It becomes the user's own, and the user has " +
        "to have the right to use the network.",
    }),
  ),
  host: Name,
  ...Type.Pick(endpoint.spec, ["owner", "ifname", "netns"]).properties,
  addresses: optional(
    Texts(
      "Without prefix length. Global networks: what is not given is assigned. Local ones: the agent's choice.",
      ADDRESSES_MAX,
    ),
  ),
  mac: optional(Name),
  range: optional(Text("Global networks: only from this address range.")),
  slice: optional(Name),
  tenant: optional(Type.String({ minLength: 1, maxLength: 253, description: "Whose quota it counts for." })),
  ...Type.Pick(endpoint.spec, ["workload", "user", "joined", "defaultRoute"]).properties,
  ...EndpointPatch.properties,
});

/** The body of POST /v1/memberships. */
export const MembershipClaim = membership.spec;
/** The body of POST /v1/migrations. */
export const MigrationRequest = strictObject({
  ...Type.Omit(migration.spec, ["members"]).properties,
  dryRun: optional(Flag("Only say what would move.")),
});
/** What a host says of a move. */
export const MoveReport = strictObject({
  state: oneOf(["joined", "left", "failed", "gone"]),
  newEndpoint: optional(Name),
  newAddresses: optional(Type.Array(Name, { maxItems: ADDRESSES_MAX })),
  reason: optional(AnyText("Why it failed.")),
});

/** Several interfaces at once: all or none. */
export const EndpointClaims = strictObject({ endpoints: Type.Array(EndpointClaim, { minItems: 1, maxItems: 256 }) });

const span = {
  network: Name,
  first: Text("An IP address, or a MAC."),
  last: optional(Text("Default: `first` alone.")),
};
export const HoldRequest = strictObject({
  ...span,
  reason: Type.String({ minLength: 1, maxLength: 1024 }),
  owner: Type.String({ minLength: 1, maxLength: 253 }),
  expiresInSeconds: optional(Type.Integer({ minimum: 1, maximum: 31_536_000, description: "Default: never." })),
});
export const HoldRelease = strictObject(span);

/** A piece of a network for a tenant; into a reservation that exists, one more. */
export const ReserveRequest = strictObject({
  name: Text("The reservation: made, or extended."),
  size: Type.Integer({ minimum: 1, maximum: 2_147_483_648, description: "How many leases, one after the other." }),
  range: optional(Text("Only from this range of the parent.")),
  first: optional(Text("Beginning with this IP address, or MAC. Default: the lowest free.")),
  tenant: optional(Type.String({ minLength: 1, maxLength: 253 })),
});

/** Networks made from a template. */
export const InstantiateRequest = strictObject({
  name: optional(
    Text("Of the network; of several, what their numbered names begin with. Default: the template's, with a number."),
  ),
  count: optional(Type.Integer({ minimum: 1, maximum: 256, description: "How many: all or none. Default: 1." })),
  inputs: optional(
    Type.Record(Name, InputValue, { maxProperties: INPUTS_MAX, description: "Values by the names of inputs." }),
  ),
  network: optional(NetworkInput),
  replaceAddresses: optional(
    Flag("Subnets, pool or ranges of `network` are instead of the template's. Default: false, and both are refused."),
  ),
  dryRun: optional(Flag("Only say what would be made.")),
});
/** A copy of a template, or its new name. */
export const TemplateName = strictObject({ name: Text("Of the copy, or from now on.") });
/** The body of POST /v1/{kind}/{name}/chown. */
export const ChownRequest = strictObject({
  owner: optional(Text("A user.")),
  group: optional(Text("A group of users. Default with a first owner: the owner's primary one.")),
});
export const ChmodRequest = strictObject({ mode: Text("Like um-u-----, or three octal digits like 640.") });
export const LockRequest = strictObject({ level: LockLevel });

export const SecurityGroupCommit = strictObject({
  hosts: optional(Texts("Only these hosts load it again. Default: all.", HOSTS_MAX)),
});
const ApplyItem = Type.Union(
  WRITABLE_KINDS.map((kind) => strictObject({ kind: Type.Literal(kind), name: Name, spec: putOf(kind).input })),
);
export const ApplyRequest = strictObject({
  resources: Type.Array(ApplyItem, { maxItems: 20_000 }),
  pruneVrf: optional(Text("Networks of this VRF that are not listed are deleted.")),
  dryRun: optional(Flag("Only say what would change.")),
});

export type { NetworkInput };
export type VrfInput = InputOf<"vrf">;
export type PoolInput = InputOf<"pool">;
export type SecurityGroupInput = InputOf<"securitygroup">;
export type MembershipClaim = Value<typeof MembershipClaim>;
export type MigrationRequest = Value<typeof MigrationRequest>;
export type MoveReport = Value<typeof MoveReport>;
export type ChownRequest = Value<typeof ChownRequest>;
export type HostSettings = Value<typeof HostSettings>;
export type EndpointPatch = Value<typeof EndpointPatch>;
export type InstantiateRequest = Value<typeof InstantiateRequest>;
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
