// What may be asked, as schemas: the requests of the API. Where a resource has a value that Weft can choose, the
// request may leave it out. One source for the parser (parse.ts), for the types of what it returns, and for the
// OpenAPI document.
import Type, { type Static, type TSchema } from "typebox";
import { EndpointSpec, HostSpec, NetworkSpec, VrfSpec } from "./resource.ts";

type DeepReadonly<T> = T extends readonly (infer U)[]
  ? readonly DeepReadonly<U>[]
  : T extends object
    ? { readonly [K in keyof T]: DeepReadonly<T[K]> }
    : T;
type Value<S extends TSchema> = DeepReadonly<Static<S>>;

const strict = { additionalProperties: false };
const optional = Type.Optional;
const Texts = (description: string) => Type.Array(Type.String(), { description });

export const NetworkInput = Type.Object(
  { ...Type.Partial(NetworkSpec).properties, subnets: NetworkSpec.properties.subnets },
  strict,
);
export const VrfInput = Type.Partial(VrfSpec, strict);

const claimed = {
  underlay: HostSpec.properties.underlay,
  underlayMtu: HostSpec.properties.underlayMtu,
  slices: HostSpec.properties.slices,
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

export const HostReport = Type.Object(
  {
    host: Type.String(),
    bootId: Type.String(),
    version: Type.String(),
    revision: Type.Integer({ minimum: 0 }),
    driftRepaired: Type.Integer({ minimum: 0 }),
    errors: Type.Array(Type.String()),
    networks: Type.Array(Type.String()),
    conditions: Type.Array(Type.String()),
    hostPrefixes: Type.Array(Type.String()),
    objects: Type.Integer({ minimum: 0 }),
  },
  strict,
);

export const NetworkPut = Type.Object({ spec: NetworkInput }, strict);
export const VrfPut = Type.Object({ spec: VrfInput }, strict);
const ApplyItem = Type.Union([
  Type.Object({ kind: Type.Literal("network"), name: Type.String(), spec: NetworkInput }, strict),
  Type.Object({ kind: Type.Literal("vrf"), name: Type.String(), spec: VrfInput }, strict),
]);
export const ApplyRequest = Type.Object(
  {
    resources: Type.Array(ApplyItem),
    pruneVrf: optional(Type.String({ description: "Networks of this VRF that are not listed are deleted." })),
    dryRun: optional(Type.Boolean({ description: "Only say what would change." })),
  },
  strict,
);

export type NetworkInput = Value<typeof NetworkInput>;
export type VrfInput = Value<typeof VrfInput>;
export type HostClaim = Value<typeof HostClaim>;
export type JoinRequest = Value<typeof JoinRequest>;
export type EndpointClaim = Value<typeof EndpointClaim>;
export type HoldRequest = Value<typeof HoldRequest>;
export type HoldRelease = Value<typeof HoldRelease>;
export type ApplyItem = Value<typeof ApplyItem>;
export type ApplyRequest = Value<typeof ApplyRequest>;

/** What a workload's door asks of the agent of its host. */
export const AttachRequest = Type.Object(
  {
    network: Type.String(),
    netns: Type.String({ description: "Path of a network namespace." }),
    ifname: optional(Type.String({ description: "Default: eth0." })),
    owner: optional(Type.String({ description: "Default: the last part of the path." })),
    addresses: optional(Texts("Without prefix length. Default: the lowest free ones.")),
    mac: optional(Type.String()),
    range: optional(Type.String({ description: "Global networks: only from this address range." })),
    slice: optional(Type.String()),
  },
  strict,
);
